"""The history of one metric of many points with MLflow, in a table that is filled row by row."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import sqlite3
import time

import mlflow
from mlflow_store import make_store, store_folder
from stored_runs import START
from subject import read_arguments, report

arguments = read_arguments()
make_store(arguments)
points = arguments["points"]
run_id = mlflow.start_run().info.run_id
mlflow.log_metric("loss", 1.0, 0, timestamp=START)
mlflow.end_run()
with sqlite3.connect(store_folder(arguments) / "mlflow.db") as database:
    database.executemany(
        "INSERT INTO metrics (key, step, timestamp, value, is_nan, run_uuid) VALUES ('loss', ?, ?, ?, 0, ?)",
        ((step, START + step, 1 / (1 + step), run_id) for step in range(1, points)),
    )
database.close()
client = mlflow.MlflowClient()
# Once, for it takes tens of seconds: what is warmed up would be measured instead.
started = time.perf_counter_ns()
found = len(client.get_metric_history(run_id, "loss"))
whole = time.perf_counter_ns() - started
if found != points:
    raise SystemExit(f"the history holds {found} of {points} points")
report({"whole": [whole]})
