"""Loops around ``tf.GradientTape``, and the runs that they are recorded in.

A step is one call of ``optimizer.apply_gradients`` or ``optimizer.apply``, and its number is what
``optimizer.iterations`` is before it: that of the first is 0.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from autolog.attribution import attribute_model
from autolog.callers import variable_name
from autolog.guard import guard
from autolog.integrations.keras_params import is_of_keras
from autolog.integrations.keras_structure import summarize
from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.tensorflow_gradients import Gradient
from autolog.integrations.tensorflow_params import describe_losses, describe_model, describe_optimizer, describe_seed
from autolog.integrations.tensorflow_values import as_scalar, deliver, wait_for_values
from autolog.loops import Loop
from autolog.run import ActiveRun

HIDDEN_TAG: Final = "autolog.tensorflow.hidden"
MODE_TAG: Final = "autolog.tensorflow.mode"
HIDDEN_LOSS: Final = "the loss: it is neither differentiated where it can be read, nor returned"

# An optimizer that was made before a loop began may have its first step so many steps into it: a GAN's second.
_LATEST_FIRST_STEP: Final = 10
# Reading the learning rate, or computing a schedule's, may take this share of the time, and so many seconds before.
_READING_SHARE: Final = 0.01
_READING_GRACE: Final = 0.02


class Later:
    """The number of a step that only the device knows yet."""

    def __init__(self) -> None:
        self.number = 0

    def set(self, number: float) -> None:
        """Say what it is."""
        self.number = int(number)


class Part:
    """One optimizer in a loop.

    Args:
        optimizer: Keras'.
        name: of a second or further one in the user's code; empty for the first.
        loss_key: what its loss is called.
    """

    def __init__(self, optimizer: Any, name: str, loss_key: str) -> None:
        self.optimizer: Final = weakref.ref(optimizer)
        self.loss_key: Final = loss_key
        self.rate_key: Final = f"learning_rate_{name}" if name else "learning_rate"
        self.step: int | Later | None = None
        self._accumulation: Final[int] = getattr(optimizer, "gradient_accumulation_steps", None) or 1
        self._accumulated: list[Any] = []
        self._rate: float | None = None
        self._began: Final = time.perf_counter()
        self._spent = 0.0

    def advance(self, count: int) -> bool:
        """Count steps; return whether it is known what to count from."""
        if type(self.step) is not int:
            return False
        self.step += count
        return True

    def number(self) -> Callable[[], int]:
        """Return what tells the number of the present step, where that may not be known yet."""
        step = self.step
        if isinstance(step, Later):
            return lambda: step.number // self._accumulation
        number = (step or 0) // self._accumulation
        return lambda: number

    def record_loss(self, run: ActiveRun, values: list[Any]) -> None:
        """Log the loss of the present step; where gradients are accumulated, the mean of those for an update."""
        if self._accumulation > 1:
            self._accumulated += values
            if not isinstance(self.step, int) or (self.step + 1) % self._accumulation:
                return
            values, self._accumulated = self._accumulated, []
        number = self.number()
        deliver(values, lambda value: run.log_metric(self.loss_key, value, number()))

    def record_rate(self, run: ActiveRun, rate: Any) -> None:
        """Log the learning rate where it is another than before.

        Args:
            run: where to.
            rate: of this step where a schedule has just computed it; None where it is to be read.
        """
        if rate is None:
            now = time.perf_counter()
            if self._spent > _READING_SHARE * (now - self._began) + _READING_GRACE:
                return
            rate = self._read_rate()
            self._spent += time.perf_counter() - now
            if rate is None:
                return
        number = self.number()

        def take(value: float) -> None:
            if value != self._rate:
                self._rate = value
                run.log_metric(self.rate_key, value, number())

        deliver((rate,), take)

    def _read_rate(self) -> Any:
        """Return the learning rate of the present step; None where that is a function of the user's."""
        import tensorflow as tf

        rate: Any = getattr(self.optimizer(), "_learning_rate", None)
        variable = getattr(rate, "value", None)
        if isinstance(variable, tf.Variable):
            return as_scalar(tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype))
        is_schedule = type(rate).__module__.startswith("keras.src.optimizers.schedules.")
        if is_schedule and isinstance(self.step, int):
            return as_scalar(rate(self.step))
        return None


class GradientLoop:
    """A loop in which one or several optimizers make steps, and the run that it is recorded in.

    Args:
        optimizer: the one that has had its first step.
        model: what it trains, or None.
        mode: ``eager`` or ``graph``.
    """

    def __init__(self, optimizer: Any, model: Any, mode: str) -> None:
        name = type(optimizer if model is None else model).__name__
        self._loop: Final = Loop("tensorflow", name, {MODE_TAG: mode}, model)
        self.run: Final = self._loop.run
        self._parts: Final[dict[int, Part]] = {}
        self._newcomers: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
        self._hidden: Final[dict[str, None]] = {}
        # The ids of the first variable of every optimizer, and the names of what is recorded of steps.
        self.trained: Final[set[int]] = set()
        self.keys: Final[set[str]] = set()
        # A model may be evaluated when its optimizer is gone.
        weakref.finalize(optimizer if model is None else model, self.end).atexit = False
        self.run.finishers.append(wait_for_values)
        self._steps = 0

    @property
    def is_over(self) -> bool:
        """Whether a step that is done now belongs to another run."""
        return self._loop.is_over

    def touch(self) -> None:
        """Note that a step has been done just now, of whichever optimizer."""
        self._steps += 1
        self._loop.touch()

    def number(self) -> Callable[[], int]:
        """Return what tells the number of the present step, of the loop's first optimizer."""
        return next(iter(self._parts.values())).number()

    def note_newcomer(self, optimizer: Any) -> None:
        """Note an optimizer that was made after the loop had begun."""
        self._newcomers.add(optimizer)

    def find_part(self, optimizer: Any) -> Part | None:
        """Return an optimizer's part in the loop."""
        part = self._parts.get(id(optimizer))
        return part if part is not None and part.optimizer() is optimizer else None

    def takes(self, optimizer: Any) -> bool:
        """Say whether an optimizer that has its first step now belongs to this loop."""
        return self._steps < _LATEST_FIRST_STEP and optimizer not in self._newcomers

    def add_part(self, optimizer: Any, model: Any, gradient: Gradient | None) -> Part:
        """Describe an optimizer that has had its first step.

        Args:
            optimizer: Keras'.
            model: what it trains, or None.
            gradient: what has been differentiated for the step, if that is known.
        """
        number = len(self._parts) + 1
        name = ""
        if number > 1:
            name = variable_name(optimizer, sys._getframe()) or f"optimizer_{number}"  # noqa: SLF001  the way to the caller
        loss_key = (gradient.name if gradient is not None else None) or "loss"
        if loss_key in self.keys:
            loss_key = f"{loss_key}_{number}"
        part = self._parts[id(optimizer)] = Part(optimizer, name, loss_key)
        self.keys.update((part.loss_key, part.rate_key))
        trained = optimizer._trainable_variables  # noqa: SLF001  there is no public way
        self.trained.add(id(trained[0]))
        with guard("recording an optimizer"):
            params = describe_optimizer("optimizer", optimizer)
            params.update(describe_losses(gradient.losses if gradient is not None else ()))
            if number == 1:
                params.update(describe_values({**describe_model(model, trained), **describe_seed()}))
            log_params(self.run, "tensorflow", {f"{name}.{key}" if name else key: params[key] for key in params})
        if model is not None:
            attribute_model(model, self.run)
            if number == 1 and is_of_keras(model, "Model"):
                with guard("recording a model's summary"):
                    self.run.log_content("model_summary.txt", summarize(model).encode(errors="replace"))
        return part

    def hide(self, what: str) -> None:
        """Say in a tag what cannot be seen."""
        if what not in self._hidden:
            self._hidden[what] = None
            self.run.set_tag(HIDDEN_TAG, "; ".join(self._hidden))

    def end(self) -> None:
        """End the run, where it is the loop's own."""
        with guard("ending a loop of TensorFlow's"):
            self._loop.end()


class _Current(threading.local):
    """The loop that goes on in a thread, or has gone on last."""

    def __init__(self) -> None:
        self.loop: GradientLoop | None = None


_current: Final = _Current()


def current_loop() -> GradientLoop | None:
    """Return the loop that this thread has had its last step in, which may be over."""
    return _current.loop


def find_loop(optimizer: Any) -> tuple[GradientLoop, Part] | None:
    """Return the loop that a step of an optimizer belongs to, and its part in it; None where it is the first there."""
    loop = _current.loop
    part = None if loop is None else loop.find_part(optimizer)
    return None if loop is None or part is None or loop.is_over else (loop, part)


def begin_loop(optimizer: Any, model: Any, gradient: Gradient | None, mode: str) -> tuple[GradientLoop, Part] | None:
    """Return the loop that an optimizer's first step belongs to, which often is a new one, and its part in it.

    Args:
        optimizer: has done the step.
        model: what it trains, or None.
        gradient: what has been differentiated for the step, if that is known.
        mode: ``eager`` or ``graph``.

    Returns:
        None where the step is recorded nowhere.
    """
    if is_replica():
        return None
    loop = _current.loop
    if loop is None or loop.is_over or not loop.takes(optimizer):
        if loop is not None:
            loop.end()
        loop = _current.loop = GradientLoop(optimizer, model, mode)
    return loop, loop.add_part(optimizer, model, gradient)


def is_replica() -> bool:
    """Say whether this is the thread of one of several replicas, which are recorded as one or not at all."""
    return type(threading.current_thread()).__name__ == "_MirroredReplicaThread"
