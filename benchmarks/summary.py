"""Samples, and what pyperf measured, as a median with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Final

_NANOSECONDS: Final = 1e9

Summary = dict[str, float]


def summarize(figures: Sequence[float]) -> Summary:
    """Return the median of some samples, the 10th and 90th percentile, and how many there are."""
    if len(figures) == 1:
        low = high = figures[0]
    else:
        low, *_, high = statistics.quantiles(figures, n=10, method="inclusive")
    return {"median": statistics.median(figures), "p10": low, "p90": high, "n": len(figures)}


def summarize_benchmark(benchmark: Any) -> Summary:
    """Return the same of a ``pyperf.Benchmark``, in nanoseconds, with what else pyperf says of it."""
    figures = {
        "median": benchmark.median(),
        "p10": benchmark.percentile(10),
        "p90": benchmark.percentile(90),
        "mean": benchmark.mean(),
        "stdev": benchmark.stdev() if benchmark.get_nvalue() > 1 else 0.0,
    }
    return {name: value * _NANOSECONDS for name, value in figures.items()} | {
        "n": benchmark.get_nvalue(),
        "runs": benchmark.get_nrun(),
    }
