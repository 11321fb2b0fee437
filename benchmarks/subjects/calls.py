"""What the caller of a tool's logging functions waits, in a tight loop while whatever writes works beside it."""

import itertools
import mmap
import struct
import time
from collections.abc import Callable
from typing import Any

from repeated import measure_loops
from subject import percentile, read_arguments, report, time_calls
from tools import load_tool

arguments = read_arguments()
tool = load_tool(arguments["tool"])
tool.begin(arguments)
FIFTY = {f"metric_{number}": number / 50 for number in range(50)}
steps = itertools.count(1)


def flush() -> None:
    if tool.flush is not None:
        tool.flush()


def loop(call: Callable[[int], object]) -> Callable[[int], float]:
    """Return what times so many calls with steps that go up."""

    def time_loops(loops: int) -> float:
        numbers = list(itertools.islice(steps, loops))
        started = time.perf_counter()
        for number in numbers:
            call(number)
        return time.perf_counter() - started

    return time_loops


def log_metric(loops: int) -> float:
    """Without a function in between: it would be a part of what a fast tool costs."""
    log = tool.log_metric
    numbers = list(itertools.islice(steps, loops))
    started = time.perf_counter()
    for number in numbers:
        log("loss", 0.5, number)
    return time.perf_counter() - started


def write_page(loops: int) -> float:
    """The yardstick: pack a point and write it to a mapped page."""
    page, packer = mmap.mmap(-1, 1 << 16), struct.Struct("<qqdqqqqd")
    started = time.perf_counter()
    for number in range(loops):
        page.write(packer.pack(1, number, 0.5, 1, 1, number, 0, 0.5))
        if page.tell() + 64 > 1 << 16:
            page.seek(0)
    return time.perf_counter() - started


values, singles = arguments["values"], arguments["singles"]
# What a run records once, about its environment and its first metric, belongs to no call.
tool.log_metric("loss", 0.5, 0)
tool.log_metrics(FIFTY, 0)
flush()
benchmarks: dict[str, str] = {"yardstick": measure_loops("yardstick", write_page, values)}
benchmarks["log_metric"] = measure_loops("log_metric", log_metric, values)
flush()
times = time_calls(tool.log_metric, singles, arguments["seconds"])
flush()
if not arguments.get("one_call"):
    benchmarks["log_metrics_50"] = measure_loops(
        "log_metrics_50", loop(lambda step: tool.log_metrics(FIFTY, step)), values
    )
    flush()
    if tool.log_param is not None:
        log_one: Any = tool.log_param
        # A name of its own each time, as MLflow wants it.
        benchmarks["log_param"] = measure_loops(
            "log_param", loop(lambda number: log_one(f"param_{number}", number)), values, min_time=0.002
        )
        flush()
if arguments["tool"] == "autolog":
    import autolog

    benchmarks["log_metric_synchronous"] = measure_loops(
        "log_metric_synchronous",
        loop(lambda step: autolog.log_metric("loss", 0.5, step, synchronous=True)),
        max(3, values // 4),
        loops=1,
    )
tool.finish()
report({"log_metric_p999": [percentile(times, 0.999)]}, {"singles": len(times)}, benchmarks)
