"""What Keras' own schedules of a learning rate give for a step, computed with plain numbers.

Asking a schedule itself would run a dozen operations on the device; JAX compiles each of them the first time, which
takes longer than many a training.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final


def evaluate(schedule: Any, step: int) -> float | None:
    """Return the learning rate after so many steps; None where the schedule is not one of those known here."""
    formula = _FORMULAS.get(type(schedule).__name__)
    if formula is None or not type(schedule).__module__.startswith("keras."):
        return None
    return float(formula(schedule, step))


def _exponential(told: Any, step: int) -> Any:
    periods = step / told.decay_steps
    return told.initial_learning_rate * told.decay_rate ** (math.floor(periods) if told.staircase else periods)


def _inverse_time(told: Any, step: int) -> Any:
    periods = step / told.decay_steps
    return told.initial_learning_rate / (1 + told.decay_rate * (math.floor(periods) if told.staircase else periods))


def _piecewise(told: Any, step: int) -> Any:
    return told.values[bisect_left(told.boundaries, step)]


def _polynomial(told: Any, step: int) -> Any:
    last = told.decay_steps
    if told.cycle:
        last *= max(math.ceil(step / last), 1)
    remaining = 1 - min(step, last) / last
    return (told.initial_learning_rate - told.end_learning_rate) * remaining**told.power + told.end_learning_rate


def _cosine(told: Any, step: int) -> Any:
    begin, done = told.initial_learning_rate, step
    if told.warmup_target is not None:
        if step < told.warmup_steps:
            return begin + (told.warmup_target - begin) * step / told.warmup_steps
        begin, done = told.warmup_target, step - told.warmup_steps
    return begin * _half_wave(min(done / told.decay_steps, 1.0), 1.0, told.alpha)


def _cosine_with_restarts(told: Any, step: int) -> Any:
    held = vars(told)
    grow, done = held["_t_mul"], step / told.first_decay_steps
    if grow == 1.0:
        restarts = math.floor(done)
        part = done - restarts
    else:
        restarts = math.floor(math.log(1 - done * (1 - grow)) / math.log(grow))
        part = (done - (1 - grow**restarts) / (1 - grow)) / grow**restarts
    return told.initial_learning_rate * _half_wave(part, held["_m_mul"] ** restarts, told.alpha)


def _half_wave(part: float, height: float, floor: float) -> float:
    return (1 - floor) * height * (1 + math.cos(math.pi * part)) / 2 + floor


_FORMULAS: Final[dict[str, Callable[[Any, int], Any]]] = {
    "ExponentialDecay": _exponential,
    "InverseTimeDecay": _inverse_time,
    "PiecewiseConstantDecay": _piecewise,
    "PolynomialDecay": _polynomial,
    "CosineDecay": _cosine,
    "CosineDecayRestarts": _cosine_with_restarts,
}
