"""Removing for ever what is marked as deleted: records in the store, and files where the artifacts are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from autolog.artifact_store import ArtifactStore
from autolog.backend import Backend, ExperimentQuery, Reader, RunQuery
from autolog.entities import Experiment, LifecycleStage, Run, ViewType
from autolog.errors import AutologError, NotFound
from autolog.pages import PAGE_SIZE, every_experiment, every_run
from autolog.run import DELETION_TIME_TAG


@dataclass
class Deleted:
    """What is marked as deleted: runs, and experiments that go with all of their runs."""

    experiments: list[Experiment] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)


@dataclass
class RemovalFailure:
    """A run or experiment that is still there, and why."""

    subject: str
    message: str


def find_deleted(
    reader: Reader,
    *,
    experiment_ids: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
    before: int | None = None,
) -> Deleted:
    """Find what can be removed.

    Args:
        reader: of the store.
        experiment_ids: only these experiments, and runs in them.
        run_ids: only these runs, and no experiment.
        before: only what was deleted no later than this, in milliseconds since 1970.
            Where that is not known of a run, its end counts, or else its start.
    """
    found = Deleted()
    if run_ids is not None:
        chosen: Iterator[Run] = map(reader.get_run, run_ids)
    else:
        for experiment in every_experiment(reader, ExperimentQuery(view=ViewType.DELETED_ONLY)):
            is_asked = experiment_ids is None or experiment.experiment_id in experiment_ids
            if is_asked and (before is None or experiment.last_update_time <= before):
                found.experiments.append(experiment)
        chosen = every_run(reader, _runs(experiment_ids, ViewType.DELETED_ONLY))
    for run in chosen:
        is_deleted = run.info.lifecycle_stage is LifecycleStage.DELETED
        if is_deleted and (before is None or _deletion_time(run) <= before):
            found.run_ids.append(run.info.run_id)
    if found.experiments:
        within = every_run(reader, _runs([each.experiment_id for each in found.experiments], ViewType.ALL))
        known = set(found.run_ids)
        found.run_ids += [run.info.run_id for run in within if run.info.run_id not in known]
    return found


def remove(reader: Reader, backend: Backend, deleted: Deleted, advance: Callable[[], None]) -> list[RemovalFailure]:
    """Remove runs, then experiments; return what could not be.

    Args:
        reader: of the store.
        backend: of the same store.
        deleted: what to remove; of that, what has been restored in the meantime is left.
        advance: called after every run and every experiment.
    """
    failures = []
    with_experiment = {each.experiment_id for each in deleted.experiments}
    for run_id in deleted.run_ids:
        try:
            info = reader.get_run(run_id).info
            if info.lifecycle_stage is LifecycleStage.DELETED or info.experiment_id in with_experiment:
                # First, because nothing would be known of them afterwards.
                ArtifactStore(info.artifact_uri).delete_all()
                backend.remove_deleted([run_id])
        except NotFound:
            # Somebody else has removed it.
            pass
        except (AutologError, OSError) as error:
            failures.append(RemovalFailure(f"run {run_id}", str(error)))
        advance()
    for experiment in deleted.experiments:
        try:
            backend.remove_deleted(experiment_ids=[experiment.experiment_id])
        except AutologError as error:
            failures.append(RemovalFailure(f"experiment {experiment.name}", str(error)))
        advance()
    return failures


def _runs(experiment_ids: Sequence[str] | None, view: ViewType) -> RunQuery:
    return RunQuery(
        experiment_ids=experiment_ids, view=view, params=False, metrics=False, inputs=False, max_results=PAGE_SIZE
    )


def _deletion_time(run: Run) -> int:
    told = run.data.tags.get(DELETION_TIME_TAG, "")
    return int(told) if told.isdecimal() else run.info.end_time or run.info.start_time or 0
