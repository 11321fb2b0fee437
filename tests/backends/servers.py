"""The database servers that tests run on: found by the environment, lent out as databases, left as they were."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from autolog.backends.sql import SqlBackend
from autolog.backends.sql.schema import metadata

_PREFIX = "autolog_test_"
# A database of this age was left by a run of tests that was killed.
_STALE_SECONDS = 3600


class Server:
    """A server, by its variable in the environment and by where it is where that says nothing."""

    def __init__(self, variable: str, default: str, driver: str, force: str = "") -> None:
        self.variable = variable
        self.url = make_url(os.environ.get(variable, default))
        self._engine = create_engine(self.url.set(drivername=driver), isolation_level="AUTOCOMMIT", pool_size=1)
        self._force = force

    @property
    def is_mariadb(self) -> bool:
        return self._engine.dialect.name == "mysql"

    def require(self) -> None:
        """Skip the test where no server answers; on CI, where one should, that is an error."""
        try:
            self._drop_stale()
        except SQLAlchemyError as error:
            missing = f"no server answers at {self.url!r}, which {self.variable} can change"
            if os.environ.get("CI"):
                raise RuntimeError(missing) from error
            pytest.skip(missing)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a database, lend its URL, and drop it."""
        name = f"{_PREFIX}{int(time.time())}_{uuid.uuid4().hex[:12]}"
        with self.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield self.url.set(database=name).render_as_string(hide_password=False)
        finally:
            with self.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name}{self._force}"))

    def empty(self, url: str, artifact_root: Path) -> None:
        """Make the store in a database, or take everything out of it again: much quicker than a new database."""
        with closing(SqlBackend(url)) as backend, backend._store.transaction() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != "settings":
                    connection.execute(table.delete())
            connection.execute(text("UPDATE settings SET value = :root"), {"root": str(artifact_root)})

    def _drop_stale(self) -> None:
        question = "SHOW DATABASES" if self.is_mariadb else "SELECT datname FROM pg_database"
        with self.connect() as connection:
            for name in connection.execute(text(question)).scalars().all():
                if name.startswith(_PREFIX):
                    age = name.removeprefix(_PREFIX).partition("_")[0]
                    if not age.isdigit() or int(age) < time.time() - _STALE_SECONDS:
                        connection.execute(text(f"DROP DATABASE IF EXISTS {name}{self._force}"))


POSTGRESQL = Server(
    "AUTOLOG_TEST_POSTGRES_URL",
    "postgresql://postgres@127.0.0.1:5432/postgres",
    "postgresql+psycopg",
    force=" WITH (FORCE)",
)
MARIADB = Server("AUTOLOG_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql", "mysql+pymysql")
