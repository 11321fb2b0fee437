"""What the caller of autolog's fluent functions waits, and what the process pays until the store has it all."""

import time

from autolog_store import make_store
from subject import percentile, read_arguments, report, time_batches, time_calls

import autolog

arguments = read_arguments()
autolog.enable(make_store(arguments))
autolog.start_run()
FIFTY = {f"metric_{number}": number / 50 for number in range(50)}


def log(step: int) -> None:
    autolog.log_metric("loss", 0.5, step)


def log_synchronously(step: int) -> None:
    autolog.log_metric("loss", 0.5, step, synchronous=True)


def log_fifty(step: int) -> None:
    autolog.log_metrics(FIFTY, step)


def log_param(step: int) -> None:
    autolog.log_param(f"param_{step}", step)


samples = {}
# What a run records once, about its environment and its first metric, belongs to no call.
log(0)
log_fifty(0)
autolog.flush()
cpu = time.process_time_ns()
samples["log_metric"] = time_batches(log, arguments["batches"], arguments["batch"])
autolog.flush()
samples["log_metric_cpu"] = [(time.process_time_ns() - cpu) / (arguments["batches"] * arguments["batch"])]
samples["log_metric_p999"] = [percentile(time_calls(log, arguments["calls"]), 0.999)]
autolog.flush()
samples["log_metrics_50"] = [float(each) for each in time_calls(log_fifty, arguments["few"])]
autolog.flush()
samples["log_param"] = [float(each) for each in time_calls(log_param, arguments["few"])]
autolog.flush()
samples["log_metric_synchronous"] = [float(each) for each in time_calls(log_synchronously, arguments["synchronous"])]
report(samples)
