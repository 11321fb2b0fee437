"""Read the same runs with MLflow. It has no call that counts runs."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import time

import mlflow
from mlflow_store import make_store
from repeated import measure
from stored_runs import FILTER, ORDER
from subject import read_arguments, report

arguments = read_arguments()
make_store(arguments)
client, values = mlflow.MlflowClient(), arguments["values"]
experiment_ids = [mlflow.get_experiment_by_name("benchmark").experiment_id]


def search() -> object:
    return client.search_runs(experiment_ids, FILTER, order_by=ORDER, max_results=100)


def frame() -> None:
    found = len(mlflow.search_runs(experiment_ids, max_results=arguments["runs"]))
    if found != arguments["runs"]:
        raise SystemExit(f"the data frame holds {found} runs")


started = time.perf_counter_ns()
if not search():
    raise SystemExit("the search finds nothing")
cold = time.perf_counter_ns() - started
size = max(1, min(100, arguments["runs"] // 101))
before = client.search_runs(experiment_ids, max_results=99 * size)
benchmarks = {
    "search": measure("search", search, values),
    "deep_page": measure(
        "deep_page",
        lambda: client.search_runs(experiment_ids, max_results=size, page_token=before.token),
        values,
    ),
}
samples = {"search_cold": [float(cold)]}
if arguments["frames"]:
    # Once, for it takes tens of seconds: what is warmed up would be measured instead.
    started = time.perf_counter_ns()
    frame()
    samples["frame"] = [float(time.perf_counter_ns() - started)]
report(samples, {}, benchmarks)
