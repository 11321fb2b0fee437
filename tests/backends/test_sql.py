"""The SQL backend: the conformance suite on each database, and what only a database can do wrong."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import sqlite3
import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from sqlalchemy import create_engine

from autolog.backend import RunQuery
from autolog.backends.sql import SqlBackend, SqlReader
from autolog.errors import (
    BackendError,
    BackendUnavailable,
    InvalidParameter,
    StoreCorrupted,
    StoreTooNew,
)
from autolog.events import ParamsLogged
from autolog.testing.backend_search import SearchTests
from autolog.testing.backend_suite import BackendSuite
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created


class TestSqlite(BackendSuite):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path / 'runs.db'}"


class TestSqliteWithManyRuns(SearchTests):
    """Searches as they are made where every comparison finds many."""

    @pytest.fixture
    def url(self, tmp_path, monkeypatch):
        monkeypatch.setattr("autolog.backends.sql.reader._WIDE", 1)
        return f"sqlite:///{tmp_path / 'runs.db'}"


class TestPostgresql(BackendSuite):
    @pytest.fixture
    def url(self, postgresql_url):
        return postgresql_url


class TestMariadb(BackendSuite):
    @pytest.fixture
    def url(self, mariadb_url):
        return mariadb_url


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@pytest.fixture
def journal():
    return FakeJournal("journal")


@pytest.fixture
def backend(url):
    with contextlib.closing(SqlBackend(url)) as backend:
        yield backend


@pytest.fixture
def reader(url):
    with contextlib.closing(SqlReader(url)) as reader:
        yield reader


@pytest.fixture
def run(backend, journal):
    """A run in the store, by its id."""
    journal.write(backend, experiment_created(), run_created("run1"))
    return "run1"


def execute(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements]


def test_a_file_that_is_not_a_database_is_damaged(path, backend, reader, journal):
    path.write_bytes(b"accuracy,0.9\n" * 1000)
    with pytest.raises(StoreCorrupted, match=r"runs\.db"):
        journal.write(backend, experiment_created())
    with pytest.raises(StoreCorrupted, match=r"runs\.db"):
        reader.search_runs(RunQuery())
    assert path.read_bytes() == b"accuracy,0.9\n" * 1000


def test_a_database_with_overwritten_pages_is_damaged(path, url, backend, journal, run):
    backend.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xab" * (size - 4096))
    with contextlib.closing(SqlReader(url)) as reader, pytest.raises(StoreCorrupted, match="damaged"):
        reader.get_run(run)
    with pytest.raises(StoreCorrupted, match="damaged"):
        journal.write(backend, run_created("run2"))


@pytest.mark.usefixtures("run")
def test_a_store_of_a_newer_autolog_is_left_alone(path, url, journal):
    execute(path, "UPDATE autolog_version SET version_num = '9999'")
    for store in (SqlBackend(url), SqlReader(url)):
        with contextlib.closing(store), pytest.raises(StoreTooNew, match=r"9999.*upgrade autolog"):
            journal.write(store, run_created("run2")) if isinstance(store, SqlBackend) else store.get_run("run1")
    assert execute(path, "SELECT run_id FROM runs") == [[("run1",)]]


def test_a_database_of_mlflow_is_not_taken_for_a_store(path, backend, reader, journal):
    execute(path, "CREATE TABLE experiments (name TEXT)", "CREATE TABLE alembic_version (version_num TEXT)")
    before = path.read_bytes()
    with pytest.raises(BackendError, match=r"is not an autolog store \(it looks like MLflow's\)"):
        journal.write(backend, experiment_created())
    with pytest.raises(BackendError, match="experiments"):
        reader.search_runs(RunQuery())
    assert path.read_bytes() == before


def test_a_database_with_other_tables_can_hold_a_store_too(path, backend, reader, journal):
    execute(path, "CREATE TABLE customers (name TEXT)", "INSERT INTO customers VALUES ('Ada')")
    assert reader.count_runs(RunQuery()) == 0
    journal.write(backend, experiment_created(), run_created("run1"))
    assert reader.count_runs(RunQuery()) == 1
    assert execute(path, "SELECT name FROM customers") == [[("Ada",)]]


def test_a_file_above_the_database_is_an_error_that_names_it(tmp_path, journal):
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/team/runs.db"
    named = rf"runs\.db cannot be used: Not a directory \({re.escape(str(tmp_path / 'file'))}\)"
    with contextlib.closing(SqlBackend(url)) as backend, pytest.raises(BackendError, match=named):
        journal.write(backend, experiment_created())
    with contextlib.closing(SqlReader(url)) as reader, pytest.raises(BackendError, match=named):
        reader.count_runs(RunQuery())


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="every folder may be written to")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path, backend, journal):
    tmp_path.chmod(0o500)
    with pytest.raises(BackendError, match="is a folder that you may write to"):
        journal.write(backend, experiment_created())


def test_folders_above_a_new_store_are_made(tmp_path, journal):
    with contextlib.closing(SqlBackend(f"sqlite:///{tmp_path}/a/b c/runs#1.db")) as backend:
        journal.write(backend, experiment_created())
    assert (tmp_path / "a" / "b c" / "runs#1.db").exists()


def test_a_locked_database_is_unavailable_until_it_is_released(path, url, reader, journal, run):
    batch = journal.batch(ParamsLogged(run_id=run, params={"depth": "3"}))
    with (
        contextlib.closing(SqlBackend(f"{url}?timeout=0.2")) as backend,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackendUnavailable, match="locked"):
            backend.write(batch)
        assert reader.get_run(run).data.params == {}
        other.execute("COMMIT")
        backend.write(batch)
    assert reader.get_run(run).data.params == {"depth": "3"}


def test_a_full_disk_makes_the_store_unavailable_and_loses_nothing(url, path, reader, journal, run):
    # A bound on the file's size is refused by SQLite as a full disk is.
    (((pages,),),) = execute(path, "PRAGMA page_count")
    batch = journal.batch(ParamsLogged(run_id=run, params={"text": "x" * 1_000_000}))
    with contextlib.closing(SqlBackend(url)) as backend:
        with backend._store.transaction() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
        with pytest.raises(BackendUnavailable, match="full"):
            backend.write(batch)
        assert reader.get_run(run).data.params == {}
        with backend._store.transaction() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        backend.write(batch)
    assert len(reader.get_run(run).data.params["text"]) == 1_000_000


def test_a_server_that_does_not_answer_is_unavailable_and_its_password_is_not_shown(journal):
    pytest.importorskip("psycopg")
    url = "postgresql://ada:secret@127.0.0.1:1/runs"
    with contextlib.closing(SqlBackend(url)) as backend:
        with pytest.raises(BackendUnavailable, match=r"ada:\*\*\*@127\.0\.0\.1") as caught:
            journal.write(backend, experiment_created())
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///runs.db?timeout=long",
        "oracle://ada:secret@host/db",
        "postgresql+psycopg2://ada:secret@host/db",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url):
    for store in (SqlBackend, SqlReader):
        with pytest.raises(InvalidParameter) as caught:
            store(url)
        assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("run")
def test_a_person_can_read_a_run_with_sql(path, backend, journal):
    journal.write(
        backend,
        ParamsLogged(run_id="run1", params={"depth": "3"}),
        points={("run1", "loss"): [(0, START, 0.5), (1, START + 1, 0.25)]},
    )
    params, summaries, points = execute(
        path,
        "SELECT run_id, key, value FROM params JOIN runs ON runs.id = params.run",
        "SELECT key, value, min, max, count FROM metric_summaries",
        "SELECT ordinal, step, timestamp, value FROM metrics ORDER BY series, ordinal",
    )
    assert params == [("run1", "depth", "3")]
    assert summaries == [("loss", 0.25, 0.25, 0.5, 2)]
    assert points == [(0, 0, START, 0.5), (1, 1, START + 1, 0.25)]


def test_a_run_that_a_person_deletes_takes_what_is_below_it_along(path, backend, journal, run):
    journal.write(backend, ParamsLogged(run_id=run, params={"depth": "3"}), points={(run, "loss"): [(0, START, 0.5)]})
    execute(path, "PRAGMA foreign_keys = ON", "DELETE FROM runs")
    assert execute(path, "SELECT count(*) FROM params", "SELECT count(*) FROM metric_summaries") == [[(0,)], [(0,)]]


def test_the_artifacts_move_with_the_database(path, tmp_path, backend, run):
    assert backend.artifact_uri(run) == (tmp_path / "runs-artifacts" / "0" / run / "artifacts").as_posix()
    backend.close()
    (tmp_path / "archive").mkdir()
    path.rename(tmp_path / "archive" / "runs.db")
    with contextlib.closing(SqlReader(f"sqlite:///{tmp_path}/archive/runs.db")) as reader:
        moved = tmp_path / "archive" / "runs-artifacts" / "0" / run / "artifacts"
        assert reader.get_run(run).info.artifact_uri == moved.as_posix()


def test_the_place_of_the_artifacts_is_chosen_once(path, url, journal, caplog):
    with contextlib.closing(SqlBackend(f"{url}?artifact_root=s3://bucket/runs/")) as backend:
        journal.write(backend, experiment_created(), run_created("run1"))
        assert backend.artifact_uri("run1") == "s3://bucket/runs/0/run1/artifacts"
    with (
        contextlib.closing(SqlBackend(f"{url}?artifact_root=s3://other")) as backend,
        caplog.at_level(logging.WARNING, logger="autolog"),
    ):
        assert backend.artifact_uri("run1") == "s3://bucket/runs/0/run1/artifacts"
    assert "s3://bucket/runs" in caplog.text


@pytest.mark.parametrize("run_id", ["..", "../../etc", "a/b", "C:\\a", ".hidden"])
def test_no_run_id_leads_out_of_the_artifact_root(tmp_path, backend, journal, run_id):
    journal.write(backend, experiment_created(), run_created(run_id))
    folder = Path(backend.artifact_uri(run_id))
    assert folder.resolve().parent.parent == (tmp_path / "runs-artifacts" / "0").resolve()


def test_artifacts_can_be_searched_by_their_place(backend, reader, run):
    uri = backend.artifact_uri(run)
    assert reader.count_runs(RunQuery(filter=f"artifact_uri = '{uri}'")) == 1
    assert reader.count_runs(RunQuery(filter=f"artifact_uri = '{uri}/model'")) == 0


@pytest.mark.parametrize("pattern", ["[a]%", "*", "a?c", "!%", "\\_", "^a"])
def test_wildcards_of_the_database_are_plain_letters_in_a_filter(backend, reader, journal, run, pattern):
    journal.write(
        backend,
        run_created("run2"),
        ParamsLogged(run_id=run, params={"p": pattern.replace("%", "x").replace("_", "y")}),
        ParamsLogged(run_id="run2", params={"p": "abc"}),
    )
    for operator in ("LIKE", "ILIKE"):
        (found,) = reader.search_runs(RunQuery(filter=f"params.p {operator} '{pattern}'"))
        assert found.info.run_id == run


def test_values_that_begin_alike_are_told_apart_and_ordered(backend, reader, journal, run):
    texts = [f"{'x' * 100}{end}" for end in "cab"]
    journal.write(backend, run_created("run2"), run_created("run3"))
    for run_id, value in zip((run, "run2", "run3"), texts, strict=True):
        journal.write(backend, ParamsLogged(run_id=run_id, params={"p": value}))
    (found,) = reader.search_runs(RunQuery(filter=f"params.p = '{texts[1]}'"))
    assert found.info.run_id == "run2"
    for order, expected in (("ASC", ["run2", "run3", run]), ("DESC", [run, "run3", "run2"])):
        query = RunQuery(order_by=[f"params.p {order}"], max_results=1)
        pages = [reader.search_runs(query)]
        while pages[-1].token:
            pages.append(
                reader.search_runs(RunQuery(order_by=query.order_by, max_results=1, page_token=pages[-1].token))
            )
        assert [each.info.run_id for page in pages for each in page] == expected


def test_a_text_with_a_null_character_differs_from_what_is_before_it(backend, reader, journal, run):
    journal.write(backend, ParamsLogged(run_id=run, params={"p": "a\x00b"}))
    assert reader.count_runs(RunQuery(filter="params.p = 'a'")) == 0
    assert reader.count_runs(RunQuery(filter="params.p IN ('a', 'b')")) == 0


def test_a_history_is_whole_where_its_first_points_are_older_than_the_stretches(path, backend, reader, journal, run):
    for first in (0, 20_000, 40_000):
        journal.write(
            backend, points={(run, "loss"): [(step, START, step / 7) for step in range(first, first + 20_000)]}
        )
        execute(path, "DELETE FROM metric_stretches WHERE last < 20000")
    thinned = reader.metric_history(run, "loss", 20)
    assert len(thinned) == 20
    assert thinned.steps[[0, -1]].tolist() == [0, 59_999]


def test_a_filter_on_a_time_knows_fractions(backend, reader, run):
    assert reader.count_runs(RunQuery(filter=f"start_time > {START - 0.5}")) == 1
    assert reader.count_runs(RunQuery(filter=f"start_time > {START + 0.5}")) == 0
    assert reader.count_runs(RunQuery(filter="start_time < 1e300")) == 1


# Alembic's older releases cannot compare such a column, and say so.
@pytest.mark.filterwarnings("ignore:Computed default")
def test_the_migrations_lead_to_the_tables_that_the_code_knows(path, backend, run):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from autolog.backends.sql import migrations
    from autolog.backends.sql.schema import SCHEMA_VERSION, metadata

    assert ScriptDirectory(Path(migrations.__file__).parent).get_heads() == [SCHEMA_VERSION]
    with backend._store.transaction() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "autolog_version", "compare_type": False}
        )
        assert compare_metadata(context, metadata) == []
        migrated = dict(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all())
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    engine.dispose()
    for name, sql in made:
        assert ("WITHOUT ROWID" in sql) == ("WITHOUT ROWID" in migrated[name]), name


def test_a_reader_never_makes_a_file(path, reader):
    assert reader.count_runs(RunQuery()) == 0
    assert not path.exists()


def test_a_reader_opened_before_the_store_was_made_sees_it(backend, reader, journal):
    assert reader.count_runs(RunQuery()) == 0
    journal.write(backend, experiment_created(), run_created("run1"))
    assert reader.count_runs(RunQuery()) == 1


def test_a_large_batch_is_stored_in_the_order_of_its_points(backend, reader, journal, run):
    rows = {(run, key): [(step, START, step / 7) for step in range(10_001)] for key in ("a", "b")}
    journal.write(backend, points=rows)
    for key in ("a", "b"):
        history = reader.metric_history(run, key)
        assert history.steps.tolist() == list(range(10_001))
        assert history.values.tolist() == [step / 7 for step in range(10_001)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_writes_with_connections_of_its_own(backend, reader, journal, run):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            backend.reopen()
            gc.collect()
            FakeJournal("child").write(backend, ParamsLogged(run_id=run, params={"child": "yes"}))
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    journal.write(backend, ParamsLogged(run_id=run, params={"parent": "yes"}))
    assert reader.get_run(run).data.params == {"child": "yes", "parent": "yes"}
