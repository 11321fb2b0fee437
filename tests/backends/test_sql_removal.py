"""Removing runs from a database in parts, of which nobody sees one."""

from __future__ import annotations

import contextlib

import pytest
from sqlalchemy import event, text

from autolog.backend import RunQuery
from autolog.backends.sql import SqlBackend, SqlReader
from autolog.backends.sql.schema import metadata
from autolog.entities import LifecycleStage, ViewType
from autolog.errors import NotFound
from autolog.events import ExperimentUpdated, InputsLogged, ParamsLogged, RunUpdated
from autolog.testing.backend_fixtures import OTHER, TRAIN
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created


@pytest.fixture
def backend(any_url, monkeypatch):
    # So that some thousand points are as many transactions as a hundred million would be.
    monkeypatch.setattr("autolog.backends.sql.removal._POINTS", 100)
    monkeypatch.setattr("autolog.backends.sql.removal._ROWS", 7)
    with contextlib.closing(SqlBackend(any_url)) as backend:
        yield backend


@pytest.fixture
def reader(any_url):
    with contextlib.closing(SqlReader(any_url)) as reader:
        yield reader


@pytest.fixture
def journal(backend):
    """A journal that has written a run to keep, and a deleted one with one long metric and many short ones."""
    journal = FakeJournal("journal")
    journal.write(backend, experiment_created(), run_created("kept"), run_created("gone"))
    journal.write(
        backend,
        ParamsLogged(run_id="gone", params={"a": "1"}),
        InputsLogged(run_id="gone", inputs=(TRAIN, OTHER)),
        InputsLogged(run_id="kept", inputs=(TRAIN,)),
        RunUpdated(run_id="gone", lifecycle_stage=LifecycleStage.DELETED),
        points={
            ("kept", "loss"): [(0, START, 1.0)],
            ("gone", "loss"): [(step, START, 1.0) for step in range(1234)],
            **{("gone", f"m{key}"): [(step, START, 1.0) for step in range(key)] for key in range(1, 40)},
        },
    )
    return journal


def count_rows(backend):
    tables = [table for table in metadata.tables if table not in ("settings", "journals")]
    with backend._store.transaction() as connection:
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in tables}


@pytest.mark.usefixtures("journal")
def test_no_row_of_a_removed_run_is_left(backend, reader):
    sizes = []
    event.listen(backend._store._engine, "commit", sizes.append)
    backend.remove_deleted(["gone"])
    assert len(sizes) > 1234 / 100
    left = count_rows(backend)
    for table, count in {
        "runs": 1,
        "metrics": 1,
        "metric_summaries": 1,
        "params": 0,
        "inputs": 1,
        "datasets": 1,
    }.items():
        assert left[table] == count, table
    assert reader.metric_history("kept", "loss").values.tolist() == [1.0]


def test_a_removal_that_is_cut_off_shows_no_half_run_and_is_completed_by_the_next(backend, reader, journal):
    class Cut(Exception):
        pass

    commits = []

    def cut(_connection):
        commits.append(1)
        if len(commits) == 8:
            raise Cut

    engine = backend._store._engine
    event.listen(engine, "commit", cut)
    with pytest.raises(Cut):
        backend.remove_deleted(["gone"])
    event.remove(engine, "commit", cut)
    assert 1 < count_rows(backend)["metrics"] < 1 + 1234 + sum(range(40))
    with pytest.raises(NotFound, match="gone"):
        reader.get_run("gone")
    assert [run.info.run_id for run in reader.search_runs(RunQuery(view=ViewType.ALL))] == ["kept"]
    # A journal neither finds it nor brings it back.
    journal.write(
        backend,
        RunUpdated(run_id="gone", lifecycle_stage=LifecycleStage.ACTIVE),
        points={("gone", "loss"): [(9999, START, 1.0)]},
    )
    backend.remove_deleted()
    assert count_rows(backend)["metrics"] == 1
    assert count_rows(backend)["runs"] == 1


def test_an_experiment_of_many_runs_is_removed(backend, journal):
    journal.write(
        backend,
        *(run_created(f"run{number}") for number in range(30)),
        ExperimentUpdated(experiment_id="0", time=START, lifecycle_stage=LifecycleStage.DELETED),
        points={(f"run{number}", "loss"): [(0, START, 1.0)] for number in range(30)},
    )
    backend.remove_deleted(experiment_ids=["0"])
    assert {name for name, count in count_rows(backend).items() if count} == set()
