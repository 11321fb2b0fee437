"""A lock that lives as long as its process: how a dead process's journal is told from a living one's."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

# The files that this process holds locks on, by device and inode: the system would give it each lock a second time,
# to another thread, and would take both away when one of the two closes the file.
_held: Final[set[tuple[int, int]]] = set()
_turns: Final = [threading.RLock()]


class ProcessLock:
    """An exclusive lock on a file, held until it is released or its process ends in whatever way.

    The lock belongs to the process, not to the open file: a forked child does not hold it (POSIX).
    In the process that holds it nobody gets it a second time.

    Args:
        path: the file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody holds it; return whether this object has it now."""
        with _turns[0]:
            return self._acquire()

    def release(self) -> None:
        """Give the lock back."""
        with _turns[0]:
            if self._descriptor is not None:
                _held.discard(_identify(self._descriptor))
                os.close(self._descriptor)
                self._descriptor = None

    def _acquire(self) -> bool:
        try:
            if _identify(self._path) in _held:
                return False
        except OSError:
            # It is to be made.
            pass
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError:
            return False
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        if _is_replaced(descriptor, self._path):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        _held.add(_identify(descriptor))
        return True


def _identify(file: int | Path) -> tuple[int, int]:
    found = os.fstat(file) if isinstance(file, int) else file.stat()
    return found.st_dev, found.st_ino


def _begin_child() -> None:
    # The locks are the parent's, and another thread may have had its turn at the fork.
    _held.clear()
    _turns[0] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


def _is_replaced(descriptor: int, path: Path) -> bool:
    # Whoever finished with the journal may have removed it between our open and our lock.
    try:
        return not os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return True


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
