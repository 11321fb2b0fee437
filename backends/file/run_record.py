"""One run in a store's folder, as all the journals that wrote to it make it together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autolog.backends.file.experiments import ExperimentFolder
from autolog.backends.file.layout import RUN_FILE, RunFile, decode, is_run_file, metrics_file_name
from autolog.entities import (
    Artifact,
    DatasetInput,
    LifecycleStage,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunStatus,
)
from autolog.history import merge_summaries

# What a run file says of the run itself that may change.
STATE: Final = ("status", "end_time", "run_name", "lifecycle_stage")


@dataclass(frozen=True)
class RunRecord:
    """A run, its artifacts, and the metrics files with how many bytes of each count."""

    run: Run
    artifacts: Sequence[Artifact]
    metrics_files: Sequence[tuple[Path, int]]


def load_run(folder: str | Path, experiment: ExperimentFolder) -> RunRecord | None:
    """Return the run in a folder; None where there is none.

    Raises:
        StoreCorrupted: one of its files cannot be read.
    """
    names = sorted(name for name in os.listdir(folder) if is_run_file(name))  # noqa: PTH208 - twice as fast
    if RUN_FILE not in names:
        return None
    names.remove(RUN_FILE)
    files = {}
    for name in (RUN_FILE, *names):
        path = Path(folder, name)
        files[path] = decode(path, path.read_bytes(), RunFile)
    metrics_files = [
        (path.with_name(metrics_file_name(path.name)), file.journal.metrics_bytes) for path, file in files.items()
    ]
    base, *others = files.values()
    for other in others:
        _merge(base, other)
    return RunRecord(_run(base, experiment), sorted(base.artifacts, key=lambda artifact: artifact.path), metrics_files)


def unite_inputs(known: Sequence[DatasetInput], new: Iterable[DatasetInput]) -> list[DatasetInput]:
    """Return all inputs, where the same data set with the same tags counts once."""
    united = {(used.dataset.name, used.dataset.digest, used.tags): used for used in (*new, *known)}
    return list(united.values())


def _merge(base: RunFile, other: RunFile) -> None:
    artifacts = {artifact.path: artifact for artifact in other.artifacts}
    merged_artifacts = {artifact.path: artifact for artifact in base.artifacts}
    for change, time in other.times.items():
        if time < base.times.get(change, 0):
            continue
        base.times[change] = time
        section, _, key = change.partition(".")
        if section in STATE:
            setattr(base, section, getattr(other, section))
        elif section == "params" and key in other.params:
            base.params[key] = other.params[key]
        elif section == "tags":
            base.tags[key] = other.tags.get(key)
        elif section == "artifacts" and key in artifacts:
            merged_artifacts[key] = artifacts[key]
    base.artifacts = list(merged_artifacts.values())
    base.inputs = unite_inputs(base.inputs, other.inputs)
    for key, summary in other.metrics.items():
        known = base.metrics.get(key)
        base.metrics[key] = merge_summaries(known, summary) if known else summary


def _run(file: RunFile, experiment: ExperimentFolder) -> Run:
    return Run(
        info=RunInfo(
            run_id=file.run_id,
            experiment_id=experiment.file.experiment_id,
            run_name=file.run_name or "",
            user_id=file.user_id or "",
            status=file.status or RunStatus.RUNNING,
            start_time=file.start_time,
            end_time=file.end_time,
            lifecycle_stage=file.lifecycle_stage or LifecycleStage.ACTIVE,
            artifact_uri=experiment.artifact_uri(file.run_id),
        ),
        data=RunData(
            params=file.params,
            tags={key: value for key, value in file.tags.items() if value is not None},
            summaries=file.metrics,
        ),
        inputs=RunInputs(dataset_inputs=tuple(file.inputs)),
    )
