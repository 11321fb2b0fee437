"""Files that appear and change whole, and what it means when the file system refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
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
def store_errors(root: Path) -> Iterator[None]:
    """Turn what the file system says into the errors of a backend.

    Raises:
        BackendUnavailable: it may pass: a full disk, a network file system that is away.
        BackendError: it will not, until somebody acts.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise BackendUnavailable(f"The store {root} cannot grow: {reason}. Make room on its disk.") from error
        if error.errno in _PASSING or getattr(error, "winerror", None) in _PASSING_ON_WINDOWS:
            raise BackendUnavailable(f"The store {root} cannot be used now: {reason}.") from error
        raise BackendError(
            f"The store {root} cannot be used: {reason} ({error.filename or root}). "
            "Check the folder and its permissions, or choose another store."
        ) from error


def replace_file(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file as a whole in place of what is there; ``durable`` waits until it survives a power failure."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Write a file as a whole unless it is there; return whether this call made it, however many try at once."""
    temporary = _temporary(path)
    try:
        temporary.write_bytes(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            return _create_in_place(path, content)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return True


def _create_in_place(path: Path, content: bytes) -> bool:
    # For a file system without hard links; a reader might see the beginning of the file alone, for a moment.
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except BaseException:
        path.unlink()
        raise
    return True


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        # Windows has no handle of a folder that could be synced.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot sync a folder; the files themselves are safe.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
