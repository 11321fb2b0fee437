"""The fluent functions about runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, overload

from autolog import lifecycle, tracking
from autolog.api.experiments import get_experiment, get_experiment_by_name
from autolog.backend import RunQuery
from autolog.entities import LifecycleStage, Metric, Run, ViewType
from autolog.errors import InvalidParameter, InvalidState, NotFound
from autolog.events import RunUpdated, TagsSet
from autolog.loops import end_loop
from autolog.pages import PAGE_SIZE, every_run
from autolog.run import DELETION_TIME_TAG, NOTE_TAG, PARENT_TAG, ActiveRun, activate, active_run, deactivate, to_status
from autolog.tracking import ExperimentName
from autolog.values import to_view

if TYPE_CHECKING:
    import pandas


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,  # noqa: ARG001  MLflow's; enable(system_metrics=…) decides here
) -> ActiveRun:
    """Begin a run, or go on with one, and make it the active run of this thread or task.

    Args:
        run_id: go on with this run; the variable AUTOLOG_RUN_ID says the same from outside, for the first run.
        experiment_id: the experiment; the current one where it is not given.
        run_name: invented where it is not given.
        nested: begin a child of the active run.
        parent_run_id: begin a child of this run.
        tags: for the run.
        description: kept as the tag ``mlflow.note.content``.
        log_system_metrics: accepted for MLflow's sake.

    Raises:
        InvalidState: a run is active and ``nested`` is not set.
        NotFound: there is no run or experiment with the id.
    """
    active = active_run()
    if active is not None and active.is_of_a_loop and not nested and parent_run_id is None:
        end_loop(active)
        active = active_run()
    # What is trained may begin a run of its own, as it may without autolog: a child of the training's.
    if active is not None and not (nested or active.is_of_a_hook) and parent_run_id is None:
        raise InvalidState(
            f"the run {active.run_id} ({active.name}) is active; end it first with end_run(), "
            "or begin a child of it with start_run(nested=True)"
        )
    wanted = run_id or (lifecycle.take_inherited_run_id() if active is None else None)
    all_tags = dict(tags or {})
    if description is not None:
        all_tags[NOTE_TAG] = description
    if wanted:
        run = lifecycle.resume_run(wanted, 0.0 if run_id else lifecycle.LAUNCHER_PATIENCE)
        run.set_tags(all_tags)
        if run_name:
            run.rename(run_name)
    else:
        experiment = None
        if experiment_id is not None:
            found = get_experiment(experiment_id)
            experiment = ExperimentName(found.experiment_id, found.name)
        parent = parent_run_id or (active.run_id if active is not None else None)
        run = lifecycle.begin_run(name=run_name, experiment=experiment, parent_run_id=parent, tags=all_tags)
    activate(run)
    return run


def end_run(status: str = "FINISHED") -> None:
    """End the active run; nothing happens where none is active. Raises InvalidParameter for an unknown status."""
    final = to_status(status)
    run = active_run()
    if run is not None:
        deactivate(run)
        run.end(final)


def last_active_run() -> Run | None:
    """Return the active run, or else the last that this process began, as it stands in the store."""
    run = lifecycle.last_active_run()
    return run.read() if run is not None else None


def get_run(run_id: str) -> Run:
    """Return a run as it stands in the store. Raises NotFound."""
    return tracking.current().reader().get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """Return the run that a run is a child of; None where it is nobody's. Raises NotFound."""
    parent = get_run(run_id).data.tags.get(PARENT_TAG)
    return get_run(parent) if parent else None


def delete_run(run_id: str) -> None:
    """Mark a run as deleted. Raises NotFound."""
    _change_run(run_id, LifecycleStage.DELETED)


def restore_run(run_id: str) -> None:
    """Make a deleted run active again. Raises NotFound."""
    _change_run(run_id, LifecycleStage.ACTIVE)


@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: ViewType | str | int = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    output_format: Literal["pandas"] = ...,
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> pandas.DataFrame: ...
@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: ViewType | str | int = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    *,
    output_format: Literal["list"],
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> list[Run]: ...
def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: ViewType | str | int = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> pandas.DataFrame | list[Run]:
    """Return the runs that match a filter.

    Args:
        experiment_ids: where to look; the current experiment where neither ids nor names are given.
        filter_string: such as ``metrics.accuracy > 0.9 and (params.C = '1.0' or tags.kind in ('a', 'b'))``.
        run_view_type: active runs, deleted ones, or all.
        max_results: most runs to return.
        order_by: such as ``["metrics.accuracy DESC"]``; newest first where it is not given.
        output_format: ``pandas`` for a DataFrame with MLflow's columns, or ``list`` for Run records.
        search_all_experiments: look everywhere.
        experiment_names: where to look, by name.

    Raises:
        InvalidFilter: the filter or an ordering does not parse.
        InvalidParameter: ids and names are both given, or the format is unknown.
        NotFound: there is no experiment of a name.
        MissingDependency: pandas is not installed.
    """
    if output_format not in {"pandas", "list"}:
        raise InvalidParameter(f"output_format {output_format!r} is unknown; use 'pandas' or 'list'")
    query = RunQuery(
        experiment_ids=_experiments_to_search(experiment_ids, experiment_names, everywhere=search_all_experiments),
        filter=filter_string or "",
        view=to_view(run_view_type),
        order_by=tuple(order_by or ()),
        max_results=min(max_results, PAGE_SIZE),
    )
    found = list(islice(every_run(tracking.current().reader(), query), max_results))
    if output_format == "list":
        return found
    from autolog.frames import runs_to_frame

    return runs_to_frame(found)


def get_metric_history(run_id: str, key: str) -> list[Metric]:
    """Return every point of a metric, ordered by step and time. Raises NotFound."""
    return tracking.current().reader().metric_history(run_id, key).metrics()


def use_run(run_id: str | None = None) -> ActiveRun:
    """Return a handle on a run: the one with the id, else the active one, else one that is begun now."""
    if run_id is not None:
        return lifecycle.find_run(run_id)
    return active_run() or start_run()


def _experiments_to_search(
    ids: Sequence[str] | None, names: Sequence[str] | None, *, everywhere: bool
) -> list[str] | None:
    if ids is not None and names is not None:
        raise InvalidParameter("give either experiment_ids or experiment_names, not both")
    if ids is not None:
        return [str(experiment_id) for experiment_id in ids]
    if names is not None:
        found = {name: get_experiment_by_name(name) for name in names}
        missing = [name for name, experiment in found.items() if experiment is None]
        if missing:
            raise NotFound(f"there is no experiment named {missing[0]!r} in this store")
        return [experiment.experiment_id for experiment in found.values() if experiment is not None]
    if everywhere:
        return None
    where = tracking.current_experiment()
    stored = get_experiment_by_name(where.name)
    return [stored.experiment_id if stored is not None else where.experiment_id]


def _change_run(run_id: str, stage: LifecycleStage) -> None:
    get_run(run_id)
    recorder = tracking.current().recorder
    recorder.record(RunUpdated(run_id=run_id, lifecycle_stage=stage))
    # How `autolog gc --older-than` knows.
    deleted = str(time.time_ns() // 1_000_000) if stage is LifecycleStage.DELETED else None
    recorder.record(TagsSet(run_id=run_id, tags={DELETION_TIME_TAG: deleted}))
