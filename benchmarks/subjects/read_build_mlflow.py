"""Build the same store as MLflow would, but without its seconds per run: its own empty store, filled row by row."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
from mlflow_store import make_store, store_folder
from stored_runs import StoredRun, stored_runs
from subject import read_arguments, report

arguments = read_arguments()
make_store(arguments)
experiment = mlflow.get_experiment_by_name("benchmark")
artifacts = f"{experiment.artifact_location}/{{}}/artifacts"


def points(run: StoredRun) -> Iterator[tuple[str, int, int, float]]:
    for key, values in run.metrics.items():
        for step, value in enumerate(values):
            yield key, step, run.start_time + step, value


def write_files(run: StoredRun) -> None:
    folder = store_folder(arguments) / experiment.experiment_id / run.run_id
    contents = {
        "meta.yaml": "".join(f"{key}: {json.dumps(value)}\n" for key, value in describe(run).items()),
        "tags/mlflow.runName": run.name,
        **{f"params/{key}": value for key, value in run.params.items()},
    }
    for key, step, moment, value in points(run):
        path = f"metrics/{key}"
        contents[path] = contents.get(path, "") + f"{moment} {value} {step}\n"
    for part in ("metrics", "params", "tags"):
        (folder / part).mkdir(parents=True)
    for path, content in contents.items():
        Path(folder, path).write_text(content)


def describe(run: StoredRun) -> dict[str, Any]:
    return {
        "artifact_uri": artifacts.format(run.run_id),
        "end_time": run.start_time + 1_000,
        "entry_point_name": "",
        "experiment_id": experiment.experiment_id,
        "lifecycle_stage": "active",
        "run_id": run.run_id,
        "run_name": run.name,
        "source_name": "",
        "source_type": 4,
        "source_version": "",
        "start_time": run.start_time,
        "status": 3,
        "tags": [],
        "user_id": "ada",
    }


def write_rows(runs: Iterator[StoredRun]) -> None:
    with sqlite3.connect(store_folder(arguments) / "mlflow.db") as database:
        for run in runs:
            database.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
                " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
                " VALUES (?, ?, 'UNKNOWN', '', '', 'ada', 'FINISHED', ?, ?, '', 'active', ?, ?)",
                (
                    *(run.run_id, run.name, run.start_time, run.start_time + 1_000),
                    *(artifacts.format(run.run_id), experiment.experiment_id),
                ),
            )
            database.execute(
                "INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.runName', ?, ?)", (run.name, run.run_id)
            )
            database.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, value, run.run_id) for key, value in run.params.items()],
            )
            rows = [(*point, run.run_id) for point in points(run)]
            for table, chosen in (("metrics", rows), ("latest_metrics", rows[9::10])):
                database.executemany(
                    f"INSERT INTO {table} (key, step, timestamp, value, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
                    chosen,
                )
    database.close()


if arguments["store"] == "file":
    for each in stored_runs(arguments["runs"]):
        write_files(each)
else:
    write_rows(stored_runs(arguments["runs"]))
report({})
