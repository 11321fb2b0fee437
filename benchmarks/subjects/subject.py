"""What every subject shares: its arguments, its report, and what it may ask of its own process.

A subject is a script that runs in a process of its own, with one JSON object as its argument, and prints another.
Most run under a peer's Python, so that nothing here may import autolog.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def read_arguments() -> dict[str, Any]:
    """Return what the runner asks for: always a ``folder``, a ``tool`` and its ``store``, and sizes."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    return arguments


def report(
    samples: Mapping[str, Sequence[float]],
    facts: Mapping[str, Any] | None = None,
    benchmarks: Mapping[str, str] | None = None,
) -> None:
    """Print what was measured, as the last that a subject does.

    Args:
        samples: nanoseconds, bytes or shares, by measure.
        facts: what else is worth knowing.
        benchmarks: what pyperf measured, by measure, in pyperf's JSON.
    """
    found = {"samples": samples, "facts": facts or {}, "benchmarks": benchmarks or {}}
    # The moment by a clock that the runner's process shares: it knows how long the process took to end.
    print("\n" + json.dumps(found | {"last_line": time.monotonic_ns()}), flush=True)


def folder_of(arguments: Mapping[str, Any]) -> Path:
    """Return the folder that the tool stores in."""
    return Path(arguments["folder"], "store")


def time_calls(call: Any, count: int, seconds: float) -> list[int]:
    """Return the nanoseconds of single calls ``call("loss", 0.5, step)``, the clock's own included.

    pyperf's values are means of loops, which is right for what a call costs and wrong for the rare slow call.
    It ends after ``count`` calls or so many seconds.
    """
    clock = time.perf_counter_ns
    times = []
    end = clock() + int(seconds * 1e9)
    for step in range(count):
        started = clock()
        call("loss", 0.5, step)
        ended = clock()
        times.append(ended - started)
        if ended > end:
            break
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
