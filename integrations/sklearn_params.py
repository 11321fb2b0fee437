"""What a scikit-learn estimator was told: its params as texts, its name, its structure, and its data."""

from __future__ import annotations

import inspect
import json
import sys
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final

from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.guard import guard
from autolog.run import ActiveRun
from autolog.trust import is_known_code

# By class: the names of the params, as the class itself gives them.
_names: Final[weakref.WeakKeyDictionary[type, list[str]]] = weakref.WeakKeyDictionary()

_PLAIN: Final = (str, int, float, bool, bytes, complex, type(None))

# What the constructor of a class takes, and what for by default.
_defaults: Final[weakref.WeakKeyDictionary[type, dict[str, Any]]] = weakref.WeakKeyDictionary()


def full_name(cls: type) -> str:
    """Return a class's module and name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def tags_of(estimator: Any) -> dict[str, str]:
    """Return the tags that say what a run has trained."""
    cls = type(estimator)
    return {"estimator_name": cls.__name__, "estimator_class": full_name(cls)}


def name_run(estimator: Any) -> str:
    """Return the estimator's class, and in brackets that of what it wraps: ``GridSearchCV(SVC)``."""
    inner = wrapped_estimator(estimator)
    name = type(estimator).__name__
    return name if inner is None else f"{name}({name_run(inner)})"


def wrapped_estimator(estimator: Any) -> Any:
    """Return the one estimator that another is about: a search's, or a pipeline's last; None where there is none."""
    params = read_params(estimator, deep=False)
    inner = params.get("estimator")
    match params.get("steps"):
        case [*_, (str(), last)]:
            inner = last
    return inner if is_estimator(inner) else None


def describe_params(estimator: Any) -> dict[str, str]:
    """Return what ``get_params(deep=True)`` gives as texts; of a search without the params of what it tunes."""
    return describe_values(read_params(estimator, deep=not is_search(estimator)))


def is_search(estimator: Any) -> bool:
    """Say whether an estimator is one of scikit-learn's searches, or derives from them."""
    return any(
        cls.__name__ == "BaseSearchCV" and cls.__module__ == "sklearn.model_selection._search"
        for cls in type(estimator).__mro__
    )


def describe_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as texts."""
    described = {}
    for key, value in values.items():
        with guard(f"describing the param {key}"):
            described[str(key)] = describe_value(value)
    return described


def read_params(estimator: Any, *, deep: bool) -> dict[str, Any]:
    """Return an estimator's params; a ``get_params`` of the user's own is not called, since it may do anything."""
    cls = type(estimator)
    if not deep and cls.__module__.startswith("sklearn.") and hasattr(cls, "_get_param_names"):
        # What get_params() does, which inspects the constructor's signature every time.
        return {name: getattr(estimator, name) for name in _param_names(cls)}
    if is_known_code(cls.get_params):
        try:
            params: dict[str, Any] = estimator.get_params(deep=deep)
        except TypeError:
            # A class stands where one of its objects should, for which the fit is about to fail.
            params = estimator.get_params(deep=False)
        return params
    return {name: value for name, value in vars(estimator).items() if not name.startswith("_")}


def _param_names(cls: Any) -> list[str]:
    if cls not in _names:
        _names[cls] = cls._get_param_names()
    return _names[cls]


def is_estimator(value: Any) -> bool:
    """Say whether a value is an estimator rather than a class of them or something else."""
    return not isinstance(value, type) and hasattr(type(value), "get_params")


def name_of_last_step(estimator: Any) -> str:
    """Return what a pipeline calls its last step; of anything else the empty text."""
    match read_params(estimator, deep=False).get("steps") if is_estimator(estimator) else None:
        case [*_, (str() as name, _)]:
            return name
    return ""


def trains_several(estimator: Any) -> bool:
    """Say whether a fit trains estimators of which none is the model: members, folds, outputs.

    A pipeline's model is its last step, a search's is what it fits again at the end.
    """
    params = read_params(estimator, deep=False)
    inner: Any = None
    match params.get("steps"):
        case [*_, (str(), last)]:
            inner = last
    if is_search(estimator):
        inner = params.get("estimator")
    elif "regressor" in params and "transformer" in params:
        inner = params["regressor"]
    if is_estimator(inner):
        return trains_several(inner)
    return any(is_estimator(value) for value in nested_estimators(params.values()))


def nested_estimators(values: Any) -> Iterator[Any]:
    """Yield the estimators and the functions among some params, those in lists and tuples included."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from nested_estimators(value)
        elif hasattr(type(value), "get_params") or callable(value):
            yield value


def describe_value(value: Any) -> str:
    """Return a param as a text of one line that is the same in every run with the same settings.

    A nested estimator is its class's name, since its params stand beside it, and a function is its full name:
    the representations of both are slow, long, or different each time. So is an object of the user's own,
    whose representation may do anything, and an iterator, whose representation is its address.
    """
    kind = type(value)
    if kind in _PLAIN:
        return str(value)
    if kind.__module__ == "numpy" and getattr(value, "dtype", None) == "O":
        # It may hold anything, as a list may.
        return describe_value(value.tolist())
    if is_estimator(value):
        return f"{kind.__name__}()"
    if kind in {list, tuple, set, frozenset, dict}:
        return _describe_items(value)
    is_named = isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type))
    if is_known_code(value) and not is_named and not hasattr(kind, "__next__"):
        return str(value)
    named = value if is_named else kind
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


def log_structure(run: ActiveRun, estimator: Any) -> None:
    """Store how an estimator is put together, with the params that were changed, as ``estimator.json``.

    It stands in for MLflow's ``estimator.html``, which takes scikit-learn many times longer to make than a small fit.
    """
    run.log_content("estimator.json", json.dumps(describe_structure(estimator), indent=1).encode(errors="replace"))


def describe_structure(estimator: Any) -> dict[str, Any]:
    """Return an estimator as a tree.

    Returns:
        ``class``, its full name; ``params``, the texts of those that differ from the defaults; and ``parts``,
        where it holds estimators: a list of trees, each with the ``name`` that its place has.
    """
    changed: dict[str, str] = {}
    parts: list[dict[str, Any]] = []
    for key, value in read_params(estimator, deep=False).items():
        found = list(_parts(key, value))
        parts += found
        if not found and not _is_default(type(estimator), key, value):
            with guard(f"describing the param {key}"):
                changed[key] = describe_value(value)
    tree: dict[str, Any] = {"class": full_name(type(estimator)), "params": changed}
    return tree | {"parts": parts} if parts else tree


def _parts(key: str, value: Any) -> Iterator[dict[str, Any]]:
    if is_estimator(value):
        yield {"name": key, **describe_structure(value)}
    elif type(value) in {list, tuple}:
        # A pipeline's steps, the members of an ensemble, a column transformer's (name, transformer, columns).
        for item in value:
            match item:
                case (str() as name, part, *columns) if is_estimator(part) or part is None or type(part) is str:
                    tree = describe_structure(part) if is_estimator(part) else {"class": str(part), "params": {}}
                    yield {"name": name, **({"columns": describe_value(columns[0])} if columns else {}), **tree}


def _is_default(cls: type, name: str, value: Any) -> bool:
    defaults = _defaults.get(cls)
    if defaults is None:
        parameters = inspect.signature(vars(cls).get("__init__", cls)).parameters.values()
        defaults = {one.name: one.default for one in parameters}
        _defaults[cls] = defaults
    default = defaults.get(name, inspect.Parameter.empty)
    # NaN is not equal to itself, and what is no plain value may answer anything.
    return value is default or (type(value) in _PLAIN and type(default) is type(value) and repr(value) == repr(default))


def describe_input(features: Any, targets: Any) -> DatasetInput:
    """Return the training data as a run's input, under the name that the caller's variable has."""
    from autolog.callers import variable_name
    from autolog.datasets import describe

    name = variable_name(features, sys._getframe(1)) or "dataset"  # noqa: SLF001  the documented way to the caller
    dataset: Dataset = describe(features, targets, name=name)
    return DatasetInput(dataset=dataset, tags=(InputTag("mlflow.data.context", "train"),))
