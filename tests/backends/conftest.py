"""Stores on every kind of database, for tests that a class of the conformance suite does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from servers import MARIADB, POSTGRESQL, Server


def _lend(server: Server) -> Iterator[str]:
    server.require()
    with server.database() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[str]:
    """A database that tests use one after the other."""
    yield from _lend(POSTGRESQL)


@pytest.fixture(scope="session")
def mariadb_database() -> Iterator[str]:
    """A database that tests use one after the other."""
    yield from _lend(MARIADB)


@pytest.fixture
def artifact_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTOLOG_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    return tmp_path / "artifacts"


@pytest.fixture
def postgresql_url(postgresql_database: str, artifact_root: Path) -> str:
    """A store in PostgreSQL with nothing in it."""
    POSTGRESQL.empty(postgresql_database, artifact_root)
    return postgresql_database


@pytest.fixture
def mariadb_url(mariadb_database: str, artifact_root: Path) -> str:
    """A store in MariaDB with nothing in it."""
    MARIADB.empty(mariadb_database, artifact_root)
    return mariadb_database


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store, on each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path, artifact_root: Path) -> Iterator[str]:
    """A store that is not there yet, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'runs.db'}"
    else:
        yield from _lend(POSTGRESQL if request.param == "postgresql" else MARIADB)
