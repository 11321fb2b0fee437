"""Removing what is deleted for ever, in transactions of a bounded size, so that a run of any length goes.

A run that is being removed is out of sight from the first of them on. Where that is cut off, the next removal goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection, and_, delete, exists, func, or_, select, update

from autolog.backends.sql.run_facts import lock_runs
from autolog.backends.sql.schema import datasets, experiments, inputs, metric_summaries, metrics, runs
from autolog.backends.sql.store import Store
from autolog.entities import LifecycleStage
from autolog.errors import BackendUnavailable

# No reader asks for this stage, and no journal for the id that a run has in it.
_REMOVED: Final = "removed"
# How many points, and how many metrics, runs or data sets, one transaction removes.
_POINTS: Final = 50_000
_ROWS: Final = 1000


def remove_deleted(store: Store, run_ids: Sequence[str], experiment_ids: Sequence[str]) -> None:
    """Remove runs, and experiments with their runs; those that are not deleted are left.

    Args:
        store: where they are.
        run_ids: of the runs.
        experiment_ids: of the experiments.
    """
    for start in range(0, len(run_ids), _ROWS):
        chosen = run_ids[start : start + _ROWS]
        store.run(partial(_hide_runs, run_ids=chosen))
    for experiment_id in experiment_ids:
        while store.run(partial(_hide_runs_of, experiment_id=experiment_id)):
            pass
    used: set[int] = set()
    while (found := store.run(_take_hidden)) is not None:
        run, its_datasets = found
        used |= its_datasets
        while store.run(partial(_remove_some, run=run)):
            pass
    for experiment_id in experiment_ids:
        store.run(partial(_remove_experiment, experiment_id=experiment_id))
    _remove_unused_datasets(store, sorted(used))


def _hide_runs(connection: Connection, run_ids: Collection[str]) -> None:
    rows = lock_runs(connection, run_ids)
    of_deleted = select(experiments.c.id).where(experiments.c.lifecycle_stage == LifecycleStage.DELETED.value)
    removable = or_(runs.c.lifecycle_stage == LifecycleStage.DELETED.value, runs.c.experiment.in_(of_deleted))
    found = select(runs.c.id).where(runs.c.id.in_(list(rows.values())), removable)
    for row in connection.execute(found).scalars().all():
        hidden = {"lifecycle_stage": _REMOVED, "run_id": f"{_REMOVED} {row}"}
        connection.execute(update(runs).where(runs.c.id == row).values(hidden))


def _hide_runs_of(connection: Connection, experiment_id: str) -> bool:
    """Hide some runs of an experiment that is deleted; return whether there were any."""
    experiment = _find_deleted(connection, experiment_id)
    if experiment is None:
        return False
    visible = and_(runs.c.experiment == experiment, runs.c.lifecycle_stage != _REMOVED)
    run_ids = connection.execute(select(runs.c.run_id).where(visible).limit(_ROWS)).scalars().all()
    _hide_runs(connection, run_ids)
    return bool(run_ids)


def _find_deleted(connection: Connection, experiment_id: str) -> int | None:
    """Return the row of an experiment if it is deleted, locked: no run begins in it until the transaction ends."""
    columns = experiments.c
    chosen = and_(columns.experiment_id == experiment_id, columns.lifecycle_stage == LifecycleStage.DELETED.value)
    return connection.execute(select(columns.id).where(chosen).with_for_update()).scalar_one_or_none()


def _take_hidden(connection: Connection) -> tuple[int, set[int]] | None:
    """Return a run that is being removed, and the data sets that it uses."""
    run = connection.execute(select(runs.c.id).where(runs.c.lifecycle_stage == _REMOVED).limit(1)).scalar()
    if run is None:
        return None
    return run, set(connection.execute(select(inputs.c.dataset).where(inputs.c.run == run)).scalars())


def _remove_some(connection: Connection, run: int) -> bool:
    """Remove some points of a hidden run, and with the last of them the run; return whether anything is left."""
    columns = metric_summaries.c
    found = connection.execute(
        select(columns.id, columns.count).where(columns.run == run).order_by(columns.id).limit(_ROWS)
    ).all()
    if not found:
        connection.execute(delete(runs).where(runs.c.id == run))
        return False
    series, count = found[0]
    if count > _POINTS:
        # From the end, and between two bounds: rows that are gone stay in PostgreSQL's index for a while.
        first = count - _POINTS
        here = and_(metrics.c.series == series, metrics.c.ordinal >= first, metrics.c.ordinal < count)
        connection.execute(delete(metrics).where(here))
        connection.execute(update(metric_summaries).where(columns.id == series).values(count=first))
        return True
    whole, points = [], 0
    for series, count in found:
        points += count
        if points > _POINTS:
            break
        whole.append(series)
    connection.execute(delete(metrics).where(metrics.c.series.in_(whole)))
    connection.execute(delete(metric_summaries).where(columns.id.in_(whole)))
    return True


def _remove_experiment(connection: Connection, experiment_id: str) -> None:
    experiment = _find_deleted(connection, experiment_id)
    if experiment is None:
        return
    if connection.execute(select(func.count()).where(runs.c.experiment == experiment)).scalar_one():
        raise BackendUnavailable(f"a run began in the experiment {experiment_id} while it was being removed; try again")
    connection.execute(delete(experiments).where(experiments.c.id == experiment))


def _remove_unused_datasets(store: Store, candidates: Sequence[int]) -> None:
    for start in range(0, len(candidates), _ROWS):
        store.run(partial(_remove_datasets, candidates=candidates[start : start + _ROWS]))


def _remove_datasets(connection: Connection, candidates: Sequence[int]) -> None:
    unused = ~exists().where(inputs.c.dataset == datasets.c.id)
    connection.execute(delete(datasets).where(datasets.c.id.in_(candidates), unused))
