"""What has been read of metrics files, kept, so that the next look at a curve reads only what has been added."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autolog.backends.file.points import PointColumns, join_points, read_points

# Points that are kept, of 24 bytes each.
_MOST_POINTS: Final = 2_000_000
# As many bytes before the end of what was read are compared, to see that it is still there.
_TAIL: Final = 256


@dataclass(frozen=True)
class _Series:
    """The points of a metric in the first ``end`` bytes of a file, and the last of these bytes.

    ``inode`` and ``changed``, the time of its last change, are the file's when it was read.
    """

    inode: int
    changed: int
    end: int
    tail: bytes
    points: PointColumns


class PointCache:
    """Reads metrics files, and remembers the last. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: OrderedDict[tuple[Path, str], _Series] = OrderedDict()

    def read(self, path: Path, committed: int, key: str) -> PointColumns:
        """Return the steps, times and values of one metric, in the first ``committed`` bytes of a file."""
        with self._lock:
            known = self._series.pop((path, key), None)
        try:
            status = path.stat()
        except FileNotFoundError:
            return join_points([])
        inode, changed = status.st_ino, status.st_mtime_ns
        if known is None or known.inode != inode or known.end > committed or known.tail != _tail(path, known.end):
            points = read_points(path, 0, committed, key)
        elif known.end < committed:
            points = join_points([known.points, read_points(path, known.end, committed, key)])
        else:
            points = known.points if known.changed == changed else read_points(path, 0, committed, key)
        self._remember(path, key, _Series(inode, changed, committed, _tail(path, committed), points))
        return points

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._series.clear()

    def _remember(self, path: Path, key: str, series: _Series) -> None:
        with self._lock:
            self._series[path, key] = series
            count = sum(len(each.points[0]) for each in self._series.values())
            while count > _MOST_POINTS:
                count -= len(self._series.popitem(last=False)[1].points[0])


def _tail(path: Path, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, end - _TAIL), os.SEEK_SET)
        return file.read(min(end, _TAIL))
