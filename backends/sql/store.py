"""The store in a database: found or made at its first use, then lent out one transaction at a time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Pool, create_engine, select

from autolog.backends.sql.engine import TransactionConflict, driver_errors, make_engine, parse_url
from autolog.backends.sql.migrations import read_version, upgrade
from autolog.backends.sql.schema import SCHEMA_VERSION, metadata, settings
from autolog.backends.sql.turns import leave_queue
from autolog.backends.system_errors import check_folder, store_errors
from autolog.errors import BackendError

logger = logging.getLogger("autolog")

T = TypeVar("T")

_ROOT_SETTING: Final = "artifact_root"
# Seconds, at most, before each new try of a transaction that another was in the way of.
_PAUSES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

# Connections that a fork copied. To close one, or to let it be collected, would end what the parent does with it.
_inherited: Final[list[Pool]] = []


class Store:
    """A store, by its URL.

    Args:
        url: ``sqlite:///…``, ``postgresql://…``, ``mysql://…`` or ``mariadb://…``;
            ``artifact_root`` in its query says where the artifacts of a new store go, ``timeout`` how many seconds
            SQLite waits for a lock.
        writable: make the store where there is none, and upgrade an older one.
            Without it, a store that is not there is an empty one.

    Raises:
        InvalidParameter: the URL cannot be used.
        MissingDependency: the database's driver is not installed.
    """

    def __init__(self, url: str, *, writable: bool) -> None:
        self._writable = writable
        self._location = parse_url(url)
        self.name = self._location.shown
        self._engine = make_engine(self._location, writable=writable)
        self._process = os.getpid()
        self._is_ready = False
        self.artifact_root = ""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection: committed at the end of the block, rolled back if that raises. Raises BackendError."""
        with driver_errors(self._engine, self._location):
            if not self._is_ready:
                self._is_ready = self._make() if self._writable else self._find()
            if self._is_ready:
                with self._engine.begin() as connection:
                    yield connection
            else:
                with create_engine("sqlite://").begin() as connection:
                    metadata.create_all(connection)
                    yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do work in a transaction, anew where another transaction was in its way. Raises BackendError."""
        for pause in _PAUSES:
            try:
                with self.transaction() as connection:
                    return work(connection)
            except TransactionConflict as conflict:
                logger.debug("a transaction is tried again: %s", conflict)
                # Jitter from the system: the random module's global generator belongs to the user's program.
                time.sleep(pause * os.urandom(1)[0] / 255)
        with self.transaction() as connection:
            return work(connection)

    def reopen(self) -> None:
        """Leave the connections that a fork copied to the parent, and open new ones."""
        is_copy = self._process != os.getpid()
        if is_copy:
            _inherited.append(self._engine.pool)
            self._process = os.getpid()
        self._engine.dispose(close=not is_copy)

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()
        if self._writable and self._location.path is not None:
            leave_queue(self._location.path)

    def _find(self) -> bool:
        path = self._location.path
        if path is not None:
            with store_errors(self.name):
                check_folder(path.parent)
                if not path.exists():
                    return False
        with self._engine.begin() as connection:
            version = read_version(connection, self.name)
            if version is None:
                return False
            if version != SCHEMA_VERSION:
                raise BackendError(
                    f"the store {self.name} was made by an older autolog; it is upgraded when it is next written to",
                )
            self.artifact_root = self._read_root(connection)
        return True

    def _make(self) -> bool:
        path = self._location.path
        if path is not None:
            with store_errors(self.name):
                check_folder(path.parent)
                path.parent.mkdir(parents=True, exist_ok=True)
        with self._engine.begin() as connection:
            is_current = read_version(connection, self.name) == SCHEMA_VERSION
        if not is_current:
            upgrade(self._engine, self.name, {_ROOT_SETTING: self._choose_root()})
        with self._engine.begin() as connection:
            self.artifact_root = self._read_root(connection)
        if self._location.artifact_root is not None and self._choose_root() != self.artifact_root:
            logger.warning(
                "the store %s keeps its artifacts in %s, as was chosen when it was made; the URL's choice is not used",
                self.name,
                self.artifact_root,
            )
        return True

    def _choose_root(self) -> str:
        root = self._location.artifact_root or os.environ.get("AUTOLOG_ARTIFACT_ROOT")
        path = self._location.path
        if root is None and path is not None:
            # Kept relative to the database's folder, so that both can be moved together.
            return f"{path.stem}-artifacts"
        root = root or "autolog-artifacts"
        return root.rstrip("/") if "://" in root else Path(root).absolute().as_posix()

    def _read_root(self, connection: Connection) -> str:
        root: str = connection.execute(select(settings.c.value).where(settings.c.name == _ROOT_SETTING)).scalar_one()
        path = self._location.path
        return root if path is None or "://" in root else (path.parent / root).as_posix()
