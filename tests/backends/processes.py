"""Processes that write to one store, from a start that they share."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

import autolog
from autolog import tracking
from autolog.backend import Batch, RunQuery
from autolog.backends.sql import SqlBackend, SqlReader
from autolog.entities import RunStatus
from autolog.errors import BackendUnavailable
from autolog.events import ParamsLogged, RunUpdated
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

# Imported once, by the process that the others are forked from: a hundred of them would import for minutes.
_PRELOAD = ["processes", "alembic.command", "alembic.config", "alembic.runtime.migration", "psycopg", "pymysql"]
_TIMEOUT = 300


def run_at_once(work: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Run ``work(number, *arguments)`` in processes that begin at the same time, and expect that none fails."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    barrier = context.Barrier(processes)
    workers = [
        context.Process(target=_begin_together, args=(barrier, work, number, *arguments)) for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(_TIMEOUT)
    assert [worker.exitcode for worker in workers] == [0] * processes
    for worker in workers:
        worker.close()


def _begin_together(barrier: Any, work: Callable[..., None], number: int, *arguments: Any) -> None:
    barrier.wait(_TIMEOUT)
    work(number, *arguments)


def write_runs(number: int, url: str, count: int) -> None:
    """Write runs, each with a point of a run that all share."""
    journal = FakeJournal(f"journal{number}")
    with contextlib.closing(SqlBackend(url)) as backend:
        write_patiently(backend, journal.batch(experiment_created(), run_created("shared")))
        for place in range(count):
            run_id = f"{journal.name}-{place}"
            batch = journal.batch(
                run_created(run_id),
                ParamsLogged(run_id=run_id, params={"number": str(place)}),
                RunUpdated(run_id=run_id, status=RunStatus.FINISHED, end_time=START),
                points={("shared", "loss"): [(place, START, 1.0)], (run_id, "loss"): [(0, START, float(place))]},
            )
            write_patiently(backend, batch)


def write_patiently(backend: SqlBackend, batch: Batch) -> None:
    """Write a batch as the writer does: anew while the store says that it cannot be used now."""
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            return backend.write(batch)
        except BackendUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5 * os.urandom(1)[0] / 255)


def record_points(number: int, url: str, spool: str, count: int) -> None:
    """Record a run as a training does, and expect that nothing is said about it."""
    os.environ.update(AUTOLOG_SPOOL=f"{spool}/{number}", AUTOLOG_SYSTEM_METRICS="0", AUTOLOG_LOG_ENVIRONMENT="0")
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("autolog").addHandler(handler)
    autolog.enable(url, integrations=[])
    with autolog.start_run(run_name=str(number)):
        for step in range(count):
            autolog.log_metric("loss", 1 / (step + 1), step)
    assert autolog.flush(_TIMEOUT)
    autolog.disable()
    tracking.close()
    assert said == []


def check_points(url: str, processes: int, count: int) -> None:
    """Expect that all points of all processes are in a store, once."""
    with contextlib.closing(SqlReader(url)) as reader:
        runs = reader.search_runs(RunQuery(filter="status = 'FINISHED'")).items
        assert sorted(int(run.info.run_name) for run in runs) == list(range(processes))
        for run in runs:
            assert run.data.summaries["loss"].count == count
            assert reader.metric_history(run.info.run_id, "loss").steps.tolist() == list(range(count))


def check_runs(url: str, processes: int, count: int) -> None:
    """Expect that a store was made once, and has what ``write_runs`` wrote to it."""
    with contextlib.closing(SqlReader(url)) as reader:
        finished = "status = 'FINISHED' AND params.number LIKE '%' AND metrics.loss >= 0"
        assert reader.count_runs(RunQuery(filter=finished)) == processes * count
        assert len(reader.metric_history("shared", "loss")) == processes * count
        assert reader.get_run("shared").data.summaries["loss"].count == processes * count
        with reader._store.transaction() as connection:
            for table in ("autolog_version", "settings", "experiments"):
                assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 1
