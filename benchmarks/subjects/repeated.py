"""pyperf in the subject's own process: it finds the number of loops, warms up, and takes the values.

The runner of the benchmarks starts the processes, in turns with the other contenders' and in each peer's environment;
so pyperf is used as the worker that it starts itself otherwise, and the runs of all turns are merged by the runner.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import redirect_stdout

import pyperf

_runner = pyperf.Runner()
_runner.parse_args(["--worker", "--loops=1", "--warmups=1", "--quiet"])


def measure(name: str, call: Callable[[], object], values: int) -> str:
    """Return pyperf's JSON of a call that is long enough to be timed alone."""
    return measure_loops(name, lambda loops: _time(call, loops), values, loops=1)


def measure_loops(
    name: str, time_loops: Callable[[int], float], values: int, *, min_time: float = 0.01, loops: int | None = None
) -> str:
    """Return pyperf's JSON of something that is timed in loops.

    Args:
        name: the measure's.
        time_loops: does it so many times, and returns the seconds.
        values: how many figures to take.
        min_time: the least seconds for one, which decides the number of loops.
        loops: the number of loops, where it is known.
    """
    arguments = _runner.args
    arguments.min_time = min_time
    with redirect_stdout(io.StringIO()):
        if loops is None:
            arguments.calibrate_loops, arguments.values, arguments.loops = True, 1, 0
            # What has been calibrated is the number of loops of the last warm-up: a run without values.
            loops, _ = _runner.bench_time_func(f"{name}, loops", time_loops).get_runs()[0].warmups[-1]
        arguments.calibrate_loops, arguments.values, arguments.loops = False, values, loops
        benchmark = _runner.bench_time_func(name, time_loops)
    text = io.StringIO()
    benchmark.dump(text)
    return text.getvalue()


def _time(call: Callable[[], object], loops: int) -> float:
    started = time.perf_counter()
    for _ in range(loops):
        call()
    return time.perf_counter() - started
