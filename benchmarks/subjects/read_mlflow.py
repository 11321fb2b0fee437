"""Read the same runs with MLflow. It has no call that counts runs."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import time
from collections.abc import Callable

import mlflow
from mlflow_store import make_store
from stored_runs import FILTER, ORDER
from subject import read_arguments, report

arguments = read_arguments()
make_store(arguments)
client = mlflow.MlflowClient()
experiment_ids = [mlflow.get_experiment_by_name("benchmark").experiment_id]
samples: dict[str, list[float]] = {}


def measure(name: str, read: Callable[[], object]) -> None:
    started = time.perf_counter_ns()
    read()
    samples.setdefault(name, []).append(time.perf_counter_ns() - started)


def search() -> object:
    return client.search_runs(experiment_ids, FILTER, order_by=ORDER, max_results=100)


def frame() -> None:
    found = len(mlflow.search_runs(experiment_ids, max_results=arguments["runs"]))
    if found != arguments["runs"]:
        raise SystemExit(f"the data frame holds {found} runs")


measure("search_cold", search)
if not search():
    raise SystemExit("the search finds nothing")
size = max(1, min(100, arguments["runs"] // 101))
before = client.search_runs(experiment_ids, max_results=99 * size)
for _ in range(arguments["repeats"]):
    measure("search", search)
    measure("deep_page", lambda: client.search_runs(experiment_ids, max_results=size, page_token=before.token))
for _ in range(max(1, arguments["repeats"] // 3)):
    measure("frame", frame)
report(samples)
