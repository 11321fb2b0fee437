"""A store that an older autolog made becomes one of today, with all that is in it."""

from __future__ import annotations

import contextlib
import math
import sys

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from autolog.backend import RunQuery
from autolog.backends.sql import SqlBackend, SqlReader
from autolog.backends.sql.migrations import read_version
from autolog.backends.sql.schema import SCHEMA_VERSION, digest
from autolog.backends.sql.store import Store
from autolog.errors import BackendError
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

LARGEST = sys.float_info.max
# On MariaDB the first version kept infinity as the largest double, which it could not keep as itself.
VALUES = {"sqlite": (0.5, None, math.inf, -LARGEST), "postgresql": (0.5, None, math.inf, -LARGEST)}


def engine_of(url):
    return Store(url, writable=True)._engine


def make_first_version(url, artifact_root):
    """Make a store of the first version, with a run that has a point of every kind of value; return the values."""
    engine = engine_of(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "autolog.backends.sql:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        values = VALUES.get(connection.dialect.name, (0.5, None, LARGEST, -LARGEST))
        key = "`key`" if connection.dialect.name == "mysql" else "key"
        known = {
            "digest": digest("Default"),
            "loss": digest("loss"),
            "start": START,
            "root": str(artifact_root),
            "value": values[2],
        }
        row = "VALUES (7, 1, :loss, 'loss', :value, 2, :start, 0.5, :value, 4)"
        for statement in (
            "INSERT INTO settings VALUES ('artifact_root', :root)",
            "INSERT INTO experiments VALUES (1, '0', :digest, 'Default', '', 'active', :start, :start)",
            "INSERT INTO runs VALUES (1, 'run1', 1, 'first', 'ada', 'FINISHED', :start, :start, 'active', '/0/run1')",
            f"INSERT INTO params (run, key_digest, {key}, value) VALUES (1, :loss, 'loss', 'huber')",
            f"INSERT INTO metric_summaries (id, run, key_digest, {key}, value, step, timestamp, min, max, count) {row}",
            "INSERT INTO journals VALUES ('journal', 2, 4)",
        ):
            connection.execute(text(statement), {name: known[name] for name in known if f":{name}" in statement})
        for place, value in enumerate(values):
            connection.execute(
                text("INSERT INTO metrics VALUES (7, :place, :place, :start, :value)"),
                {"place": place, "start": START, "value": value},
            )
        if connection.dialect.name == "postgresql":
            # What the identity would have counted to, had it given these numbers.
            for table, number in (("experiments", 1), ("runs", 1), ("metric_summaries", 7)):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {number})"))
    engine.dispose()
    return tuple(
        math.nan
        if value is None
        else math.copysign(math.inf, value)
        if abs(value) == LARGEST and engine.dialect.name == "mysql"
        else value
        for value in values
    )


def test_a_store_of_the_first_version_keeps_everything(new_url, artifact_root):
    values = make_first_version(new_url, artifact_root)
    with contextlib.closing(SqlReader(new_url)) as reader, pytest.raises(BackendError, match="older autolog"):
        reader.get_run("run1")
    journal = FakeJournal("journal")
    journal.batch(experiment_created(), run_created(), points={("run1", "loss"): [(0, START, 0.0)] * 4})
    with contextlib.closing(SqlBackend(new_url)) as backend:
        journal.write(backend, run_created("run2"), points={("run1", "loss"): [(4, START, LARGEST)]})
    with contextlib.closing(SqlReader(new_url)) as reader:
        run = reader.get_run("run1")
        assert (run.info.run_name, run.data.params) == ("first", {"loss": "huber"})
        history = reader.metric_history("run1", "loss")
        assert history.values.tolist() == pytest.approx([*values, LARGEST], nan_ok=True, rel=0, abs=0)
        summary = run.data.summaries["loss"]
        assert (summary.value, summary.min, summary.max, summary.count) == (LARGEST, 0.5, math.inf, 5)
        assert reader.count_runs(RunQuery()) == 2
        with reader._store.transaction() as connection:
            assert read_version(connection, "store") == SCHEMA_VERSION


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_the_points_are_in_partitions_and_one_metric_is_in_one_of_them(new_url, artifact_root):
    make_first_version(new_url, artifact_root)
    with contextlib.closing(SqlBackend(new_url)) as backend, backend._store.transaction() as connection:
        partitions = connection.execute(
            text("SELECT count(*) FROM pg_partition_tree('metrics') WHERE isleaf")
        ).scalar_one()
        assert partitions == 32
        plan = connection.execute(text("EXPLAIN SELECT * FROM metrics WHERE series = 7")).scalars().all()
        assert sum("on metrics_" in line and "Scan" in line and "Bitmap Index" not in line for line in plan) == 1


@pytest.mark.parametrize("new_url", ["mariadb"], indirect=True)
def test_tables_that_a_killed_process_left_half_made_are_made_anew(new_url):
    with contextlib.closing(SqlBackend(new_url)) as backend, backend._store.transaction() as connection:
        connection.execute(text("DELETE FROM autolog_version"))
        connection.execute(text("DROP TABLE artifacts"))
        connection.execute(text("ALTER TABLE metrics DROP COLUMN value_infinity"))
    journal = FakeJournal("journal")
    with contextlib.closing(SqlBackend(new_url)) as backend:
        journal.write(backend, experiment_created(), run_created())
    with contextlib.closing(SqlReader(new_url)) as reader:
        assert reader.get_run("run1").info.run_name == "name of run1"


@pytest.mark.parametrize("new_url", ["mariadb"], indirect=True)
def test_an_upgrade_that_was_cut_off_is_completed(new_url, artifact_root):
    values = make_first_version(new_url, artifact_root)
    engine = engine_of(new_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE metrics ADD COLUMN value_infinity VARCHAR(4)"))
    engine.dispose()
    with contextlib.closing(SqlBackend(new_url)) as backend:
        FakeJournal("other").write(backend, run_created("run2"))
    with contextlib.closing(SqlReader(new_url)) as reader:
        assert reader.metric_history("run1", "loss").values.tolist() == pytest.approx(values, nan_ok=True)
