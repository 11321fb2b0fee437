"""Follow the predictions of recorded estimators, and log what is computed with them to the estimators' runs."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Final

from autolog.attribution import run_of_model
from autolog.callers import calling_package, variable_name
from autolog.hooks import Call, Hook, Integration
from autolog.loops import latest_loop
from autolog.predictions import EvaluatedData, find_prediction, note_predictions
from autolog.scores import describe_call, record_evaluation

# What they compute along the way is their own affair: the importance of a feature is no metric of the model.
_FRAMEWORKS: Final = frozenset({"sklearn", "imblearn", "xgboost", "lightgbm", "catboost", "joblib"})

# Of the names that scikit-learn has for predictions, the first that a function has is its own: where it has two,
# as `log_loss` since 1.9, `y_pred` is the deprecated one.
_PREDICTIONS: Final = ("y_proba", "y_prob", "y_score", "y_pred", "pred_decision", "labels_pred", "y2", "labels")

_NO_METRICS: Final = (
    "auc, check_scoring, consensus_score, euclidean_distances, get_scorer, get_scorer_names, make_scorer, "
    "nan_euclidean_distances, pairwise_distances, pairwise_distances_argmin, pairwise_distances_argmin_min, "
    "pairwise_distances_chunked, pairwise_kernels"
)


def observe_scores(sklearn: Integration) -> None:
    """Register the hooks of this module on scikit-learn's integration."""
    methods = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")
    sklearn.observe(*(f"sklearn.base:BaseEstimator+.{method}" for method in methods))(predict)
    sklearn.observe("sklearn.base:BaseEstimator+.score")(score)
    sklearn.observe("sklearn.metrics._scorer:_BaseScorer+.__call__")(scorer)
    sklearn.observe("sklearn.metrics._scorer:_MultimetricScorer.__call__")(scorers)
    sklearn.observe("sklearn.metrics._scorer:_PassthroughScorer.__call__")(passthrough_scorer)
    sklearn.follow(f"sklearn.metrics:* except {_NO_METRICS}")(metric)


def predict(call: Call) -> Hook:
    """Note which model the result comes from."""
    yield
    if call.error is None:
        estimator, *arguments = call.args if call.instance is None else (call.instance, *call.args)
        data = arguments[0] if arguments else next(iter(call.kwargs.values()), None)
        note_predictions(estimator, data, call.result, sys._getframe())  # noqa: SLF001  the documented way


def score(call: Call) -> Hook:
    """Log the estimator's own score."""
    yield
    estimator, *values = call.args if call.instance is None else (call.instance, *call.args)
    name = type(estimator).__name__
    _record_scores(call, estimator, f"{name}.score", values, {f"{name}_score": call.result})


def scorer(call: Call) -> Hook:
    """Log what a scorer has computed, under the name of its function and with that function's sign."""
    yield
    if _is_number(call.result):
        function, sign = call.instance._score_func, call.instance._sign  # noqa: SLF001  it has no other access
        _record_scorer(call, {_name_function(function): sign * call.result})


def scorers(call: Call) -> Hook:
    """Log what several scorers at once have computed, under the names that they have been given."""
    yield
    if isinstance(call.result, dict):
        _record_scorer(call, call.result)


def passthrough_scorer(call: Call) -> Hook:
    """Log what a scorer has computed that asks the estimator for its own score."""
    yield
    estimator = call.args[0] if call.args else call.kwargs.get("estimator")
    _record_scorer(call, {f"{type(estimator).__name__}_score": call.result})


def metric(call: Call) -> None:
    """Log a metric to the run whose model has made the predictions in it."""
    if not _is_number(call.result):
        return
    names, place = _parameters(call.function)
    arguments = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    predicted = arguments.get(place)
    found = None if predicted is None else find_prediction(predicted)
    if predicted is None or _is_frameworks(frame := sys._getframe(1)):  # noqa: SLF001  as above; its own frame would hold itself
        return
    if found is None:
        _record_for_loop(call, arguments, frame)
        return
    data = found.data
    if data.name is None and "X" in arguments:
        data = EvaluatedData(arguments["X"], variable_name(arguments["X"], frame))
    name = call.function.__name__
    record_evaluation(found.run, {name: call.result}, data, describe_call(name, arguments, frame))


def _record_for_loop(call: Call, arguments: Mapping[str, Any], frame: FrameType) -> None:
    """Log a metric of predictions of unknown origin to the training loop that goes on, for what it evaluates now."""
    loop = latest_loop()
    place = None if loop is None or loop.run.has_ended else loop.place_scores()
    if loop is not None and place is not None:
        split, step = place
        name = call.function.__name__
        text = describe_call(name, arguments, frame)
        record_evaluation(loop.run, {name: call.result}, EvaluatedData(None, split), text, step=step)


def _record_scorer(call: Call, metrics: Mapping[str, Any]) -> None:
    estimator, *values = call.args or (call.kwargs.get("estimator"),)
    _record_scores(call, estimator, "scorer", values, metrics)


def _record_scores(call: Call, estimator: Any, name: str, values: Sequence[Any], metrics: Mapping[str, Any]) -> None:
    """Log what was computed for an estimator and data that were given together.

    Args:
        call: of the score or the scorer.
        estimator: what was scored.
        name: of what was called, for the text of the call.
        values: the arguments by position, after the estimator: the features, the targets, weights.
        metrics: what has been computed; what is no number is left out.
    """
    numbers = {key: value for key, value in metrics.items() if _is_number(value)}
    run = run_of_model(estimator)
    if run is None or not numbers or _is_frameworks(frame := sys._getframe(1)):  # noqa: SLF001  as above; its own frame would hold itself
        return
    given = {key: value for key, value in call.kwargs.items() if key != "estimator"}
    given = {**dict(zip(("X", "y", "sample_weight"), values, strict=False)), **given}
    features, targets = given.get("X"), given.get("y", given.get("y_true"))
    data = EvaluatedData(features, variable_name(features, frame))
    record_evaluation(run, numbers, data, describe_call(name, given, frame), targets=targets)


def _is_number(value: Any) -> bool:
    """Say whether a result is one number: what has several, or is a text, is no metric."""
    kind = type(value)
    if kind in {int, float}:
        return True
    return kind.__module__ == "numpy" and getattr(value, "shape", None) == () and value.dtype.kind in "iuf"


def _is_frameworks(frame: FrameType | None) -> bool:
    return calling_package(frame) in _FRAMEWORKS


def _name_function(function: Any) -> str:
    """Return the name of a metric's function; of what has none, such as a partial one, that of what it calls."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() else "scorer"


@functools.lru_cache(maxsize=256)
def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """Return the names of a metric's parameters, and which of them takes the predictions."""
    names = tuple(inspect.signature(function).parameters)
    return names, next((name for name in _PREDICTIONS if name in names), "")
