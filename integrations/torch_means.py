"""Means of losses over epochs and evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final


class Means:
    """Means of values by their names, weighted by the rows that each was computed from."""

    __slots__ = ("sums",)

    def __init__(self) -> None:
        self.sums: Final[dict[str, list[float]]] = {}

    def add(self, name: str, value: float, rows: int) -> None:
        """Take a value in; one that was computed from nothing counts for nothing."""
        if not rows:
            return
        sums = self.sums.get(name)
        if sums is None:
            self.sums[name] = [value * rows, rows]
        else:
            sums[0] += value * rows
            sums[1] += rows

    def means(self) -> Iterator[tuple[str, float]]:
        """Yield names and means."""
        for name, (total, rows) in self.sums.items():
            yield name, total / rows
