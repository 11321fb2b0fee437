"""The note beside a journal of how much of it a backend holds: it saves reading, and allows segments to be deleted."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from autolog.backend import Position
from autolog.errors import JournalError

_NAME: Final = "committed"
_POSITION: Final = struct.Struct("<QQ")
_CHECK: Final = struct.Struct("<I")


def read_committed(folder: Path) -> Position:
    """Return how much of a journal a backend is known to hold.

    Raises:
        JournalError: the note is lost or damaged: what is in the journal must be read from its beginning.
    """
    try:
        content = (folder / _NAME).read_bytes()
    except OSError as error:
        raise JournalError(f"{folder / _NAME} cannot be read ({error.strerror}): all of the journal is sent") from error
    position = content[: _POSITION.size]
    if content != position + _CHECK.pack(zlib.crc32(position)):
        raise JournalError(f"{folder / _NAME} is damaged: all of the journal is sent")
    return Position(*_POSITION.unpack(position))


def write_committed(folder: Path, position: Position) -> None:
    """Note how much of a journal a backend holds. Raises OSError."""
    content = _POSITION.pack(*position)
    descriptor = os.open(folder / _NAME, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, content + _CHECK.pack(zlib.crc32(content)))
    finally:
        os.close(descriptor)
