"""What every subject shares: its arguments, its report, and the ways to take times.

A subject is a script that runs in a process of its own, with one JSON object as its argument, and prints another.
Some run under the peer's Python, so that nothing here may import autolog.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def read_arguments() -> dict[str, Any]:
    """Return what the runner asks for: always a ``folder`` and a ``store`` (``file`` or ``sqlite``), and sizes."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    return arguments


def report(samples: Mapping[str, Sequence[float]], facts: dict[str, Any] | None = None) -> None:
    """Print what was measured: samples in nanoseconds or bytes, by measure, and what else is worth knowing."""
    print(json.dumps({"samples": samples, "facts": facts or {}}))


def time_batches(call: Callable[[int], object], batches: int, size: int) -> list[float]:
    """Return the nanoseconds per call, one figure for each batch of calls."""
    figures = []
    number = 0
    for _ in range(batches):
        steps = range(number, number + size)
        number += size
        started = time.perf_counter_ns()
        for step in steps:
            call(step)
        figures.append((time.perf_counter_ns() - started) / size)
    return figures


def time_calls(call: Callable[[int], object], count: int) -> list[int]:
    """Return the nanoseconds of every single call, the clock's own included."""
    clock = time.perf_counter_ns
    times = []
    for step in range(count):
        started = clock()
        call(step)
        times.append(clock() - started)
    return times


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def size_of(folder: Path) -> int:
    """Return how many bytes the files of a folder hold."""
    return sum(
        os.path.getsize(os.path.join(parent, name))  # noqa: PTH118, PTH202  pathlib is slow on 10^5 files
        for parent, _, names in os.walk(folder)
        for name in names
    )
