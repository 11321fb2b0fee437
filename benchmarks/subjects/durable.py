"""Many points of one metric, from the first call until the store holds every one, and what that takes."""

import time

from resources import tool_cpu
from subject import read_arguments, report
from subject import size_of as size_of_folder
from tools import load_tool

arguments = read_arguments()
tool = load_tool(arguments["tool"])
points = arguments["points"]


def size() -> int:
    if arguments["tool"] == "autolog":
        from autolog_store import store_size

        return store_size(arguments)
    return size_of_folder(tool.store_folder(arguments))


tool.begin(arguments)
log = tool.log_metric
log("warm", 0.0, 0)
if tool.flush is not None:
    tool.flush()
else:
    # Time to store the first point, where nobody can ask for it.
    time.sleep(2)
before, cpu, started = size(), tool_cpu(), time.perf_counter_ns()
if batch := arguments.get("batch"):
    for step in range(0, points, batch):
        tool.log_batch("loss", range(step, min(step + batch, points)))
else:
    for step in range(points):
        log("loss", 1 / (step + 1), step)
returned = time.perf_counter_ns()
if tool.flush is not None:
    tool.flush()
else:
    tool.finish()
stored, spent = time.perf_counter_ns(), tool_cpu()
if tool.flush is not None:
    tool.finish()
samples = {
    "per_point": [(stored - started) / points],
    "caller": [(returned - started) / points],
    "cpu": [(spent - cpu) / points],
}
if points == 1_000_000:
    samples["million"] = [stored - started]
if arguments["tool"] == "autolog":
    from autolog_store import count_points

    count_points("loss", points)
samples["bytes"] = [(size() - before) / points]
report(samples, {"points": points})
