"""What many connections to one database do to each other: they take turns, and nobody notices."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import check_points, check_runs, record_points, run_at_once, write_runs
from servers import MARIADB, POSTGRESQL
from sqlalchemy import create_engine, make_url, text

from autolog.backend import RunQuery
from autolog.backends.sql import SqlBackend, SqlReader
from autolog.errors import BackendUnavailable
from autolog.events import ExperimentUpdated, InputsLogged, ParamsLogged
from autolog.testing.backend_fixtures import OTHER, TRAIN
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

# Seconds after which something that should come at once is taken for never.
PATIENCE = 60


@pytest.fixture
def journal():
    return FakeJournal("journal")


@pytest.fixture
def backend(any_url):
    with contextlib.closing(SqlBackend(any_url)) as backend:
        yield backend


@pytest.fixture
def reader(any_url):
    with contextlib.closing(SqlReader(any_url)) as reader:
        yield reader


@pytest.fixture
def runs(backend, journal):
    """Two runs in the store, by their ids."""
    journal.write(backend, experiment_created(), run_created("a"), run_created("b"))
    return ("a", "b")


@pytest.fixture
def other(any_url):
    """A connection of another program to the store's server."""
    url = make_url(any_url)
    engine = create_engine(url.set(drivername=f"{url.drivername}+{'psycopg' if is_postgresql(any_url) else 'pymysql'}"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def is_postgresql(url):
    return url.startswith("postgresql")


only_on_servers = pytest.mark.parametrize("any_url", ["postgresql", "mariadb"], indirect=True)
only_on_postgresql = pytest.mark.parametrize("any_url", ["postgresql"], indirect=True)


def wait_until_blocked(url):
    """Wait until a connection to this database waits for a lock of another one."""
    server = POSTGRESQL if is_postgresql(url) else MARIADB
    name = make_url(url).database
    question = (
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
        if is_postgresql(url)
        else "SELECT count(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p "
        f"ON p.id = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.db = '{name}'"
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with server.connect() as connection:
            if connection.execute(text(question)).scalar_one():
                return
        # MariaDB answers anew only to who has not asked for a tenth of a second.
        time.sleep(0.2)
    raise AssertionError("nobody waits for a lock")


@only_on_servers
def test_a_writer_that_loses_a_deadlock_writes_its_batch_once(
    any_url, backend, reader, journal, runs, other, meanwhile, caplog
):
    caplog.set_level(logging.DEBUG, logger="autolog")
    if is_postgresql(any_url):
        # Whoever looks for a deadlock first and finds one gives way: the writer, who looks after a second.
        other.execute(text("SET deadlock_timeout = '60s'"))
    else:
        # Whoever has changed less gives way.
        for number in range(300):
            other.execute(text("INSERT INTO settings VALUES (:name, '')"), {"name": str(number)})
    other.execute(text("UPDATE runs SET user_id = 'other' WHERE run_id = 'b'"))
    batch = journal.batch(
        ParamsLogged(run_id="a", params={"depth": "3"}),
        points={("a", "loss"): [(0, START, 1.0)], ("b", "loss"): [(0, START, 2.0)]},
    )
    written = meanwhile.submit(backend.write, batch)
    wait_until_blocked(any_url)
    other.execute(text("UPDATE runs SET user_id = 'other' WHERE run_id = 'a'"))
    other.rollback()
    written.result(PATIENCE)
    assert "a transaction is tried again" in caplog.text
    assert "eadlock" in caplog.text
    assert reader.get_run("a").data.params == {"depth": "3"}
    assert [len(reader.metric_history(run_id, "loss")) for run_id in runs] == [1, 1]


@only_on_postgresql
@pytest.mark.usefixtures("runs")
def test_a_batch_that_cannot_be_serialised_is_written_at_the_next_try(
    any_url, reader, journal, other, meanwhile, caplog
):
    caplog.set_level(logging.DEBUG, logger="autolog")
    url = f"{any_url}?options=-c%20default_transaction_isolation%3Dserializable"
    with contextlib.closing(SqlBackend(url)) as strict:
        other.execute(text("UPDATE runs SET user_id = 'other' WHERE run_id = 'a'"))
        written = meanwhile.submit(strict.write, journal.batch(points={("a", "loss"): [(0, START, 1.0)]}))
        wait_until_blocked(any_url)
        other.commit()
        written.result(PATIENCE)
    assert "could not serialize access" in caplog.text
    assert len(reader.metric_history("a", "loss")) == 1


@only_on_postgresql
def test_a_conflict_that_does_not_end_is_left_to_the_writer(any_url, backend, journal, runs, other):
    other.execute(
        text(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$"
        )
    )
    other.execute(text("CREATE TRIGGER refuse BEFORE INSERT ON params FOR EACH ROW EXECUTE FUNCTION refuse()"))
    other.commit()
    batch = journal.batch(ParamsLogged(run_id="a", params={"depth": "3"}))
    try:
        with pytest.raises(BackendUnavailable, match="not now"):
            backend.write(batch)
    finally:
        other.execute(text("DROP FUNCTION refuse CASCADE"))
        other.commit()
    backend.write(batch)


@only_on_servers
def test_writers_that_name_the_same_things_in_opposite_orders_do_not_wait_for_each_other_in_a_ring(
    any_url, backend, reader, journal, runs, caplog
):
    caplog.set_level(logging.DEBUG, logger="autolog")
    threads = [threading.Thread(target=write_in_order, args=(any_url, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert "tried again" not in caplog.text
    for run_id in runs:
        assert len(reader.metric_history(run_id, "loss")) == 4 * 10
    assert {run.info.run_id for run in reader.search_runs(RunQuery(filter="metrics.loss >= 0"))} == {
        *runs,
        *(f"run {place} {letter}" for place in range(10) for letter in "xy"),
    }


def write_in_order(url, number):
    """Write what others write too, forwards or backwards."""
    journal = FakeJournal(f"journal{number}")
    forwards = 1 if number % 2 else -1
    with contextlib.closing(SqlBackend(url)) as backend:
        for place in range(10):
            experiments = [experiment_created(f"experiment {place} {letter}", f"{place}{letter}") for letter in "xy"]
            made = [run_created(f"run {place} {letter}", f"experiment {place} {letter}") for letter in "xy"]
            changed = [ExperimentUpdated(experiment_id="0", time=START, tags={f"{number}": str(place)})]
            used = [
                InputsLogged(run_id=run_id, inputs=(TRAIN, OTHER)[::forwards])
                for run_id in (f"run {place} x", f"run {place} y")[::forwards]
            ]
            names = ("a", "b", f"run {place} x", f"run {place} y")[::forwards]
            journal.write(
                backend,
                *experiments[::forwards],
                *made[::forwards],
                *used,
                *(ParamsLogged(run_id=run_id, params={"p": "1", f"{number}": "1"}) for run_id in names),
                *changed,
                points={(run_id, "loss"): [(place, START, 1.0)] for run_id in names},
            )


def test_an_open_transaction_that_reads_keeps_nobody_from_writing(backend, reader, journal, runs, meanwhile):
    with reader._store.transaction() as reading:
        assert reading.execute(text("SELECT count(*) FROM runs")).scalar_one() == 2
        written = meanwhile.submit(
            journal.write,
            backend,
            ParamsLogged(run_id="a", params={"depth": "3"}),
            run_created("c"),
            points={("a", "loss"): [(0, START, 1.0)]},
        )
        written.result(PATIENCE)
        reading.execute(text("SELECT count(*) FROM metrics")).scalar_one()
    assert reader.get_run("a").data.params == {"depth": "3"}
    assert len(reader.metric_history("a", "loss")) == 1


def test_an_open_transaction_that_writes_keeps_nobody_from_reading(backend, reader, runs, meanwhile):
    def read():
        return (
            reader.get_run("a").data.params,
            len(reader.search_runs(RunQuery(filter="params.depth IS NULL"))),
            len(reader.metric_history("a", "loss")),
            reader.get_experiment("0").name,
        )

    with backend._store.transaction() as writing:
        for statement in (
            "UPDATE runs SET user_id = 'ada'",
            "UPDATE experiments SET name = 'changed'",
            "INSERT INTO params (run, key_digest, key, value) SELECT id, 1, 'depth', '3' FROM runs".replace(
                "key,", "`key`," if writing.dialect.name == "mysql" else "key,"
            ),
            "INSERT INTO metrics (series, ordinal, step, timestamp, value) VALUES (1, 0, 0, 0, 1.0)",
        ):
            writing.execute(text(statement))
        assert meanwhile.submit(read).result(PATIENCE) == ({}, 2, 0, "Default")
        writing.rollback()


@only_on_servers
@pytest.mark.usefixtures("runs")
def test_a_connection_that_nobody_uses_is_given_back_and_made_again(any_url, journal, reader, monkeypatch):
    monkeypatch.setattr("autolog.backends.sql.engine._IDLE_SECONDS", 1)
    with contextlib.closing(SqlBackend(any_url)) as idle:
        journal.write(idle, ParamsLogged(run_id="a", params={"depth": "1"}))
        with idle._store.transaction() as connection:
            number = connection.execute(
                text("SELECT pg_backend_pid()" if is_postgresql(any_url) else "SELECT connection_id()")
            ).scalar_one()
        wait_until_gone(any_url, number)
        journal.write(idle, ParamsLogged(run_id="a", params={"depth": "2"}))
    assert reader.get_run("a").data.params == {"depth": "2"}


def wait_until_gone(url, number):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with (POSTGRESQL if is_postgresql(url) else MARIADB).connect() as connection:
            question = "pg_stat_activity WHERE pid" if is_postgresql(url) else "information_schema.processlist WHERE id"
            if not connection.execute(text(f"SELECT count(*) FROM {question} = {number}")).scalar_one():
                return
        time.sleep(0.1)
    raise AssertionError("the connection is still open")


def test_a_dozen_processes_make_a_store_at_once_and_write_in_turn(new_url):
    run_at_once(write_runs, 12, new_url, 2)
    check_runs(new_url, processes=12, count=2)


def test_eight_trainings_record_into_one_store_and_hear_nothing_of_each_other(any_url, tmp_path):
    run_at_once(record_points, 8, any_url, str(tmp_path), 5000)
    check_points(any_url, processes=8, count=5000)
