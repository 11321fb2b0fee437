"""Samples as a median with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def summarize(figures: Sequence[float]) -> dict[str, float]:
    """Return the median of some samples, the 10th and 90th percentile, and how many there are."""
    if len(figures) == 1:
        low = high = figures[0]
    else:
        low, *_, high = statistics.quantiles(figures, n=10, method="inclusive")
    return {"median": statistics.median(figures), "p10": low, "p90": high, "n": len(figures)}
