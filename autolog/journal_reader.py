"""Reading a journal in batches, from the process that fills it, from another, or after both are dead."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from autolog.backend import Batch, Points, Position
from autolog.entities import RunStatus
from autolog.errors import JournalError
from autolog.events import Fact, RunUpdated, SeriesDefined, decode
from autolog.segments import HEADER_SIZE, POINT_MARK, POINT_SIZE, SegmentView, is_unborn, list_segments

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

# One batch is one transaction: large enough to be quick, small enough to be held in memory twice.
MOST_POINTS: Final = 200_000
MOST_FACTS: Final = 10_000

_COMMITTED: Final = struct.Struct("<QQ")


class JournalReader:
    """Follows a journal from where a backend has got to.

    Args:
        folder: the journal's.
        finished: the process is gone, so that what looks torn is torn, and nothing more will come.

    Raises:
        JournalError: a segment's header cannot be read.
    """

    def __init__(self, folder: Path, *, finished: bool = False) -> None:
        self.folder = folder
        self.damage: list[str] = []
        self._finished = finished
        self._position = read_committed(folder)
        self._series: dict[int, tuple[str, str]] = {}
        self._open_runs: dict[str, RunStatus] = {}
        self._index = _FrameStream(folder, "index", finished=finished)
        self._facts = _FrameStream(folder, "facts", finished=finished)
        self._facts.skip_to(self._position.facts)
        self._points = _PointStream(folder, finished=finished, start=self._position.points)

    @property
    def position(self) -> Position:
        """How much has been read."""
        return self._position

    @property
    def open_runs(self) -> list[str]:
        """The runs that the journal's process began or resumed and has not ended, as far as has been read."""
        return list(self._open_runs)

    def read(self) -> Batch | None:
        """Return the next records, or None where there are none yet.

        A point is only taken once every fact before it has been, so that its run is known to the backend.
        """
        # The order matters: what names a point is written before it, so it must be looked for after it.
        tail = self._points.tail()
        self.read_index()
        facts = self._facts.take(MOST_FACTS)
        taken: list[Points] = []
        points_end = self._position.points
        if len(facts) < MOST_FACTS:
            taken, points_end = self._points.take(min(tail - points_end, MOST_POINTS), self._series)
        end = Position(self._facts.position, points_end)
        self._collect_damage()
        if end == self._position:
            return None
        self._position = end
        return Batch(self.folder.name, end, facts, taken)

    def release(self, committed: Position) -> None:
        """Delete the segments that hold nothing beyond a position."""
        self._facts.release(committed.facts)
        self._points.release(committed.points)

    def close(self) -> None:
        """Unmap everything."""
        self._index.close()
        self._facts.close()
        self._points.close()

    def read_index(self) -> None:
        """Learn the names of the metrics and the runs that are open, as far as they are written."""
        for _, fact in self._index.take(None):
            if isinstance(fact, SeriesDefined):
                self._series[fact.series] = (fact.run_id, fact.key)
            elif isinstance(fact, RunUpdated):
                if fact.status is not None and fact.status.is_terminated:
                    self._open_runs.pop(fact.run_id, None)
                else:
                    self._open_runs[fact.run_id] = RunStatus.RUNNING

    def _collect_damage(self) -> None:
        for stream in (self._index, self._facts, self._points):
            self.damage += [text for text in stream.damage if text not in self.damage]
            stream.damage.clear()


class _FrameStream:
    """Reads variable-length records across the segments of one stream."""

    def __init__(self, folder: Path, stream: str, *, finished: bool) -> None:
        self.damage: list[str] = []
        self.position = 0
        self._folder = folder
        self._stream = stream
        self._finished = finished
        self._view: SegmentView | None = None
        self._offset = HEADER_SIZE
        self._last = ""
        self._done: list[tuple[Path, int]] = []

    def skip_to(self, position: int) -> None:
        """Pass over the records before a position."""
        self._open_next()
        while self.position < position and self.take(1):
            pass

    def take(self, most: int | None) -> list[tuple[int, Fact]]:
        taken: list[tuple[int, Fact]] = []
        while most is None or len(taken) < most:
            view = self._view or self._open_next()
            if view is None:
                break
            # Whether a later segment exists must be known before the end of this one is looked at:
            # afterwards a record might still have been appended in between.
            is_last = not self._has_later_segment()
            for payload, offset in view.frames(self._offset, finished=self._finished):
                if payload is None:
                    self.damage.append(f"{view.path.name}: what lies from byte {self._offset} to {offset} is damaged")
                else:
                    self._decode(payload, taken)
                self._offset = offset
                if most is not None and len(taken) >= most:
                    return taken
            if is_last:
                break
            self._done.append((view.path, self.position))
            self.close()
        return taken

    def release(self, position: int) -> None:
        """Delete the segments that end at or before a position."""
        while self._done and self._done[0][1] <= position:
            path, _ = self._done.pop(0)
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        if self._view is not None:
            self._view.close()
            self._view = None

    def _decode(self, payload: bytes, taken: list[tuple[int, Fact]]) -> None:
        try:
            taken.append((self.position, decode(payload)))
        except msgspec.DecodeError as error:
            self.damage.append(f"record {self.position} of {self._stream} is not understood ({error})")
        self.position += 1

    def _has_later_segment(self) -> bool:
        return any(path.name > self._last for path in list_segments(self._folder, self._stream))

    def _open_next(self) -> SegmentView | None:
        for path in list_segments(self._folder, self._stream):
            if path.name <= self._last:
                continue
            try:
                view = SegmentView(path)
            except (JournalError, OSError) as error:
                if not self._finished:
                    return None
                self._last = path.name
                if not is_unborn(path):
                    self.damage.append(str(error))
                continue
            self._last = path.name
            if view.truncated:
                self.damage.append(f"{path.name} is cut off")
            self._offset = HEADER_SIZE
            self.position = max(self.position, view.base)
            self._view = view
            return view
        return None


class _PointStream:
    """Reads points across segments."""

    def __init__(self, folder: Path, *, finished: bool, start: int) -> None:
        self.damage: list[str] = []
        self._folder = folder
        self._finished = finished
        self._position = start
        self._views: list[_CountedView] = []
        self._last = ""

    def tail(self) -> int:
        """Return how many points the stream holds so far, damaged ones counted."""
        while True:
            if self._views:
                last = self._views[-1]
                last.count = self._count(last)
                if last.count < last.view.capacity and not self._finished:
                    break
            if not self._open_next():
                break
        return self._views[-1].end if self._views else self._position

    def take(self, most: int, series: dict[int, tuple[str, str]]) -> tuple[list[Points], int]:
        """Return points grouped by metric, and the position after them."""
        import numpy as np

        records: list[NDArray[numpy.void]] = []
        numbers: list[NDArray[numpy.int64]] = []
        end = self._position + most
        for counted in self._views:
            view = counted.view
            low, high = max(self._position, view.base), min(end, counted.end)
            if low < high:
                valid, intact = _check_points(view, low - view.base, high - view.base)
                if len(intact) < high - low:
                    self.damage.append(f"{view.path.name}: {high - low - len(intact)} points are damaged")
                records.append(intact)
                numbers.append(valid + low)
        if not records:
            return [], self._position
        self._position = end
        taken = np.concatenate(records)
        named = np.isin(taken["series"], np.fromiter(series, np.uint32, len(series)))
        if not named.all():
            self.damage.append(f"{int((~named).sum())} points belong to metrics whose names are lost")
        return list(_group(taken[named], np.concatenate(numbers)[named], series)), end

    def release(self, position: int) -> None:
        """Delete the segments that end at or before a position."""
        while self._views and self._views[0].is_full and self._views[0].end <= min(position, self._position):
            view = self._views.pop(0).view
            view.close()
            with contextlib.suppress(OSError):
                view.path.unlink()

    def close(self) -> None:
        for counted in self._views:
            counted.view.close()
        self._views.clear()

    def _count(self, counted: _CountedView) -> int:
        view = counted.view
        if not self._finished:
            return view.count_points(counted.count)
        import numpy as np

        # After a crash of the machine there may be holes, so the last place that holds anything counts.
        words = np.frombuffer(view.map, np.uint64, count=view.capacity * POINT_SIZE // 8, offset=HEADER_SIZE)
        used: NDArray[numpy.intp] = np.flatnonzero(words.reshape(-1, POINT_SIZE // 8).any(axis=1))
        return 1 + int(used[-1]) if used.size else 0

    def _open_next(self) -> bool:
        for path in list_segments(self._folder, "points"):
            if path.name <= self._last:
                continue
            try:
                view = SegmentView(path)
            except (JournalError, OSError) as error:
                if not self._finished:
                    return False
                self._last = path.name
                if not is_unborn(path):
                    self.damage.append(str(error))
                continue
            self._last = path.name
            if view.truncated:
                self.damage.append(f"{path.name} is cut off")
            self._views.append(_CountedView(view, max(0, min(self._position - view.base, view.capacity))))
            return True
        return False


@dataclass
class _CountedView:
    """A segment of points, and how many of its places are known to be taken."""

    view: SegmentView
    count: int

    @property
    def end(self) -> int:
        return self.view.base + self.count

    @property
    def is_full(self) -> bool:
        return self.count >= self.view.capacity


def _check_points(view: SegmentView, low: int, high: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.void]]:
    """Return which of a segment's places hold an intact point, counted from ``low``, and those points."""
    import numpy as np

    offset, count = HEADER_SIZE + low * POINT_SIZE, high - low
    halves = np.frombuffer(view.map, np.uint64, count=count * POINT_SIZE // 8, offset=offset).reshape(-1, 2, 4)
    records = np.frombuffer(view.map, _point_dtype(), count=count, offset=offset)
    intact = (halves[:, 0] == halves[:, 1]).all(axis=1) & (records["mark"] == POINT_MARK)
    return np.flatnonzero(intact).astype(np.int64), records[intact]


def _group(
    records: NDArray[numpy.void], numbers: NDArray[numpy.int64], series: dict[int, tuple[str, str]]
) -> Iterator[Points]:
    import numpy as np

    order = np.argsort(records["series"], kind="stable")
    records, numbers = records[order], numbers[order]
    starts = np.flatnonzero(np.diff(records["series"], prepend=np.uint32(0))).tolist()
    timestamps = np.rint(records["seconds"] * 1000.0).astype(np.int64)
    for low, high in zip(starts, [*starts[1:], len(records)], strict=True):
        run_id, key = series[int(records["series"][low])]
        yield Points(
            run_id,
            key,
            numbers[low:high],
            records["step"][low:high].copy(),
            timestamps[low:high],
            records["value"][low:high].copy(),
        )


def _point_dtype() -> numpy.dtype[numpy.void]:
    import numpy as np

    return np.dtype(
        {
            "names": ["series", "mark", "step", "seconds", "value"],
            "formats": ["<u4", "<u4", "<i8", "<f8", "<f8"],
            "offsets": [0, 4, 8, 16, 24],
            "itemsize": POINT_SIZE,
        }
    )


def read_committed(folder: Path) -> Position:
    """Return how much of a journal a backend is known to hold: a hint that saves reading, not the truth of it."""
    try:
        content = (folder / "committed").read_bytes()
    except OSError:
        return Position()
    return Position(*_COMMITTED.unpack(content)) if len(content) == _COMMITTED.size else Position()


def write_committed(folder: Path, position: Position) -> None:
    """Note how much of a journal a backend holds."""
    descriptor = os.open(folder / "committed", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, _COMMITTED.pack(*position))
    finally:
        os.close(descriptor)


def count_left(folder: Path) -> int:
    """Return how many records of a journal no backend is known to hold.

    Raises:
        JournalError: the journal cannot be read.
    """
    reader = JournalReader(folder)
    try:
        while reader.read() is not None:
            pass
        return max(0, sum(reader.position) - sum(read_committed(folder)))
    finally:
        reader.close()
