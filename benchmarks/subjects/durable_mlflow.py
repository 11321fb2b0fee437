"""The same by MLflow's fastest way, ``MlflowClient.log_batch`` with the 1,000 metrics that it takes at most."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import time

import mlflow
from mlflow.entities import Metric
from mlflow_store import make_store, store_folder
from subject import read_arguments, report, size_of

BATCH = 1_000

arguments = read_arguments()
points = arguments["mlflow_points"]
make_store(arguments)
client = mlflow.MlflowClient()
run_id = mlflow.start_run().info.run_id
client.log_batch(run_id, metrics=[Metric("warm", 0.0, 0, 0)])
before = size_of(store_folder(arguments))
cpu, started = time.process_time_ns(), time.perf_counter_ns()
for first in range(0, points, BATCH):
    batch = [
        Metric("loss", 1 / (step + 1), time.time_ns() // 1_000_000, step)
        for step in range(first, min(first + BATCH, points))
    ]
    client.log_batch(run_id, metrics=batch)
ended, spent = time.perf_counter_ns(), time.process_time_ns()
mlflow.end_run()
report(
    {
        "per_point": [(ended - started) / points],
        "caller": [(ended - started) / points],
        "cpu": [(spent - cpu) / points],
        "bytes": [(size_of(store_folder(arguments)) - before) / points],
    }
)
