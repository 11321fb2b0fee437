"""Which part of a large data set is read: runs of consecutive rows, evenly spaced from the first to the last."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

WHOLE_BYTES: Final = 4 << 20
"""Up to this size a data set is read whole."""

SAMPLE_BYTES: Final = 1 << 20
SAMPLE_ROWS: Final = 1024

_RUNS: Final = 32
# However wide the rows are, this many of them are looked at, and then not all of their columns.
_LEAST_ROWS: Final = 16


def choose(shape: Sequence[int], cell_bytes: float) -> list[list[range]] | None:
    """Choose what to read.

    Args:
        shape: of the data, rows first.
        cell_bytes: what one cell takes.

    Returns:
        The runs of indexes to read along every axis; None where all of it is to be read.
    """
    if math.prod(shape) * cell_bytes <= WHOLE_BYTES:
        return None
    budget = max(int(SAMPLE_BYTES / cell_bytes), 1)
    chosen: list[list[range]] = []
    for axis, length in enumerate(shape):
        keep = max(budget // math.prod(shape[axis + 1 :]), 1)
        if axis == 0:
            keep = min(max(keep, _LEAST_ROWS), SAMPLE_ROWS)
        chosen.append(_spread(length, keep))
        budget = max(budget // count(chosen[-1]), 1)
    return chosen


def _spread(length: int, keep: int) -> list[range]:
    """Return runs of about ``keep`` indexes in all, evenly spaced, that begin at the first and end at the last."""
    if keep >= length:
        return [range(length)]
    runs = min(_RUNS, keep)
    size = keep // runs
    starts = (index * (length - size) // max(runs - 1, 1) for index in range(runs))
    return [range(start, start + size) for start in starts]


def indexes(runs: Iterable[range]) -> list[int]:
    """Return the indexes in some runs."""
    return [index for run in runs for index in run]


def count(runs: Iterable[range]) -> int:
    """Return how many indexes are in some runs."""
    return sum(map(len, runs))


def describe_choice(shape: Sequence[int], chosen: list[list[range]] | None) -> str | None:
    """Say in words which part of a shape was chosen; None if it was all of it."""
    if chosen is None:
        return None
    kept = [count(runs) for runs in chosen]
    axes = ("rows", "columns", *(f"of axis {axis}" for axis in range(2, len(shape))))
    counts = [
        f"{keep} of {length} {axis}" for keep, length, axis in zip(kept, shape, axes, strict=False) if keep < length
    ]
    return ", ".join(counts) + ", in evenly spaced runs from the first to the last" if counts else None
