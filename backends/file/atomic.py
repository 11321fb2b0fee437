"""Files that appear and change whole."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


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
