"""What a Keras model was told: its optimizers, its losses and metrics, callbacks, the arguments of ``fit``.

Settings are read from what objects hold under the names of their constructors' parameters: no ``get_config`` is
called, which of a user's own class may do anything, and which warns of functions without a name.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any, Final

from autolog.hooks import Call
from autolog.integrations.boosting import read_arguments
from autolog.integrations.keras_schedules import evaluate
from autolog.integrations.sklearn_params import describe_value, full_name

_NO_SETTINGS: Final = frozenset({"self", "x", "y", "batch_size", "callbacks", "validation_data", "verbose"})
# Under these names MLflow has what early stopping was told.
_OF_EARLY_STOPPING: Final = ("monitor", "min_delta", "patience", "baseline", "restore_best_weights")
_PLAIN: Final = (str, int, float, bool, type(None))


def is_of_keras(value: Any, *names: str) -> bool:
    """Say whether an object's class is, or derives from, one of Keras' own; of these names, where any are given."""
    return any(
        cls.__module__.startswith("keras.") and (not names or cls.__name__ in names) for cls in type(value).__mro__
    )


def describe(value: Any) -> str:
    """Return a setting as a text of one line: of Keras' objects the class with what it was told."""
    kind = type(value)
    if kind in _PLAIN:
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_describe_item(key)}: {_describe_item(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_describe_item, value)) + "]"
    if hasattr(kind, "shape"):
        return f"{full_name(kind)}{tuple(value.shape)}"
    if is_of_keras(value) and not isinstance(value, type):
        told = {name: item for name, item in read_settings(value).items() if item is not None}
        return f"{kind.__name__}({', '.join(f'{name}={_describe_item(item)}' for name, item in told.items())})"
    return describe_value(value)


def _describe_item(value: Any) -> str:
    return repr(value) if type(value) in _PLAIN else describe(value)


def read_settings(value: Any) -> dict[str, Any]:
    """Return what an object holds under the names of its constructor's parameters, those of its bases included."""
    held = vars(value)
    found: dict[str, Any] = {}
    for cls in type(value).__mro__:
        constructor = vars(cls).get("__init__")
        if isinstance(constructor, FunctionType):
            for name in inspect.signature(constructor).parameters:
                for attribute in (name, f"_{name}"):
                    if attribute in held and name not in found:
                        found[name] = held[attribute]
    return found


# -- the call ----------------------------------------------------------------------------------------------------------


def describe_arguments(call: Call) -> dict[str, str]:
    """Return the settings among the arguments of ``fit``, defaults included; the size of a batch is to be found out."""
    return {name: describe(value) for name, value in read_arguments(call, _NO_SETTINGS).items()}


def listed_callbacks(callbacks: Any) -> list[Any]:
    """Return the callbacks that ``fit`` was given, however they are nested; what can be gone through once is left."""
    if is_of_keras(callbacks, "CallbackList"):
        callbacks = vars(callbacks).get("callbacks")
    if isinstance(callbacks, (list, tuple)):
        return [one for item in callbacks for one in listed_callbacks(item)]
    return [] if callbacks is None else [callbacks]


def describe_callbacks(callbacks: Iterable[Any]) -> dict[str, str]:
    """Return what callbacks were told: early stopping under MLflow's names, the rest behind the class's name."""
    params: dict[str, str] = {}
    names: dict[str, int] = {}
    for callback in callbacks:
        cls = type(callback).__name__
        names[cls] = number = names.get(cls, 0) + 1
        owner = cls if number == 1 else f"{cls}_{number}"
        is_stopping = number == 1 and is_of_keras(callback, "EarlyStopping")
        for name, value in read_settings(callback).items():
            key = name if is_stopping and name in _OF_EARLY_STOPPING else f"{owner}.{name}"
            params[key] = describe(value)
    return {"callbacks": describe(list(names)), **params} if names else {}


# -- the model ---------------------------------------------------------------------------------------------------------


def describe_compilation(model: Any) -> dict[str, str]:
    """Return what a model's ``compile`` was told, and what it computes with."""
    from keras.src import backend

    held = vars(model)
    losses, metrics = vars_of(held.get("_compile_loss")), vars_of(held.get("_compile_metrics"))
    told = {
        "loss": held.get("loss"),
        "loss_weights": losses.get("_user_loss_weights"),
        "metrics": metrics.get("_user_metrics"),
        "weighted_metrics": metrics.get("_user_weighted_metrics"),
        "run_eagerly": held.get("_run_eagerly"),
        "jit_compile": held.get("_jit_compile"),
        "steps_per_execution": held.get("steps_per_execution"),
        "distribute_strategy": held.get("_distribute_strategy"),
    }
    params = {name: describe(value) for name, value in told.items() if value is not None}
    for prefix, optimizer in optimizers_of(model).items():
        params |= describe_optimizer(prefix, optimizer)
    params |= {"model_class": full_name(type(model)), "backend": backend.backend(), "floatx": backend.floatx()}
    policy = vars_of(held.get("_dtype_policy")).get("_name")
    return params if policy is None else {**params, "dtype_policy": policy}


def vars_of(value: Any) -> Mapping[str, Any]:
    """Return what an object holds; nothing of one that has no such place."""
    return getattr(value, "__dict__", {})


def optimizers_of(model: Any) -> dict[str, Any]:
    """Return a model's optimizers by the names that it has for them; one with a step of its own may have several."""
    return {name.lstrip("_"): value for name, value in list(vars(model).items()) if is_of_keras(value, "BaseOptimizer")}


def describe_optimizer(prefix: str, optimizer: Any) -> dict[str, str]:
    """Return what an optimizer was told, under MLflow's names: ``optimizer_learning_rate``."""
    inner = innermost(optimizer)
    rate = vars(inner).get("_learning_rate")
    settings = read_settings(inner) | {"learning_rate": str(_to_numpy(rate)) if is_variable(rate) else rate}
    # Keras counts those that it has made so far: what was told is the same the second time.
    settings["name"] = chosen_name(inner) or snake_case(type(inner).__name__)
    name = type(inner).__name__ if inner is optimizer else f"{type(optimizer).__name__}({type(inner).__name__})"
    return {prefix: name, **{f"{prefix}_{key}": describe(value) for key, value in settings.items()}}


def chosen_name(named: Any) -> str | None:
    """Return the name that the user has given to a model or an optimizer; None where Keras has made one up."""
    name = vars_of(named).get("_name") or vars_of(named).get("name")
    pattern = rf"{re.escape(snake_case(type(named).__name__))}(_\d+)?"
    return None if not name or re.fullmatch(pattern, str(name)) else str(name)


def snake_case(name: str) -> str:
    """Return a class's name as Keras writes it in the names that it makes up."""
    from keras.src.utils.naming import to_snake_case

    return str(to_snake_case(name))


def innermost(optimizer: Any) -> Any:
    """Return the optimizer that another one scales the loss for, or the optimizer itself."""
    return vars(optimizer).get("inner_optimizer", optimizer)


def is_variable(value: Any) -> bool:
    """Say whether something is one of Keras' variables."""
    return is_of_keras(value, "Variable")


def _to_numpy(value: Any) -> Any:
    from keras.src import backend

    # Keras' own way has NumPy warn of TensorFlow's variables.
    return value.numpy() if backend.backend() == "tensorflow" else backend.convert_to_numpy(value)


def learning_rate_of(optimizer: Any) -> float | None:
    """Return the learning rate that an optimizer has reached; None where only the user's own code could tell."""
    held = vars(innermost(optimizer))
    rate = held.get("_learning_rate")
    if is_variable(rate):
        return float(_to_numpy(rate))
    if is_of_keras(rate, "LearningRateSchedule"):
        return evaluate(rate, int(_to_numpy(held["_iterations"])))
    return None


def count_weights(model: Any) -> dict[str, int]:
    """Return how many numbers a model that is built has, and how many of them are trained."""
    total, trainable = (
        sum(math.prod(weight.shape) for weight in weights) for weights in (model.weights, model.trainable_weights)
    )
    return {"total_params": total, "trainable_params": trainable, "non_trainable_params": total - trainable}
