"""Cross-validations as runs: the folds, sizes, values or permutations are the steps of their metrics."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.sklearn_params import (
    describe_input,
    describe_params,
    describe_values,
    is_estimator,
    log_params,
    log_structure,
    name_run,
)

if TYPE_CHECKING:
    from autolog.run import ActiveRun

# Arguments that say what is done; the others are data, say how fast or how loudly it is done, or what is returned.
_TELLING: Final = (
    *("cv", "scoring", "train_sizes", "exploit_incremental_learning", "param_name", "param_range"),
    *("n_permutations", "method", "shuffle", "random_state"),
)


def function_name(call: Call) -> str:
    """Return the name of the function that validates."""
    return str(getattr(call.function, "__name__", "validation"))


def name_validation(call: Call, estimator: Any) -> str:
    """Return a run's name: ``cross_validate(SVC)``."""
    return f"{function_name(call)}({name_run(estimator) if is_estimator(estimator) else type(estimator).__name__})"


def log_validation_beginning(run: ActiveRun, call: Call, estimator: Any) -> None:
    """Record what is validated, how, and on which data."""
    name = function_name(call)
    with guard("recording params"):
        if is_estimator(estimator):
            log_params(run, type(estimator).__name__, describe_params(estimator))
        parameters = inspect.signature(call.function).parameters
        telling = {key: call.argument(key, parameters[key].default) for key in _TELLING if key in parameters}
        log_params(run, name, describe_values(telling))
    with guard("recording an estimator's structure"):
        if is_estimator(estimator):
            log_structure(run, estimator)
    features, targets = call.argument("X"), call.argument("y")
    if features is not None and run.tracking.settings.log_datasets:
        with guard("describing a data set"):
            run.log_inputs([describe_input(features, targets)])


def log_validation_end(run: ActiveRun, call: Call) -> None:
    """Record the scores that the function returns."""
    log = _RESULTS.get(function_name(call))
    if log is not None:
        with guard("recording the scores of a validation"):
            log(run, call)


def _log_cross_validate(run: ActiveRun, call: Call) -> None:
    columns = {key: values for key, values in call.result.items() if _is_scores(values)}
    for key, values in columns.items():
        _log_folds(run, key, values)
    _log_figure(run, {key: values for key, values in columns.items() if not key.endswith("_time")})


def _log_cross_val_score(run: ActiveRun, call: Call) -> None:
    _log_folds(run, "test_score", call.result)
    _log_figure(run, {"test_score": call.result})


def _log_learning_curve(run: ActiveRun, call: Call) -> None:
    from autolog.figures import learning_curve_figure, log_figures

    sizes, train_scores, test_scores, *times = call.result
    _log_curve(run, [int(size) for size in sizes], train_scores, test_scores, times)
    log_figures(run, [learning_curve_figure(sizes, train_scores, test_scores, _scoring(call))])


def _log_validation_curve(run: ActiveRun, call: Call) -> None:
    from autolog.figures import log_figures, validation_curve_figure

    train_scores, test_scores = call.result
    _log_curve(run, range(len(train_scores)), train_scores, test_scores, ())
    values = call.argument("param_range")
    if type(values) in {list, tuple, range} or type(values).__module__ == "numpy":
        varied = str(call.argument("param_name"))
        log_figures(run, [validation_curve_figure(varied, list(values), train_scores, test_scores, _scoring(call))])


def _log_permutation_test(run: ActiveRun, call: Call) -> None:
    score, permuted, pvalue = call.result
    run.log_metrics({"score": float(score), "pvalue": float(pvalue)})
    _log_folds(run, "permutation_score", permuted)


def _log_curve(run: ActiveRun, steps: Sequence[int], train_scores: Any, test_scores: Any, times: Sequence[Any]) -> None:
    """Log mean and standard deviation over the folds, at each step of a curve."""
    named = {"train_score": train_scores, "test_score": test_scores, **dict(zip(_TIMES, times, strict=False))}
    for name, scores in named.items():
        for step, mean, deviation in zip(steps, scores.mean(axis=1).tolist(), scores.std(axis=1).tolist(), strict=True):
            run.log_metric(f"mean_{name}", mean, step)
            run.log_metric(f"std_{name}", deviation, step)


def _log_folds(run: ActiveRun, name: str, values: Any) -> None:
    """Log the folds' values as steps, and their mean and standard deviation under scikit-learn's names for them."""
    for step, value in enumerate(values.tolist()):
        run.log_metric(name, value, step)
    run.log_metrics({f"mean_{name}": float(values.mean()), f"std_{name}": float(values.std())})


def _log_figure(run: ActiveRun, scores: Mapping[str, Any]) -> None:
    from autolog.figures import cross_validation_figure, log_figures

    log_figures(run, [cross_validation_figure(scores)])


def _is_scores(values: Any) -> bool:
    return type(values).__module__ == "numpy" and values.ndim == 1 and values.dtype.kind in "iuf"


def _scoring(call: Call) -> str | None:
    scoring = call.argument("scoring")
    return scoring if type(scoring) is str else None


_TIMES: Final = ("fit_time", "score_time")
_RESULTS: Final[dict[str, Callable[[ActiveRun, Call], None]]] = {
    "cross_validate": _log_cross_validate,
    "cross_val_score": _log_cross_val_score,
    "learning_curve": _log_learning_curve,
    "validation_curve": _log_validation_curve,
    "permutation_test_score": _log_permutation_test,
}
