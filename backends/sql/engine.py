"""From a store's URL to a SQLAlchemy engine, and from the drivers' errors to ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from autolog.backends.sql.turns import begin_in_turn
from autolog.errors import BackendError, BackendUnavailable, InvalidParameter, MissingDependency, StoreCorrupted
from autolog.late_imports import importing

# The one driver of each database that the bulk paths are written for.
_DRIVERS: Final = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
# What SQLAlchemy calls "mariadb" speaks like "mysql", and finds out for itself which of the two it speaks to.
_DIALECTS: Final = {"mariadb": "mysql"}
_PACKAGES: Final = {"psycopg": "psycopg[binary]", "pymysql": "pymysql"}

# Seconds that SQLite waits for another process to finish its transaction, and that a server has to answer a call.
_BUSY_TIMEOUT: Final = 30.0
_CONNECT_TIMEOUT: Final = 10
# Seconds after which a server ends a connection that nobody uses.
_IDLE_SECONDS: Final = 60
_POSTGRESQL_14: Final = 140000

_CORRUPTED: Final = ("file is not a database", "malformed", "unsupported file format")
_PASSING: Final = ("locked", "busy", "disk i/o error")
_REFUSED: Final = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")
# PostgreSQL: connection, integrity (a race), rollback, resources, state of an object, intervention, system.
_PASSING_CLASSES: Final = frozenset({"08", "23", "40", "53", "55", "57", "58"})
# Of two transactions the database has let one go ahead: PostgreSQL's serialisation failure and deadlock,
# MariaDB's deadlock and lock that was waited for too long.
_CONFLICT_STATES: Final = frozenset({"40001", "40P01"})
_CONFLICT_CODES: Final = frozenset({1205, 1213})
# MariaDB: access denied, three times, and an unknown database.
_REFUSED_CODES: Final = frozenset({1044, 1045, 1049, 1698})


class TransactionConflict(BackendUnavailable):
    """Another transaction was in the way, and this one was rolled back: the same again, at once, will do."""


@dataclass(frozen=True)
class Location:
    """Where a store is, as its URL says.

    ``shown`` is what messages call it, without a password; ``path`` is the file of SQLite, None for a server.
    """

    url: URL
    shown: str
    path: Path | None
    artifact_root: str | None


def parse_url(text: str) -> Location:
    """Read a store's URL.

    Raises:
        InvalidParameter: it is not one, or names a database or driver that is not supported.
    """
    try:
        url = make_url(text)
        scheme, _, driver = url.drivername.partition("+")
        expected = _DRIVERS[scheme]
    except (ArgumentError, KeyError, ValueError):
        # The text is not shown, because it may hold a password.
        raise InvalidParameter(
            "the URL of the SQL store cannot be read; write it as sqlite:///runs.db, "
            "postgresql://user:password@host/database or mysql://user:password@host/database",
        ) from None
    if driver not in ("", expected):
        raise InvalidParameter(f"the driver {driver!r} is not supported; write {scheme}://… or {scheme}+{expected}://…")
    artifact_root = url.query.get("artifact_root")
    url = url.set(drivername=f"{_DIALECTS.get(scheme, scheme)}+{expected}").difference_update_query(["artifact_root"])
    shown = url.set(drivername=scheme, query={}).render_as_string(hide_password=True)
    path = None
    if scheme == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise InvalidParameter("a SQLite store is kept in a file; write sqlite:///runs.db")
        path = Path(os.path.abspath(str(url.database)))  # noqa: PTH100 - resolve() would replace the user's links
    return Location(url, shown, path, artifact_root if isinstance(artifact_root, str) else None)


def make_engine(location: Location, *, writable: bool) -> Engine:
    """Make an engine; it connects when it is first used.

    Args:
        location: where the store is.
        writable: False never makes a file, and begins SQLite's transactions without taking the lock for writing.

    Raises:
        MissingDependency: the database's driver is not installed.
    """
    if location.path is not None:
        return _make_sqlite_engine(location.url, location.path, writable=writable)
    url, options = location.url, dict[str, Any](pool_pre_ping=True)
    if writable:
        # A server has a hundred connections, as a rule, and a job may have as many processes. Two, for an upgrade.
        options |= {"pool_size": 1, "max_overflow": 1}
    if url.get_backend_name() == "postgresql":
        url = (
            url if "connect_timeout" in url.query else url.update_query_dict({"connect_timeout": str(_CONNECT_TIMEOUT)})
        )
    else:
        # Under the default level, locks on the gaps between keys make independent writers deadlock.
        options["isolation_level"] = "READ COMMITTED"
    try:
        # It imports the database's dialect and driver.
        with importing():
            engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        package = _PACKAGES[url.get_driver_name()]
        raise MissingDependency(f"the store {location.shown} needs a driver: pip install '{package}'") from error
    event.listen(engine, "connect", _end_when_idle)
    return engine


def _end_when_idle(connection: Any, _record: Any) -> None:
    """Have the server take an idle connection back; the pool notices, and makes another when one is needed."""
    with connection.cursor() as cursor:
        if hasattr(connection, "info"):
            # Older servers of PostgreSQL have no such setting.
            if connection.info.server_version >= _POSTGRESQL_14:
                cursor.execute(f"SET idle_session_timeout = '{_IDLE_SECONDS}s'")
                connection.commit()
        else:
            cursor.execute(f"SET SESSION wait_timeout = {_IDLE_SECONDS}")


def _make_sqlite_engine(url: URL, path: Path, *, writable: bool) -> Engine:
    try:
        timeout = float(str(url.query.get("timeout", _BUSY_TIMEOUT)))
    except ValueError:
        raise InvalidParameter(f"the timeout {url.query['timeout']!r} is not a number of seconds") from None
    mode = "rwc" if writable else "rw"
    with importing():
        engine = create_engine(
            URL.create("sqlite+pysqlite", database=path.as_uri(), query={"uri": "true", "mode": mode}),
            connect_args={"timeout": timeout, "check_same_thread": False},
        )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # Transactions are begun below; sqlite3 by itself would begin them too late.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        if writable:
            _use_wal(connection, time.monotonic() + timeout)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        if writable:
            begin_in_turn(connection.connection.driver_connection, path, timeout)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _use_wal(connection: Any, deadline: float) -> None:
    """Let readers and a writer work at the same time, in a file that is being made.

    In one that exists the mode is kept: a person chose it, or the file is another program's.
    """
    while True:
        try:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
                connection.execute("PRAGMA journal_mode = WAL")
        except connection.OperationalError as error:
            # Of several processes that make the file at once, SQLite lets one and refuses the others without waiting.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def driver_errors(engine: Engine, location: Location) -> Iterator[None]:
    """Turn whatever a driver raises into a BackendError that says what happened to which store."""
    try:
        yield
    except (DisconnectionError, PoolTimeout) as error:
        raise BackendUnavailable(f"the store {location.shown} does not answer: {_first_line(error)}") from error
    except (DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        raise _translate(error.orig if isinstance(error, DBAPIError) else error, engine, location) from error


def _translate(error: Any, engine: Engine, location: Location) -> BackendError:
    driver: Any = engine.dialect.loaded_dbapi
    store, reason = f"the store {location.shown}", _first_line(error)
    if location.path is not None:
        return _translate_sqlite(reason, store, location.path)
    if isinstance(error, (driver.DataError, driver.ProgrammingError, driver.NotSupportedError)):
        return BackendError(f"{store} does not take what it was given: {reason}")
    if _is_conflict(error):
        return TransactionConflict(f"{store} is busy: {reason}")
    if _is_passing(error):
        return BackendUnavailable(f"{store} cannot be used now: {reason}")
    return BackendError(f"{store} cannot be used: {reason}")


def _translate_sqlite(reason: str, store: str, path: Path) -> BackendError:
    words = reason.lower()
    if any(part in words for part in _CORRUPTED):
        return StoreCorrupted(f"{store} is damaged, or is not a SQLite database: {reason}")
    if "full" in words:
        return BackendUnavailable(f"{store} cannot grow: {reason}; make room on its disk")
    if any(part in words for part in _PASSING):
        return BackendUnavailable(f"{store} cannot be used now: {reason}")
    if "unable to open" in words or "readonly" in words:
        return BackendError(
            f"{store} cannot be opened: {reason}; check that {path.parent} is a folder that you may write to"
        )
    return BackendError(f"{store} cannot be used: {reason}")


def _is_conflict(error: Any) -> bool:
    if hasattr(error, "sqlstate"):
        return error.sqlstate in _CONFLICT_STATES
    return bool(error.args) and error.args[0] in _CONFLICT_CODES


def _is_passing(error: Any) -> bool:
    """Say whether a server's refusal may be over at the next try."""
    if hasattr(error, "sqlstate"):
        if error.sqlstate is not None:
            return error.sqlstate[:2] in _PASSING_CLASSES
        # A connection that was not made has no state, only words.
        return not any(part in str(error) for part in _REFUSED)
    return not error.args or error.args[0] not in _REFUSED_CODES


def _first_line(error: BaseException) -> str:
    lines = str(error.args[-1] if error.args else error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
