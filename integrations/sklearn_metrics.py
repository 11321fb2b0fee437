"""Training metrics of a fitted scikit-learn estimator, under MLflow's names."""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from autolog.integrations.sklearn_params import nested_estimators
from autolog.integrations.sklearn_predictions import Predictions, final_estimator, implementation, is_loud, predict
from autolog.trust import is_known_code

if TYPE_CHECKING:
    from autolog.evaluation import Evaluation
    from autolog.figures import Figure

# It may draw from the program's random numbers when it predicts.
_DRAWING: Final = frozenset({"DummyClassifier"})
# Data of other libraries may lie on another device, which must not be waited for, or be anything.
_DATA: Final = frozenset({"numpy", "scipy", "pandas", "polars", "pyarrow", "builtins"})
# Sparse matrices in these formats give no rows without a copy of all of them.
_WITHOUT_ROWS: Final = frozenset({"coo", "bsr", "dia"})
# Their predictions go through the training data, and may take longer than their fits.
_SLOW: Final = ("sklearn.neighbors.", "sklearn.svm._classes", "sklearn.gaussian_process.", "sklearn.kernel_ridge")
# The functions that say what ``score`` gives: the accuracy and r2 that are computed anyway.
_USUAL_SCORES: Final = frozenset({"ClassifierMixin.score", "RegressorMixin.score", "MultiOutputMixin.score"})
# A search scores with its scorer: these are computed anyway, under these names and signs.
_SCORERS: Final[dict[str, tuple[str, int]]] = {
    "accuracy": ("accuracy_score", 1),
    "f1_weighted": ("f1_score", 1),
    "precision_weighted": ("precision_score", 1),
    "recall_weighted": ("recall_score", 1),
    "neg_log_loss": ("log_loss", -1),
    "r2": ("r2_score", 1),
    "neg_mean_squared_error": ("mean_squared_error", -1),
    "neg_mean_absolute_error": ("mean_absolute_error", -1),
    "neg_root_mean_squared_error": ("root_mean_squared_error", -1),
}


@dataclass(frozen=True)
class TrainingMetrics:
    """Metrics and figures, and how many rows they were computed from where these are a sample."""

    metrics: dict[str, float] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    rows: int | None = None


def training_metrics(
    estimator: Any, features: Any, targets: Any, weights: Any = None, *, most_rows: int
) -> TrainingMetrics:
    """Compute a classifier's or regressor's metrics on its training data, from one pass of predictions.

    Args:
        estimator: fitted, and trusted: none but a known library's code is called.
        features: shape (n, m), as it was given to fit.
        targets: shape (n,) or (n, outputs), or None.
        weights: shape (n,), or None.
        most_rows: of more rows so many are taken, spread evenly, and a tenth of them where every prediction is
            compared with the training data; of 0 rows nothing is computed.

    Returns:
        Nothing for an estimator without targets or predictions, and for a classifier of several outputs.
    """
    if not most_rows or not can_be_evaluated(estimator, features, targets):
        return TrainingMetrics()
    rows = None
    if type(final_estimator(estimator)).__module__.startswith(_SLOW):
        most_rows = max(most_rows // 10, 1)
    if count_rows(features) > most_rows:
        if getattr(features, "format", "") in _WITHOUT_ROWS:
            return TrainingMetrics()
        rows = most_rows
        features, targets, weights = sample_rows((features, targets, weights), most_rows)
    with _undisturbing():
        evaluated = _evaluate(estimator, predict(estimator, features), targets, weights)
        metrics = dict(evaluated.metrics)
        _correct_score(metrics, estimator, features, targets, weights)
    return TrainingMetrics(metrics, evaluated.figures, rows)


def batch_score(estimator: Any, features: Any, targets: Any, weights: Any = None) -> float | None:
    """Return the accuracy or r2 of an estimator that can be evaluated on a batch; None where it has none."""
    with _undisturbing():
        evaluated = _evaluate(estimator, Predictions(estimator.predict(features)), targets, weights, figures=False)
    return evaluated.metrics.get("training_score")


def can_be_evaluated(estimator: Any, features: Any, targets: Any) -> bool:
    """Say whether a trusted estimator predicts classes or numbers, and the data are known, with a target each."""
    if targets is None or not all(type(data).__module__.partition(".")[0] in _DATA for data in (features, targets)):
        return False
    if not hasattr(estimator, "predict") or count_rows(features) != count_rows(targets):
        return False
    base: Any = importlib.import_module("sklearn.base")
    has_one_output = len(getattr(targets, "shape", (0,))) == 1 or targets.shape[1] == 1
    return bool(base.is_regressor(estimator) or (has_one_output and base.is_classifier(estimator)))


def is_trusted(estimator: Any) -> bool:
    """Say whether predicting runs known code only, says nothing, and draws no random numbers."""
    if not is_known_code(type(estimator).get_params) or not is_known_code(estimator):
        return False
    params = estimator.get_params(deep=True)
    nested = list(nested_estimators(params.values()))
    return (
        all(map(is_known_code, nested))
        and not any(key.endswith("__verbose") and is_loud(value) for key, value in params.items())
        and not any(type(value).__name__ in _DRAWING for value in (estimator, *nested))
    )


def count_rows(data: Any) -> int:
    """Return how many rows an array, a table, a sparse matrix or a list has."""
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)


def _evaluate(
    estimator: Any, predictions: Predictions, targets: Any, weights: Any, *, figures: bool = True
) -> Evaluation:
    from autolog.evaluation import Evaluation, evaluate_classifier, evaluate_regressor

    base: Any = importlib.import_module("sklearn.base")
    if base.is_classifier(estimator):
        classes = getattr(estimator, "classes_", None)
        if classes is None or isinstance(classes, list):
            return Evaluation()
        return evaluate_classifier(
            targets, predictions.predicted, classes, predictions.probabilities, weights, figures=figures
        )
    if base.is_regressor(estimator):
        return evaluate_regressor(targets, predictions.predicted, weights, figures=figures)
    return Evaluation()


def _correct_score(metrics: dict[str, float], estimator: Any, features: Any, targets: Any, weights: Any) -> None:
    """Make ``training_score`` what ``score`` returns, where that is another function than most estimators'."""
    name = implementation(final_estimator(estimator), "score").partition(":")[2]
    scoring = getattr(estimator, "scoring", None)
    refit = getattr(estimator, "refit", None)
    is_search = hasattr(estimator, "best_estimator_")
    # What other estimators are told to score by is for themselves, such as when to stop.
    if name in _USUAL_SCORES and not (is_search and (scoring is not None or weights is not None)):
        return
    metrics.pop("training_score", None)
    if isinstance(refit, str) and not isinstance(scoring, str) and not callable(scoring):
        # Of several scores a search's own is the one that it refits by.
        scoring = scoring.get(refit) if isinstance(scoring, dict) else refit
    if isinstance(scoring, str) and scoring in _SCORERS and weights is None:
        metric, sign = _SCORERS[scoring]
        if f"training_{metric}" in metrics:
            metrics["training_score"] = sign * metrics[f"training_{metric}"]
    elif not callable(scoring) or (is_known_code(scoring) and is_known_code(getattr(scoring, "_score_func", None))):
        # What fits on lists may not score them.
        with suppress(AttributeError, TypeError, ValueError):
            metrics["training_score"] = float(estimator.score(features, targets))


def sample_rows(data: tuple[Any, Any, Any], most_rows: int) -> tuple[Any, Any, Any]:
    """Return so many rows of features, targets and weights, spread evenly; all of them where there are no more."""
    import numpy as np

    if (count := count_rows(data[0])) <= most_rows:
        return data
    rows = np.linspace(0, count - 1, most_rows).astype(np.int64)
    features, targets, weights = (_take(part, rows) for part in data)
    return features, targets, weights


def _take(data: Any, rows: Any) -> Any:
    if data is None:
        return None
    if hasattr(data, "iloc"):
        return data.iloc[rows]
    if type(data).__module__.startswith("pyarrow"):
        return data.take(rows)
    return [data[row] for row in rows.tolist()] if isinstance(data, (list, tuple)) else data[rows]


@contextmanager
def _undisturbing() -> Iterator[None]:
    """Hide warnings, and do not validate again what fit has accepted."""
    import numpy as np

    config_context: Any = importlib.import_module("sklearn").config_context
    trusting = config_context(assume_finite=True, skip_parameter_validation=True)
    with _warnings_silenced(), np.errstate(all="ignore"), trusting:
        yield


def _warnings_silenced() -> AbstractContextManager[object]:
    """Return what hides warnings, where no other thread of the program would have its own warnings hidden."""
    ours = threading.current_thread()
    if all(thread is ours or thread.name.startswith("autolog-") for thread in threading.enumerate()):
        return _catch_warnings()
    return nullcontext()


@contextmanager
def _catch_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
