"""Training metrics of a fitted scikit-learn estimator, under MLflow's names."""

from __future__ import annotations

import copy
import importlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from autolog.trust import is_known_code

# More rows than this are sampled evenly, so that what is added to a training stays small beside it.
MOST_ROWS: Final = 10_000

# It may draw from the program's random numbers when it predicts.
_DRAWING: Final = frozenset({"DummyClassifier"})


@dataclass(frozen=True)
class TrainingMetrics:
    """Metrics, and how many rows they were computed from where these are a sample."""

    metrics: dict[str, float] = field(default_factory=dict)
    rows: int | None = None


def training_metrics(estimator: Any, features: Any, targets: Any, weights: Any = None) -> TrainingMetrics:
    """Compute a classifier's or regressor's metrics on its training data, from one pass of predictions.

    Args:
        estimator: fitted.
        features: shape (n, m), as it was given to fit.
        targets: shape (n,), or None.
        weights: shape (n,), or None.

    Returns:
        Nothing for an estimator without targets or predictions, for several outputs,
        or where code that is not a known library's would be called.
    """
    from sklearn import config_context
    from sklearn.base import is_classifier, is_regressor

    if targets is None or not _is_trusted(estimator) or not hasattr(estimator, "predict"):
        return TrainingMetrics()
    if getattr(targets, "ndim", 1) != 1 or _count_rows(features) != _count_rows(targets):
        return TrainingMetrics()
    rows = None
    if (count := _count_rows(features)) > MOST_ROWS:
        rows = MOST_ROWS
        features, targets, weights = (_sample(data, count) for data in (features, targets, weights))
    # What fit has accepted need not be validated again, by every metric on its own.
    trusting = config_context(assume_finite=True, skip_parameter_validation=True)
    with _warnings_silenced(), trusting:
        if is_classifier(estimator):
            return TrainingMetrics(_classifier_metrics(_quiet(estimator), features, targets, weights), rows)
        if is_regressor(estimator):
            return TrainingMetrics(_regressor_metrics(_quiet(estimator), features, targets, weights), rows)
    return TrainingMetrics()


def _classifier_metrics(estimator: Any, features: Any, targets: Any, weights: Any) -> dict[str, float]:
    metrics: Any = importlib.import_module("sklearn.metrics")
    predicted = estimator.predict(features)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        targets, predicted, average="weighted", sample_weight=weights, zero_division=0
    )
    accuracy = metrics.accuracy_score(targets, predicted, sample_weight=weights)
    computed = {
        "training_precision_score": precision,
        "training_recall_score": recall,
        "training_f1_score": f1,
        "training_accuracy_score": accuracy,
        "training_score": accuracy,
    }
    if hasattr(estimator, "predict_proba"):
        probabilities, classes = estimator.predict_proba(features), estimator.classes_
        computed["training_log_loss"] = metrics.log_loss(targets, probabilities, sample_weight=weights, labels=classes)
        if len(classes) > 1:
            computed["training_roc_auc"] = metrics.roc_auc_score(
                targets,
                probabilities[:, 1] if len(classes) == 2 else probabilities,  # noqa: PLR2004  binary
                average="weighted",
                sample_weight=weights,
                multi_class="ovo",
                labels=None if len(classes) == 2 else classes,  # noqa: PLR2004  binary
            )
    return {key: float(value) for key, value in computed.items()}


def _regressor_metrics(estimator: Any, features: Any, targets: Any, weights: Any) -> dict[str, float]:
    metrics: Any = importlib.import_module("sklearn.metrics")
    predicted = estimator.predict(features)
    squared = float(metrics.mean_squared_error(targets, predicted, sample_weight=weights))
    r2 = float(metrics.r2_score(targets, predicted, sample_weight=weights))
    return {
        "training_mean_squared_error": squared,
        "training_mean_absolute_error": float(metrics.mean_absolute_error(targets, predicted, sample_weight=weights)),
        "training_root_mean_squared_error": squared**0.5,
        "training_r2_score": r2,
        "training_score": r2,
    }


def _quiet(estimator: Any) -> Any:
    """Return the estimator, or where it reports what it does, a shallow copy that does not."""
    if not getattr(estimator, "verbose", 0):
        return estimator
    silent = copy.copy(estimator)
    silent.verbose = 0
    return silent


def _is_trusted(estimator: Any) -> bool:
    """Say whether predicting runs known code only, says nothing, and draws no random numbers."""
    if not is_known_code(type(estimator).get_params) or not is_known_code(estimator):
        return False
    params = estimator.get_params(deep=True)
    return (
        all(is_known_code(value) for value in _nested(params.values()))
        and not any(key.endswith("__verbose") and value for key, value in params.items())
        and not any(type(value).__name__ in _DRAWING for value in (estimator, *_nested(params.values())))
    )


def _nested(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _nested(value)
        elif hasattr(type(value), "get_params") or callable(value):
            yield value


def _count_rows(data: Any) -> int:
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)


def _sample(data: Any, count: int) -> Any:
    import numpy as np

    if data is None:
        return None
    rows = np.linspace(0, count - 1, MOST_ROWS).astype(np.int64)
    if hasattr(data, "iloc"):
        return data.iloc[rows]
    return [data[row] for row in rows.tolist()] if isinstance(data, (list, tuple)) else data[rows]


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
