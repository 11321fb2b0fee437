"""What is computed from the points of a metric: its summary, its order, and the thinned curve that is drawn of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from autolog.backend import History
from autolog.entities import MetricSummary
from autolog.errors import InvalidParameter

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def summarize(steps: Integers, timestamps: Integers, values: Floats) -> MetricSummary:
    """Summarize one point or more.

    Of points of the same step and time the one with the greatest value is the latest; NaN is less than any number.
    """
    step = steps.max()
    timestamp = timestamps[steps == step].max()
    latest = values[(steps == step) & (timestamps == timestamp)]
    # fmin and fmax pass over NaN, and give it only where there is nothing else.
    return MetricSummary(
        value=float(np.fmax.reduce(latest)),
        timestamp=int(timestamp),
        step=int(step),
        min=float(np.fmin.reduce(values)),
        max=float(np.fmax.reduce(values)),
        count=len(values),
    )


def merge_summaries(one: MetricSummary, other: MetricSummary) -> MetricSummary:
    """Return the summary of the points behind both."""
    latest = max(one, other, key=_recency)
    return MetricSummary(
        value=latest.value,
        timestamp=latest.timestamp,
        step=latest.step,
        min=other.min if math.isnan(one.min) or other.min < one.min else one.min,
        max=other.max if math.isnan(one.max) or other.max > one.max else one.max,
        count=one.count + other.count,
    )


def _recency(summary: MetricSummary) -> tuple[int, int, bool, float]:
    return summary.step, summary.timestamp, not math.isnan(summary.value), summary.value


def make_history(
    key: str, steps: Integers, timestamps: Integers, values: Floats, max_points: int | None = None
) -> History:
    """Order points, which stand in the order of their arrival, into a history, and thin it where that is asked for.

    Raises:
        InvalidParameter: ``max_points`` is less than 2.
    """
    if not is_ordered(steps, timestamps):
        order = np.lexsort((timestamps, steps))
        steps, timestamps, values = steps[order], timestamps[order], values[order]
    if max_points is not None:
        kept = thin(values, max_points)
        steps, timestamps, values = steps[kept], timestamps[kept], values[kept]
    return History(key, steps, timestamps, values)


def is_ordered(steps: Integers, timestamps: Integers) -> bool:
    """Say whether points stand in the order of a history: by step, then by time."""
    one, next_one = steps[:-1], steps[1:]
    if (one < next_one).all():
        return True
    later = (one < next_one) | ((one == next_one) & (timestamps[:-1] <= timestamps[1:]))
    return bool(later.all())


def thin(values: Floats, max_points: int) -> Integers:
    """Return the places of at most ``max_points`` values: both ends, and the extremes of every stretch between.

    Raises:
        InvalidParameter: ``max_points`` is less than 2.
    """
    if max_points < 2:  # noqa: PLR2004 - the two ends
        raise InvalidParameter(f"max_points is {max_points}; a thinned history has at least its 2 ends")
    count = len(values)
    if count <= max_points:
        return np.arange(count)
    ends = np.array([0, count - 1])
    stretches = (max_points - 2) // 2
    if stretches == 0:
        return ends
    inner = values[1:-1]
    length = -(-len(inner) // stretches)
    padding = np.full(stretches * length - len(inner), np.nan)
    lowest, highest = find_extremes(np.concatenate([inner, padding]), length)
    places = np.concatenate([lowest, highest])
    # There are more values than those that are thinned, by the padding.
    return np.unique(np.concatenate([ends, places[places < len(inner)] + 1]))


def find_extremes(values: Floats, length: int) -> tuple[Integers, Integers]:
    """Return where in each stretch of some length the smallest and the largest value are; NaN is neither.

    Args:
        values: whole stretches; of one that is all NaN the first place is returned.
        length: how many values a stretch has.
    """
    table = values.reshape(-1, length)
    missing = np.isnan(table)
    low, high = (np.where(missing, np.inf, table), np.where(missing, -np.inf, table)) if missing.any() else (table,) * 2
    starts = np.arange(len(table)) * length
    return low.argmin(axis=1) + starts, high.argmax(axis=1) + starts
