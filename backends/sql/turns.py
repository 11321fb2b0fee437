"""Writers of one SQLite file take turns, in the order in which they came.

SQLite keeps no queue: who finds the lock taken looks again after a while, a tenth of a second at last. Of many writers
most would sleep while the lock is free, and some be passed over until they give up. So they queue at a file beside the
database, and only the first of them watches the lock. The queue is a courtesy: what it cannot do, SQLite's lock does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # mypy takes the module for the only type

# Seconds between two looks at the lock.
_PAUSE: Final = 0.001


def begin_in_turn(connection: Any, path: Path, timeout: float) -> None:
    """Begin a transaction that writes; one that began by reading could not wait for its turn.

    Args:
        connection: of sqlite3.
        path: of the database.
        timeout: how many seconds to watch the lock before SQLite's error, that it is locked, is raised.
    """
    with _queue(path):
        # The pauses below instead of SQLite's own, which are for writers that have no queue.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            _watch(connection, time.monotonic() + timeout)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")


def leave_queue(path: Path) -> None:
    """Take the queue's file away; whoever stands at it keeps it, and whoever comes next makes another."""
    with contextlib.suppress(OSError):
        _queue_path(path).unlink()


def _watch(connection: Any, deadline: float) -> None:
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except connection.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


@contextlib.contextmanager
def _queue(path: Path) -> Iterator[None]:
    """Wait until all who came before have begun."""
    place = _open_queue(path)
    if fcntl is None or place is None:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        with contextlib.suppress(OSError):
            # Closing is not enough where a fork has copied it.
            fcntl.flock(place, fcntl.LOCK_UN)
        os.close(place)


def _open_queue(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        # For reading, which is enough to lock it: another user may have made it.
        return os.open(_queue_path(path), os.O_RDONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    return None


def _queue_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-writers")
