"""The same calls of MLflow's fluent functions."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import time

import mlflow
from mlflow_store import make_store
from subject import percentile, read_arguments, report, time_calls

arguments = read_arguments()
make_store(arguments)
mlflow.start_run()
FIFTY = {f"metric_{number}": number / 50 for number in range(50)}


def log(step: int) -> None:
    mlflow.log_metric("loss", 0.5, step)


def log_fifty(step: int) -> None:
    mlflow.log_metrics(FIFTY, step)


def log_param(step: int) -> None:
    mlflow.log_param(f"param_{step}", step)


log(0)
log_fifty(0)
cpu = time.process_time_ns()
singles = time_calls(log, arguments["calls"])
cpu = time.process_time_ns() - cpu
report(
    {
        "log_metric": singles,
        "log_metric_cpu": [cpu / len(singles)],
        "log_metric_p999": [percentile(singles, 0.999)],
        "log_metrics_50": time_calls(log_fifty, arguments["few"]),
        "log_param": time_calls(log_param, arguments["few"]),
    }
)
