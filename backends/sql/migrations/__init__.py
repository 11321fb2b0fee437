"""How a database comes to have the tables that the code knows: which version it has, and the way from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from autolog.backends.sql.schema import SCHEMA_VERSION, VERSION_TABLE, metadata, settings
from autolog.backends.sql.upsert import upsert
from autolog.errors import BackendError, BackendUnavailable, StoreTooNew
from autolog.late_imports import importing

# Any number will do, as long as every process that upgrades takes the same.
_LOCK: Final = 0x6175746F6C6F67
_LOCK_SECONDS: Final = 60


def read_version(connection: Connection, store: str) -> str | None:
    """Return the version of the tables in a database; None where there are none of ours yet.

    Args:
        connection: to the database.
        store: what messages call it.

    Raises:
        StoreTooNew: a newer autolog made them.
        BackendError: they are another program's.
    """
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        if taken := sorted(tables & metadata.tables.keys()):
            guess = " (it looks like MLflow's)" if "alembic_version" in tables else ""
            raise BackendError(
                f"the database {store} is not an autolog store{guess}: it holds a table {taken[0]!r} but no "
                f"{VERSION_TABLE!r}; choose another database",
            )
        return None
    # Empty while MariaDB, which cannot take tables back, is in the middle of an upgrade.
    version: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our own name
    if version is not None and version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"the store {store} was made by a newer autolog: its tables have version {version}, "
            f"and this one knows those up to {SCHEMA_VERSION}; upgrade autolog",
        )
    return version


def upgrade(engine: Engine, store: str, new_settings: Mapping[str, str]) -> None:
    """Bring the tables to the newest version; of many processes that come here at once, one does it.

    Args:
        engine: of the database.
        store: what messages call it.
        new_settings: the settings that the store gets, unless it has them already.

    Raises:
        BackendError: as ``read_version`` does.
    """
    with _lock(engine), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        version = read_version(connection, store)
        if version != SCHEMA_VERSION:
            if version is None and connection.dialect.name == "mysql":
                # What was begun and cut off; nothing has been written to it.
                metadata.drop_all(connection)
            _run_migrations(connection)
            upsert(connection, settings, [{"name": name, "value": value} for name, value in new_settings.items()])


def _run_migrations(connection: Connection) -> None:
    # Imported here because it takes a tenth of a second, and a store is upgraded once.
    with importing():
        from alembic import command
        from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "autolog.backends.sql:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _lock(engine: Engine) -> Iterator[None]:
    """Keep others out where the transaction does not: MariaDB ends it with every table."""
    if engine.dialect.name != "mysql":
        yield
        return
    with engine.connect() as connection:
        taken = connection.execute(
            text("SELECT GET_LOCK(:lock, :seconds)"), {"lock": hex(_LOCK), "seconds": _LOCK_SECONDS}
        ).scalar()
        if taken != 1:
            raise BackendUnavailable("another process is upgrading the store; it is tried again")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:lock)"), {"lock": hex(_LOCK)})
