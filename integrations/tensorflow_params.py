"""What a loop trains with, as params: the optimizer, the loss, the model, the seed. The names are those of a fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from autolog.integrations.keras_params import count_weights, describe, describe_optimizer, is_of_keras
from autolog.integrations.sklearn_params import full_name

__all__ = ["describe_losses", "describe_model", "describe_optimizer", "describe_seed"]


def describe_losses(losses: Sequence[Any]) -> dict[str, str]:
    """Return what a loss is computed by.

    Args:
        losses: Keras' objects, or the names of functions.
    """
    texts = [loss if isinstance(loss, str) else describe(loss) for loss in losses]
    return {"loss": ", ".join(texts)} if texts else {}


def describe_model(model: Any, trained: Iterable[Any]) -> dict[str, Any]:
    """Return a model's class and how many parameters it has.

    Args:
        model: Keras' or a ``tf.Module``; None where it is not known, and only what is trained can be counted.
        trained: the variables that the optimizer trains.
    """
    if model is None:
        return {"trainable_params": _count(trained)}
    params: dict[str, Any] = {"model_class": full_name(type(model))}
    if is_of_keras(model, "Layer"):
        policy = getattr(model.dtype_policy, "name", None)
        return {**params, **count_weights(model), **({} if policy is None else {"dtype_policy": policy})}
    total, trainable = _count(model.variables), _count(model.trainable_variables)
    return {**params, "total_params": total, "trainable_params": trainable, "non_trainable_params": total - trainable}


def describe_seed() -> dict[str, Any]:
    """Return what ``tf.random.set_seed`` or ``keras.utils.set_random_seed`` has been given, if it has."""
    from tensorflow.python.eager import context

    seed = context.global_seed()
    return {} if seed is None else {"seed": seed}


def _count(variables: Iterable[Any]) -> int:
    return sum(math.prod(size or 0 for size in variable.shape) for variable in variables)
