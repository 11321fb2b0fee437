"""Many points of one metric, from the first call until the store holds every one."""

import time

from autolog_store import make_store, store_folder
from subject import read_arguments, report, size_of

import autolog
from autolog import tracking

arguments = read_arguments()
points = arguments["points"]
autolog.enable(make_store(arguments))
run = autolog.start_run()
autolog.log_metric("warm", 0.0)
autolog.flush()
cpu, started = time.process_time_ns(), time.perf_counter_ns()
for step in range(points):
    autolog.log_metric("loss", 1 / (step + 1), step)
returned = time.perf_counter_ns()
if not autolog.flush():
    raise SystemExit("the store does not hold everything")
stored, spent = time.perf_counter_ns(), time.process_time_ns()
run_id = run.run_id
autolog.end_run()
held = len(tracking.current().reader().metric_history(run_id, "loss"))
if held != points:
    raise SystemExit(f"the store holds {held} of {points} points")
tracking.close()
report(
    {
        "in_all": [stored - started],
        "per_point": [(stored - started) / points],
        "caller": [(returned - started) / points],
        "cpu": [(spent - cpu) / points],
        "bytes": [size_of(store_folder(arguments)) / points],
    }
)
