"""What it means for a store when the file system refuses."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from autolog.errors import BackendError, BackendUnavailable

# By name, because no system has all of them.
_PASSING_NAMES: Final = (
    "EAGAIN EBUSY EIO EINTR EMFILE ENFILE ENOLCK ESTALE ETIMEDOUT EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH ENOTCONN"
)
_PASSING: Final = frozenset(getattr(errno, name, None) for name in _PASSING_NAMES.split()) - {None}
_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
# Windows refuses to replace a file while somebody reads it: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION.
_PASSING_ON_WINDOWS: Final = frozenset({5, 32})


@contextlib.contextmanager
def store_errors(store: str | Path) -> Iterator[None]:
    """Turn what the file system says into the errors of a backend.

    Args:
        store: what messages call the store.

    Raises:
        BackendUnavailable: it may pass: a full disk, a network file system that is away.
        BackendError: it will not, until somebody acts.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise BackendUnavailable(f"the store {store} cannot grow: {reason}; make room on its disk") from error
        if error.errno in _PASSING or getattr(error, "winerror", None) in _PASSING_ON_WINDOWS:
            raise BackendUnavailable(f"the store {store} cannot be used now: {reason}") from error
        where = "" if error.filename is None or str(error.filename) == str(store) else f" ({error.filename})"
        raise BackendError(
            f"the store {store} cannot be used: {reason}{where}; "
            "check the folder and its permissions, or choose another store"
        ) from error


def check_folder(path: Path) -> None:
    """Check that there can be a folder at a path: it is there, or nothing is in its way.

    Raises:
        NotADirectoryError: at the path or above it is something else, which the error names.
        OSError: it cannot be seen.
    """
    for place in (path, *path.parents):
        if place.is_dir():
            return
        # Another process may have made the folder since the last line.
        if place.exists() and not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
