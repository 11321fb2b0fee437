"""Databases for the benchmarks, made on the servers that answer, and dropped."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Any, Final

# The same variables as the tests', with where such a server stands on a developer's machine.
_SERVERS: Final = {
    "postgresql": ("AUTOLOG_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432", "postgresql+psycopg"),
    "mariadb": ("AUTOLOG_TEST_MARIADB_URL", "mariadb://root@127.0.0.1:3306", "mysql+pymysql"),
}
SERVER_STORES: Final = tuple(_SERVERS)


class ServerMissing(Exception):
    """No server answers, and what it said."""


def describe_server(store: str) -> str:
    """Return the version of a server.

    Raises:
        ServerMissing: it does not answer.
    """
    with _connect(store) as (connection, _):
        return str(_execute(connection, "SELECT version()").scalar_one()).partition(",")[0]


@contextlib.contextmanager
def make_database(store: str) -> Iterator[str]:
    """Make a database on a server, give its URL, and drop it."""
    name = f"autolog_bench_{uuid.uuid4().hex}"
    with _connect(store) as (connection, url):
        _execute(connection, f"CREATE DATABASE {name}")
    try:
        yield url.set(drivername=store, database=name).render_as_string(hide_password=False)
    finally:
        with _connect(store) as (connection, _):
            # A subject that was ended may have left connections behind, which PostgreSQL waits for.
            _execute(connection, f"DROP DATABASE {name}" + (" WITH (FORCE)" if store == "postgresql" else ""))


@contextlib.contextmanager
def _connect(store: str) -> Iterator[tuple[Any, Any]]:
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError

    variable, default, driver = _SERVERS[store]
    url = make_url(os.environ.get(variable, default))
    engine = create_engine(
        url.set(drivername=driver), isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5}
    )
    try:
        with contextlib.closing(engine.connect()) as connection:
            yield connection, url
    except (SQLAlchemyError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise ServerMissing(f"no server answers for {store} ({variable}): {lines[0]}") from error
    finally:
        engine.dispose()


def _execute(connection: Any, statement: str) -> Any:
    from sqlalchemy import text

    return connection.execute(text(statement))
