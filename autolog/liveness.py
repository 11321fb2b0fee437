"""A lock that lives as long as its process: how a dead process's journal is told from a living one's."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class ProcessLock:
    """An exclusive lock on a file, held until it is released or its process ends in whatever way.

    The lock belongs to the process, not to the open file: a forked child does not hold it.
    A process must not open the file a second time, since closing that would release the lock (POSIX).

    Args:
        path: the file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody holds it; return whether this process has it now."""
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
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


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
