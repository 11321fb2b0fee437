"""What a loop trains with, as params: the optimizer, the loss, the model, the seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def describe_optimizer(optimizer: Any, prefix: str) -> dict[str, Any]:
    """Return an optimizer's class and its settings, under the names that MLflow has for a fit's.

    Args:
        optimizer: Keras'; a ``get_config`` of the user's own is not called.
        prefix: begins the names, as in ``optimizer_``.
    """
    params: dict[str, Any] = {f"{prefix}class": type(optimizer).__name__}
    if _is_keras_own(type(optimizer).get_config):
        for key, value in optimizer.get_config().items():
            params.update(_describe(f"{prefix}{key}", value))
    return params


def describe_losses(losses: Sequence[Any], key: str) -> dict[str, Any]:
    """Return a loss and its settings; of a function its name, and of several only their names.

    Args:
        losses: Keras' objects, or names.
        key: begins the names, as in ``loss_reduction``.
    """
    params: dict[str, Any] = {}
    if losses:
        params[key] = ", ".join(loss if isinstance(loss, str) else type(loss).__name__ for loss in losses)
    if len(losses) == 1 and hasattr(losses[0], "get_config") and _is_keras_own(type(losses[0]).get_config):
        for name, value in losses[0].get_config().items():
            if name not in {"name", "dtype", "fn"}:
                params.update(_describe(f"{key}_{name}", value))
    return params


def describe_model(model: Any, trained: Iterable[Any]) -> dict[str, Any]:
    """Return a model's class and how many parameters it has.

    Args:
        model: Keras' or a ``tf.Module``; None where it is not known, and only what is trained can be counted.
        trained: the variables that the optimizer trains.
    """
    params: dict[str, Any] = {"trainable_params": _count(trained)}
    if model is not None:
        params["model_class"] = type(model).__name__
        params["total_params"] = _count(model.variables)
        if (policy := getattr(getattr(model, "dtype_policy", None), "name", None)) is not None:
            params["dtype_policy"] = policy
    return params


def describe_seed() -> dict[str, Any]:
    """Return what ``tf.random.set_seed`` or ``keras.utils.set_random_seed`` has been given, if it has."""
    from tensorflow.python.eager import context

    seed = context.global_seed()
    return {} if seed is None else {"seed": seed}


def _count(variables: Iterable[Any]) -> int:
    return sum(math.prod(size or 0 for size in variable.shape) for variable in variables)


def _is_keras_own(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("keras.")


def _describe(key: str, value: Any) -> Mapping[str, Any]:
    match value:
        case {"class_name": str() as name, "config": dict() as settings}:
            # A schedule, or another object in the form that Keras stores it in.
            described: dict[str, Any] = {key: name}
            for inner, setting in settings.items():
                if inner != "name":
                    described.update(_describe(f"{key}_{inner}", setting))
            return described
        case float():
            return {key: _shorten(value)}
    return {key: value}


def _shorten(value: float) -> float:
    """Return the shortest number that is the same in single precision, which is what Keras holds: 0.001 as such."""
    import numpy as np

    short = float(str(np.float32(value)))
    return short if value == float(np.float32(value)) else value
