"""Where MLflow's subjects record."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient


def store_folder(arguments: dict[str, Any]) -> Path:
    return Path(arguments["folder"], "store")


def make_store(arguments: dict[str, Any]) -> str:
    """Make the store beforehand, tables and all, put it in force, and return its URI."""
    folder = store_folder(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    uri = folder.as_uri() if arguments["store"] == "file" else f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    if MlflowClient().get_experiment_by_name("benchmark") is None:
        mlflow.create_experiment("benchmark", artifact_location=Path(arguments["folder"], "artifacts").as_uri())
    mlflow.set_experiment("benchmark")
    return uri
