"""The points of a run as lines of text: ``time,step,key,value``."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from autolog.backend import Points
from autolog.history import Floats, Integers

logger = logging.getLogger("autolog")

HEADER: Final = b"time,step,key,value\n"

_CHUNK: Final = 1 << 24
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})


def encode_key(key: str) -> str:
    """Return a key as a field of CSV without a line break, so that every point is one line."""
    escaped = key.translate(_ESCAPES)
    if re.search(r'[,"\s]', escaped) or not escaped:
        return '"' + escaped.replace('"', '""') + '"'
    return escaped


def encode_points(points: Points) -> str:
    """Return points as lines; repr gives every number back exactly."""
    key = encode_key(points.key)
    columns = points.timestamps.tolist(), points.steps.tolist(), points.values.tolist()
    return "".join([f"{time},{step},{key},{value!r}\n" for time, step, value in zip(*columns, strict=True)])


def append_points(path: Path, committed: int, lines: str, *, durable: bool = False) -> int:
    """Write lines after the committed bytes, in place of anything that an interrupted write left there.

    Returns:
        The committed length of the file with the lines.
    """
    content = lines.encode()
    with path.open("r+b" if path.exists() else "w+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size < committed:
            logger.warning("%s has lost %d bytes of points, as after a power failure", path, committed - size)
            file.seek(0)
            committed = _last_line_end(file.read())
        if committed == 0:
            content = HEADER + content
        file.seek(committed)
        file.truncate()
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return committed + len(content)


def _last_line_end(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def read_points(path: Path, committed: int, key: str) -> tuple[Integers, Integers, Floats]:
    """Return the steps, times and values of one metric in the order of their arrival."""
    line = re.compile(rb"^(-?\d+),(-?\d+)," + re.escape(encode_key(key).encode()) + rb",([^,\n]+)$", re.MULTILINE)
    found = [np.array(line.findall(chunk), dtype=bytes).reshape(-1, 3) for chunk in _chunks(path, committed)]
    table = np.concatenate(found) if found else np.empty((0, 3), dtype=bytes)
    return table[:, 1].astype(np.int64), table[:, 0].astype(np.int64), table[:, 2].astype(np.float64)


def _chunks(path: Path, committed: int) -> Iterator[bytes]:
    """Read the committed part of a file in pieces that end with a line."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        rest = b""
        while committed > 0 and (piece := file.read(min(committed, _CHUNK))):
            committed -= len(piece)
            rest += piece
            complete = _last_line_end(rest)
            yield rest[:complete]
            rest = rest[complete:]
