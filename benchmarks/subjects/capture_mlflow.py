"""What ``mlflow.autolog()`` keeps of some scripts that know nothing of it, and how much longer they take."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

from __future__ import annotations

import logging
import warnings
from typing import Any

import mlflow
from captured import time_script
from mlflow import MlflowClient
from mlflow_store import make_store
from subject import read_arguments, report

arguments = read_arguments()
make_store(arguments)
logging.disable(logging.WARNING)
client = MlflowClient()


def describe(run: Any) -> dict[str, Any]:
    run_id = run.info.run_id
    models = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'", max_results=50
    )
    return {
        "name": run.info.run_name,
        "child": "mlflow.parentRunId" in run.data.tags,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "points": sum(len(client.get_metric_history(run_id, key)) for key in run.data.metrics),
        "tags": run.data.tags,
        "artifacts": list(list_files(run_id, "")),
        "datasets": [each.dataset.name for each in run.inputs.dataset_inputs],
        "models": len(models),
    }


def list_files(run_id: str, folder: str) -> Any:
    for entry in client.list_artifacts(run_id, folder or None):
        if entry.is_dir:
            yield from list_files(run_id, entry.path)
        else:
            yield entry.path


facts: dict[str, Any] = {}
for script in arguments["scripts"]:
    without = [time_script(script) for _ in range(arguments["times"])]
    experiment = mlflow.set_experiment(script)
    mlflow.autolog(silent=True, log_models=arguments["log_models"])
    seconds = time_script(script)
    mlflow.autolog(disable=True, silent=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
        described = [describe(run) for run in runs]
    facts[script] = {"runs": described, "added": seconds - without[-1] if without else None}
report({}, facts)
