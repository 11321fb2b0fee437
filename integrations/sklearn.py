"""Record the fit of every scikit-learn estimator: params, training metrics, data sets, outcome."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final

from autolog.attribution import attribute_model
from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.integrations.sklearn_scores import observe_scores
from autolog.predictions import note_predictions
from autolog.run import ActiveRun
from autolog.trust import is_known_code

_PLAIN: Final = (str, int, float, bool, bytes, complex, type(None))

sklearn: Final = Integration("sklearn", requires="scikit-learn>=1.4")
observe_scores(sklearn)

# Fitting one of these on its own prepares data and trains nothing; MLflow leaves the same ones out.
_PREPARATION: Final = (
    "sklearn.preprocessing.",
    "sklearn.impute.",
    "sklearn.feature_extraction.",
    "sklearn.feature_selection.",
    "sklearn.compose._column_transformer.",
)

# What a fit leaves behind in one number, under MLflow's name where it has one.
_RESULTS: Final = {
    "best_score_": "best_cv_score",
    "inertia_": "inertia",
    "n_iter_": "n_iter",
    "oob_score_": "oob_score",
}


@sklearn.around(
    "sklearn.base:BaseEstimator+.fit",
    "sklearn.base:BaseEstimator+.fit_transform",
    "sklearn.base:BaseEstimator+.fit_predict",
)
def fit(call: Call) -> Hook:
    """Record the outermost fit: params and data before it, what came of it after."""
    estimator = call.instance if call.instance is not None else call.args[0]
    cls = type(estimator)
    full_name = f"{cls.__module__}.{cls.__qualname__}"
    if full_name.startswith(_PREPARATION):
        yield
        return
    run = call.begin(name_run(estimator), estimator_name=cls.__name__, estimator_class=full_name)
    with guard("recording params"):
        log_params(run, cls.__name__, describe_params(estimator))
    features, targets = call.argument("X"), call.argument("y")
    if features is not None and run.tracking.settings.log_datasets:
        with guard("describing a data set"):
            run.log_inputs([describe_input(features, targets)])
    yield
    if call.error is not None:
        return
    attribute_model(estimator, run)
    note_predictions(estimator, features, call.result, sys._getframe())  # noqa: SLF001  the documented way to the caller
    with guard("recording results"):
        log_results(run, estimator)
    weights = call.argument("sample_weight")
    with guard("computing training metrics"):
        from autolog.integrations.sklearn_metrics import training_metrics

        computed = training_metrics(estimator, features, targets, weights)
        run.log_metrics(computed.metrics)
        if computed.rows is not None:
            run.set_tag("autolog.training_metrics.rows", computed.rows)


@sklearn.around(
    "sklearn.model_selection:cross_validate",
    "sklearn.model_selection:cross_val_score",
    "sklearn.model_selection:cross_val_predict",
    "sklearn.model_selection:learning_curve",
    "sklearn.model_selection:validation_curve",
    "sklearn.model_selection:permutation_test_score",
)
def validate(_: Call) -> Hook:
    """Keep the fits of a cross-validation from becoming runs of their own."""
    yield


def name_run(estimator: Any) -> str:
    """Return the estimator's class, and in brackets that of what it wraps: ``GridSearchCV(SVC)``."""
    name = type(estimator).__name__
    params = read_params(estimator, deep=False)
    inner = params.get("estimator")
    match params.get("steps"):
        case [*_, (str(), last)]:
            inner = last
    return f"{name}({name_run(inner)})" if is_estimator(inner) else name


def describe_params(estimator: Any) -> dict[str, str]:
    """Return what ``get_params(deep=True)`` gives as texts; of a search without the params of what it tunes."""
    described = {}
    params = read_params(estimator, deep=False)
    if "cv" not in params:
        params = read_params(estimator, deep=True)
    for key, value in params.items():
        with guard(f"describing the param {key}"):
            described[key] = describe_value(value)
    return described


def read_params(estimator: Any, *, deep: bool) -> dict[str, Any]:
    """Return an estimator's params; a ``get_params`` of the user's own is not called, since it may do anything."""
    if is_known_code(type(estimator).get_params):
        params: dict[str, Any] = estimator.get_params(deep=deep)
        return params
    return {name: value for name, value in vars(estimator).items() if not name.startswith("_")}


def is_estimator(value: Any) -> bool:
    """Say whether a value is an estimator rather than a class of them or something else."""
    return not isinstance(value, type) and hasattr(type(value), "get_params")


def describe_value(value: Any) -> str:
    """Return a param as a text of one line that is the same in every run with the same settings.

    A nested estimator is its class's name, since its params stand beside it, and a function is its full name:
    the representations of both are slow, long, or different each time. So is an object of the user's own,
    whose representation may do anything.
    """
    if type(value).__module__ == "numpy" and getattr(value, "dtype", None) == "O":
        # It may hold anything, as a list may.
        value = value.tolist()
    if type(value) in _PLAIN:
        return str(value)
    if is_estimator(value):
        return f"{type(value).__name__}()"
    if type(value) in {list, tuple, set, frozenset, dict}:
        return _describe_items(value)
    is_named = isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type))
    if is_known_code(value) and not is_named:
        return str(value)
    named = value if is_named else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _describe_items(values: Any) -> str:
    if isinstance(values, dict):
        return "{" + ", ".join(f"{_describe_item(key)}: {_describe_item(item)}" for key, item in values.items()) + "}"
    if all(type(value) in _PLAIN for value in values):
        return str(values)
    brackets = "[]" if isinstance(values, list) else "()" if isinstance(values, tuple) else "{}"
    return brackets[0] + ", ".join(map(_describe_item, values)) + brackets[1]


def _describe_item(value: Any) -> str:
    return repr(value) if type(value) in _PLAIN else describe_value(value)


def log_params(run: ActiveRun, name: str, params: Mapping[str, str]) -> None:
    """Log params; where the user has logged another value under the name, ours gets the estimator's name before it."""
    run.log_params(
        {key if run.params.get(key, value) == value else f"{name}.{key}": value for key, value in params.items()}
    )


def describe_input(features: Any, targets: Any) -> DatasetInput:
    """Return the training data as a run's input, under the name that the caller's variable has."""
    from autolog.callers import variable_name
    from autolog.datasets import describe

    name = variable_name(features, sys._getframe(1)) or "dataset"  # noqa: SLF001  the documented way to the caller
    dataset: Dataset = describe(features, targets, name=name)
    return DatasetInput(dataset=dataset, tags=(InputTag("mlflow.data.context", "train"),))


def log_results(run: ActiveRun, estimator: Any) -> None:
    """Log what the fit found, as far as the estimator keeps it in plain attributes."""
    found = vars(estimator)
    run.log_metrics(dict(_numbers(found)))
    best = found.get("best_params_")
    if isinstance(best, Mapping):
        run.log_params({f"best_{key}": describe_value(value) for key, value in best.items()})


def _numbers(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for attribute, name in _RESULTS.items():
        value = found.get(attribute)
        if isinstance(value, (int, float)) or (value is not None and getattr(value, "shape", None) == (1,)):
            yield name, float(value if isinstance(value, (int, float)) else value[0])
