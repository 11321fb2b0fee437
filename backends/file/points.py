"""The points of a run as lines of text: ``time,step,key,value``."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from autolog.backend import Points
from autolog.history import Floats, Integers

logger = logging.getLogger("autolog")

HEADER: Final = b"time,step,key,value\n"

# Steps, times and values.
PointColumns = tuple[Integers, Integers, Floats]

_CHUNK: Final = 1 << 23
_NO_POINTS: Final = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))
# The letters of numbers, and integers that a double holds.
_OF_NUMBERS: Final = b"0123456789+-.,einfa"
_EXACT: Final = 2**53
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


def read_points(path: Path, start: int, end: int, key: str) -> PointColumns:
    """Return the steps, times and values of one metric in the order of their arrival.

    Args:
        path: the file.
        start: where to begin; 0, or the end of a line.
        end: how many bytes of the file count.
        key: the metric.
    """
    field = encode_key(key).encode()
    parts = [_parse(chunk, field) for chunk in _chunks(path, start, end)]
    return join_points(parts)


def join_points(parts: Sequence[PointColumns]) -> PointColumns:
    """Return the steps, times and values of all parts, one after the other."""
    steps, timestamps, values = zip(_NO_POINTS, *parts, strict=True)
    return np.concatenate(steps), np.concatenate(timestamps), np.concatenate(values)


def _parse(chunk: bytes, field: bytes) -> PointColumns:
    """Return the points of a metric among whole lines."""
    chunk = chunk.removeprefix(HEADER)
    middle = b"," + field + b","
    # Most often each line is one of the metric's. A step may look like a key that is a number, and quotes hold commas.
    is_plain = b'"' not in chunk and not field.lstrip(b"-").isdigit()
    count = chunk.count(b"\n")
    if not (is_plain and chunk.count(middle) == count):
        lines = re.findall(rb"^-?\d+,-?\d+," + re.escape(field) + rb",[^,\n]+$", chunk, re.MULTILINE)
        count = len(lines)
        chunk = b"\n".join([*lines, b""])
    numbers = chunk.replace(middle, b",").replace(b"\n", b",")
    if not numbers.translate(None, _OF_NUMBERS):
        table = np.fromstring(numbers.rstrip(b",").decode(), np.float64, sep=",")
        if len(table) == count * 3:
            times, steps, values = table.reshape(-1, 3).T
            if count == 0 or max(np.abs(times).max(), np.abs(steps).max()) < _EXACT:
                return steps.astype(np.int64), times.astype(np.int64), values.copy()
    line = re.compile(rb"^(-?\d+),(-?\d+)," + re.escape(field) + rb",([^,\n]+)$", re.MULTILINE)
    texts = np.array(line.findall(chunk), dtype=bytes).reshape(-1, 3)
    return texts[:, 1].astype(np.int64), texts[:, 0].astype(np.int64), texts[:, 2].astype(np.float64)


def _chunks(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Read a part of a file in pieces that end with a line."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        left = end - start
        rest = b""
        while left > 0 and (piece := file.read(min(left, _CHUNK))):
            left -= len(piece)
            rest += piece
            complete = _last_line_end(rest)
            yield rest[:complete]
            rest = rest[complete:]
