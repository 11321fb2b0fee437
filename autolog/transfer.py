"""Copy runs from one store to another, so that nothing is lost and nothing is there twice.

A run that is being copied carries the tag ``autolog.copying`` in the destination until all of it has arrived.
Its records are written as a journal of its own, whose name follows from its content,
so that a copy that was cut off goes on where it stopped: what the destination has seen it passes over.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
import numpy as np
import xxhash

from autolog.artifact_store import ArtifactStore
from autolog.backend import Backend, Batch, ExperimentQuery, Points, Position, Reader, RunQuery
from autolog.entities import Artifact, Experiment, Run, ViewType
from autolog.errors import AutologError, BackendUnavailable, InvalidState, NotFound, StoreCorrupted, StoreTooNew
from autolog.events import (
    ExperimentCreated,
    ExperimentUpdated,
    Fact,
    InputsLogged,
    ParamsLogged,
    RunCreated,
    RunUpdated,
    TagsSet,
)
from autolog.pages import every_experiment, every_run

COPYING_TAG: Final = "autolog.copying"
_POINTS_PER_BATCH: Final = 100_000
_SERIES_PER_BATCH: Final = 1_000
_RUNS_PER_PAGE: Final = 100
_CHUNK: Final = 1 << 20
# With the store itself out of order, every run that is left would fail in the same way.
_FATAL: Final = (BackendUnavailable, StoreTooNew)


@dataclass(frozen=True)
class Failure:
    """An experiment or run that could not be copied, and why."""

    subject: str
    message: str


@dataclass
class CopyReport:
    """What a copy has done."""

    copied: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Destination:
    """The store that is copied to, opened both ways."""

    backend: Backend
    reader: Reader


def copy_store(
    source: Reader,
    destination: Destination,
    experiment_ids: Collection[str] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> CopyReport:
    """Copy experiments and their runs, deleted ones too; a run that is there already with the same content is skipped.

    Runs keep their ids; experiments are matched by name. A custom artifact location is not kept:
    the copy's artifacts live in the destination.

    Args:
        source: the store to read.
        destination: the store to write.
        experiment_ids: the experiments to copy; None means all.
        advance: called with a count of runs as they are dealt with.

    Returns:
        How many runs were copied and skipped, and what could not be copied.

    Raises:
        BackendError: one of the stores cannot be used; what has been copied stays, and a second call goes on from it.
    """
    report = CopyReport()
    for experiment in every_experiment(source, ExperimentQuery(view=ViewType.ALL, order_by=("creation_time ASC",))):
        if experiment_ids is not None and experiment.experiment_id not in experiment_ids:
            continue
        query = RunQuery(
            experiment_ids=[experiment.experiment_id],
            view=ViewType.ALL,
            order_by=("start_time ASC",),
            max_results=_RUNS_PER_PAGE,
        )
        try:
            _copy_experiment(experiment, destination)
        except _FATAL:
            raise
        except AutologError as error:
            report.failures.append(Failure(f"experiment {experiment.name!r}", str(error)))
            advance(source.count_runs(query))
            continue
        for run in every_run(source, query):
            try:
                copied = copy_run(source, destination, run, experiment)
                report.copied += copied
                report.skipped += not copied
            except _FATAL:
                raise
            except AutologError as error:
                report.failures.append(Failure(f"run {run.info.run_id}", str(error)))
            advance(1)
    return report


def _copy_experiment(experiment: Experiment, destination: Destination) -> None:
    found = destination.reader.get_experiment_by_name(experiment.name)
    if found is None:
        _write_facts(
            destination.backend,
            ExperimentCreated(
                experiment_id=experiment.experiment_id,
                name=experiment.name,
                time=experiment.creation_time,
                tags=dict(experiment.tags),
                lifecycle_stage=experiment.lifecycle_stage,
                last_update_time=experiment.last_update_time,
            ),
        )
        if destination.reader.get_experiment_by_name(experiment.name) is None:
            raise InvalidState(
                f"its id {experiment.experiment_id} belongs to an experiment of another name in the destination; "
                f"give both the same name"
            )
        return
    if found.lifecycle_stage is not experiment.lifecycle_stage:
        raise InvalidState(
            f"it is {experiment.lifecycle_stage.value} in the source and {found.lifecycle_stage.value} in the "
            f"destination; delete or restore one of them"
        )
    differing = sorted(key for key, value in experiment.tags.items() if found.tags.get(key, value) != value)
    if differing:
        raise InvalidState(f"its tag {differing[0]!r} has another value in the destination; give both the same value")
    missing = {key: value for key, value in experiment.tags.items() if key not in found.tags}
    if missing:
        _write_facts(
            destination.backend,
            ExperimentUpdated(experiment_id=found.experiment_id, time=experiment.last_update_time, tags={**missing}),
        )


def _write_facts(backend: Backend, *facts: Fact) -> None:
    """Write facts that may be repeated without harm, as a journal of their own."""
    backend.write(Batch(journal=f"copy-{uuid4().hex}", end=Position(len(facts)), facts=tuple(enumerate(facts))))


def copy_run(source: Reader, destination: Destination, run: Run, experiment: Experiment) -> bool:
    """Copy one run, whose experiment is in the destination already.

    Returns:
        Whether it was copied; False for one that is there with the same content.

    Raises:
        InvalidState: the destination has a run of this id with other content, or the run is itself an unfinished copy.
        StoreCorrupted: an artifact is not what its checksum says, or what was written does not read as it was.
    """
    run_id = run.info.run_id
    if COPYING_TAG in run.data.tags:
        raise InvalidState("it is itself an unfinished copy; finish that copy first")
    artifacts = source.artifacts(run_id)
    content = _content(run, artifacts)
    identity = xxhash.xxh128_hexdigest(msgspec.msgpack.encode(content))
    there = _find(destination.reader, run_id)
    if there is not None:
        mark = there.data.tags.get(COPYING_TAG)
        if mark is None:
            found = _content(there, destination.reader.artifacts(run_id))
            if differing := _differing(content, found):
                raise InvalidState(f"the destination has a run of this id with other {', '.join(differing)}")
            return False
        if mark != identity:
            raise InvalidState("it has changed since a first attempt to copy it; copy it to another store")
    _write_run(source, destination.backend, run, experiment, identity)
    _copy_artifacts(ArtifactStore(run.info.artifact_uri), destination, run_id, artifacts)
    _finish_run(destination.backend, run)
    if differing := _differing(
        content, _content(destination.reader.get_run(run_id), destination.reader.artifacts(run_id))
    ):
        raise StoreCorrupted(f"what arrived has other {', '.join(differing)}; was the run still being written?")
    return True


def _find(reader: Reader, run_id: str) -> Run | None:
    try:
        return reader.get_run(run_id)
    except NotFound:
        return None


def _content(run: Run, artifacts: Sequence[Artifact]) -> dict[str, bytes]:
    """Return what makes a run the same in two stores, encoded part by part: NaN is the same as NaN."""
    info = run.info
    parts: dict[str, Any] = {
        "attributes": (
            info.run_name,
            info.user_id,
            info.status,
            info.start_time or 0,
            info.end_time,
            info.lifecycle_stage,
        ),
        "params": sorted(run.data.params.items()),
        "tags": sorted(run.data.tags.items()),
        "metrics": sorted(run.data.summaries.items()),
        "data sets": sorted(msgspec.msgpack.encode(used) for used in run.inputs.dataset_inputs),
        "artifacts": sorted((artifact.path, artifact.size, artifact.sha256) for artifact in artifacts),
    }
    return {name: msgspec.msgpack.encode(part) for name, part in parts.items()}


def _differing(content: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [name for name, part in content.items() if other[name] != part]


def _opening_facts(run: Run, experiment: Experiment, identity: str) -> list[Fact]:
    info = run.info
    facts: list[Fact] = [
        RunCreated(
            run_id=info.run_id,
            experiment_id=experiment.experiment_id,
            experiment_name=experiment.name,
            run_name=info.run_name,
            start_time=info.start_time or 0,
            user_id=info.user_id,
            status=info.status,
            tags={**run.data.tags, COPYING_TAG: identity},
        )
    ]
    if run.data.params:
        facts.append(ParamsLogged(run_id=info.run_id, params=dict(run.data.params)))
    if run.inputs.dataset_inputs:
        facts.append(InputsLogged(run_id=info.run_id, inputs=run.inputs.dataset_inputs))
    return facts


def _journal(run_id: str, identity: str) -> str:
    return f"copy-{run_id}-{identity}"


def _write_run(source: Reader, backend: Backend, run: Run, experiment: Experiment, identity: str) -> None:
    journal = _journal(run.info.run_id, identity)
    facts = _opening_facts(run, experiment, identity)
    backend.write(Batch(journal=journal, end=Position(len(facts), 0), facts=tuple(enumerate(facts))))
    for points in _batches(_points(source, run)):
        end = Position(len(facts), int(points[-1].numbers[-1]) + 1)
        backend.write(Batch(journal=journal, end=end, points=points))


def _finish_run(backend: Backend, run: Run) -> None:
    """Write what comes last: the state of the run, and that all of it has arrived."""
    info = run.info
    _write_facts(
        backend,
        RunUpdated(
            run_id=info.run_id, status=info.status, end_time=info.end_time, lifecycle_stage=info.lifecycle_stage
        ),
        TagsSet(run_id=info.run_id, tags={COPYING_TAG: None}),
    )


def _copy_artifacts(
    source: ArtifactStore, destination: Destination, run_id: str, artifacts: Sequence[Artifact]
) -> None:
    """Copy what an earlier attempt has not, through a local file, so that what is sent has been checked before."""
    arrived = set(destination.reader.artifacts(run_id))
    missing = [artifact for artifact in artifacts if artifact not in arrived]
    if not missing:
        return
    target = ArtifactStore(destination.backend.artifact_uri(run_id))
    with tempfile.TemporaryDirectory(prefix="autolog-copy-") as folder:
        staged = Path(folder) / "staged"
        for artifact in missing:
            fetch_artifact(source, artifact, staged)
            destination.backend.record_artifacts(run_id, [target.put(staged, artifact.path)])


def fetch_artifact(store: ArtifactStore, artifact: Artifact, target: Path) -> None:
    """Copy a stored file to a local one, which appears when all of it has arrived and been checked.

    Raises:
        NotFound: the file is not in the store any more.
        StoreCorrupted: its content is not what was stored.
    """
    digest = hashlib.sha256()
    partial = target.with_name(f".{target.name}.part")
    try:
        with store.open(artifact.path) as source, partial.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                sink.write(chunk)
        if digest.hexdigest() != artifact.sha256:
            raise StoreCorrupted(f"the artifact {artifact.path!r} is not what was stored: its checksum has changed")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _points(source: Reader, run: Run) -> Iterator[Points]:
    """Yield every point of a run, numbered throughout, in pieces of bounded size."""
    first = 0
    for key in sorted(run.data.summaries):
        history = source.metric_history(run.info.run_id, key)
        for start in range(0, len(history), _POINTS_PER_BATCH):
            part = slice(start, start + _POINTS_PER_BATCH)
            count = len(history.steps[part])
            yield Points(
                run_id=run.info.run_id,
                key=key,
                numbers=np.arange(first, first + count, dtype=np.int64),
                steps=history.steps[part],
                timestamps=history.timestamps[part],
                values=history.values[part],
            )
            first += count


def _batches(pieces: Iterator[Points]) -> Iterator[list[Points]]:
    """Put small pieces together, so that a run with a thousand short metrics is not a thousand transactions."""
    batch: list[Points] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece.numbers)
        if size >= _POINTS_PER_BATCH or len(batch) >= _SERIES_PER_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
