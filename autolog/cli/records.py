"""A run as a nested document, for programs that read JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from autolog.entities import Artifact, Run


def run_document(run: Run, experiments: Mapping[str, str]) -> dict[str, Any]:
    """Return a run under MLflow's names; times are milliseconds since the Unix epoch."""
    info = run.info
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "experiment_id": info.experiment_id,
        "experiment_name": experiments.get(info.experiment_id),
        "status": info.status.value,
        "lifecycle_stage": info.lifecycle_stage.value,
        "user_id": info.user_id,
        "start_time": info.start_time,
        "end_time": info.end_time,
        "artifact_uri": info.artifact_uri,
        "params": dict(run.data.params),
        "metrics": run.data.metrics,
        "tags": dict(run.data.tags),
    }


def full_document(run: Run, experiments: Mapping[str, str], artifacts: list[Artifact]) -> dict[str, Any]:
    """Return everything that is known of a run."""
    return {
        **run_document(run, experiments),
        "metric_summaries": msgspec.to_builtins(run.data.summaries),
        "inputs": msgspec.to_builtins(run.inputs.dataset_inputs),
        "artifacts": msgspec.to_builtins(artifacts),
    }
