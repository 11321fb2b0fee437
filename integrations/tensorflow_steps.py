"""The calls that a step of a loop is made of, put together.

The loss of a step is what was differentiated for the variables that it trains. What has been noted waits, in its
thread, for the step; nothing is kept of it afterwards.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from typing import Any, Final

from autolog.callers import variable_name
from autolog.integrations.tensorflow_gradients import Gradient
from autolog.integrations.tensorflow_graphs import note_traced_step
from autolog.integrations.tensorflow_loops import HIDDEN_LOSS, begin_loop, current_loop, find_loop
from autolog.integrations.tensorflow_values import as_scalar

# Gradients and losses that wait for the step that they belong to.
_MOST_WAITING: Final = 16


class _Waiting(threading.local):
    """What is known in a thread of the step that is to come."""

    def __init__(self) -> None:
        self.gradients: dict[int, Gradient] = {}
        # Each with its result.
        self.losses: deque[tuple[Any, weakref.ref[Any]]] = deque(maxlen=_MOST_WAITING)
        self.scaled: tuple[Any, Any] | None = None
        self.rate: Any = None
        self.owner: weakref.ref[Any] | None = None


_waiting: Final = _Waiting()


def note_gradient(tape: Any, target: Any, sources: Any) -> None:
    """Note what a tape has differentiated."""
    first = _first(sources)
    if first is None or not hasattr(first, "trainable"):
        # With respect to inputs, as for a penalty.
        return
    if _waiting.scaled is not None:
        result, loss = _waiting.scaled
        _waiting.scaled = None
        target = loss if target is result else target
    if len(_waiting.gradients) >= _MOST_WAITING:
        _waiting.gradients.clear()
    gradient = _waiting.gradients.get(id(first))
    if gradient is None:
        gradient = _waiting.gradients[id(first)] = Gradient()
    gradient.add(tape, target)
    loop = current_loop()
    if gradient.name is None and (loop is None or id(first) not in loop.trained):
        gradient.name = variable_name(target, sys._getframe())  # noqa: SLF001  the documented way to the caller
    if not gradient.losses:
        computed = {id(loss): loss for loss, _ in _waiting.losses}
        gradient.losses = [loss for loss, result in _waiting.losses if result() is target] or list(computed.values())


def note_scaled_loss(result: Any, loss: Any) -> None:
    """Note of which loss another is the multiple that is differentiated."""
    if result is not loss:
        _waiting.scaled = result, loss


def note_learning_rate(rate: Any) -> None:
    """Note the learning rate that an optimizer has asked for; what is no tensor is the variable that it holds."""
    _waiting.rate = as_scalar(rate)


def note_loss(loss: Any, result: Any) -> None:
    """Note a loss that has been computed.

    Args:
        loss: one of Keras' objects, or the name of a function; it takes the place of the functions that it has called.
        result: what has come of it.
    """
    losses = _waiting.losses
    while losses and isinstance(losses[-1][0], str):
        losses.pop()
    losses.append((loss, weakref.ref(result)))


def note_owner(owner: Any, variables: Any) -> None:
    """Note whose variables somebody has asked for; the last of several that are in each other is the outermost."""
    if variables:
        _waiting.owner = weakref.ref(owner)


def note_optimizer(optimizer: Any) -> None:
    """Note an optimizer that has just been made."""
    loop = current_loop()
    if loop is not None:
        loop.note_newcomer(optimizer)


def note_step(optimizer: Any, variables: Any) -> None:
    """Record a step that an optimizer has done eagerly; of one that is traced, that it is."""
    import tensorflow as tf

    # An iterator that was passed for the variables is used up.
    trained = variables if isinstance(variables, (list, tuple)) else optimizer._trainable_variables  # noqa: SLF001
    if not trained:
        return
    gradient = _waiting.gradients.pop(id(trained[0]), None)
    rate, _waiting.rate = _waiting.rate, None
    _waiting.losses.clear()
    _waiting.scaled = None
    if not tf.executing_eagerly():
        note_traced_step(optimizer, _find_model(trained[0]), gradient)
        return
    found = find_loop(optimizer) or begin_loop(optimizer, _find_model(trained[0]), gradient, "eager")
    if found is None:
        return
    loop, part = found
    if not part.advance(1):
        part.step = int(optimizer._iterations.numpy()) - 1  # noqa: SLF001  the public property computes
    if gradient is not None and gradient.values and not gradient.hidden:
        part.record_loss(loop.run, gradient.values)
    else:
        loop.hide((gradient is not None and gradient.hidden) or HIDDEN_LOSS)
    part.record_rate(loop.run, rate)
    loop.touch()


def _first(sources: Any) -> Any:
    if isinstance(sources, (list, tuple)):
        return sources[0] if sources else None
    return next(iter(sources.values()), None) if isinstance(sources, dict) else sources


def _find_model(variable: Any) -> Any:
    """Return the model whose variables somebody has asked for lately, where this is among them."""
    model = None if _waiting.owner is None else _waiting.owner()
    if model is None:
        return None
    return model if any(one is variable for one in model.trainable_variables) else None
