"""Reading a journal in batches, from the process that fills it, from another, or after both are dead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from autolog.backend import Batch, Points, Position
from autolog.committed import read_committed
from autolog.entities import RunStatus
from autolog.errors import JournalError
from autolog.events import Fact, RunUpdated, SeriesDefined, decode
from autolog.segments import HEADER_SIZE, POINT_MARK, POINT_SIZE, SegmentView, is_unborn, list_segments

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

# One batch is one transaction: large enough to be quick, small enough to be held in memory twice.
MOST_POINTS: Final = 100_000
MOST_FACTS: Final = 10_000
MOST_FACT_BYTES: Final = 32 << 20

# More than any time that can be logged, and few enough to be counted in milliseconds.
_MOST_SECONDS: Final = 1e12


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
        start: Position | None = None
        try:
            start = read_committed(folder)
        except JournalError as error:
            # What a backend holds already, it passes over.
            self.damage.append(str(error))
        self._series: dict[int, tuple[str, str]] = {}
        self._open_runs: dict[str, RunStatus] = {}
        self._index = _FrameStream(folder, "index", finished=finished, start=0)
        self._facts = _FrameStream(folder, "facts", finished=finished, start=start.facts if start else None)
        self._points = _PointStream(folder, finished=finished, start=start.points if start else None)
        self._position = Position(self._facts.position, self._points.position)

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
        tail = self._points.tail(MOST_POINTS)
        self.read_index()
        facts = self._facts.take(MOST_FACTS)
        taken: list[Points] = []
        points_end = self._position.points
        if not self._facts.has_more:
            taken = self._points.take(tail, self._series)
            points_end = self._points.position
        end = Position(self._facts.position, points_end)
        self._collect_damage()
        if end == self._position:
            return None
        self._position = end
        return Batch(self.folder.name, end, facts, taken)

    def count_left(self) -> int:
        """Pass over all that has been appended and not been read, and return how many records that is."""
        before = sum(self._position)
        while self._facts.take(MOST_FACTS):
            pass
        self._position = Position(self._facts.position, self._points.tail())
        return sum(self._position) - before

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
    """Reads variable-length records across the segments of one stream.

    Args:
        folder: the journal's.
        stream: its name.
        finished: as for the journal.
        start: the number of the first record that is wanted; None where it is not known, for all that there are.
    """

    def __init__(self, folder: Path, stream: str, *, finished: bool, start: int | None) -> None:
        self.damage: list[str] = []
        self.position = start or 0
        self.has_more = False
        self._folder = folder
        self._stream = stream
        self._finished = finished
        self._view: SegmentView | None = None
        self._offset = HEADER_SIZE
        self._last = ""
        self._done: list[tuple[Path, int]] = []
        if start is None and (first := self._open_next()) is not None:
            self.position = first.base

    def take(self, most: int | None) -> list[tuple[int, Fact]]:
        """Return the next records; ``has_more`` says afterwards whether it was their number or size that ended them."""
        taken: list[tuple[int, Fact]] = []
        size = 0
        self.has_more = False
        while most is None or len(taken) < most:
            view = self._view or self._open_next()
            if view is None:
                break
            # Whether a later segment exists must be known before the end of this one is looked at:
            # afterwards a record might still have been appended in between.
            is_last = not self._has_later_segment()
            for payload, number, offset in view.frames(self._offset, finished=self._finished):
                if payload is None:
                    self.damage.append(f"{view.path.name}: what lies from byte {self._offset} to {offset} is damaged")
                elif number >= self.position:
                    self._miss_up_to(number)
                    self._decode(payload, taken)
                    size += len(payload)
                self._offset = offset
                if most is not None and (len(taken) >= most or size >= MOST_FACT_BYTES):
                    self.has_more = True
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
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.damage.append(f"record {self.position} of {self._stream} is not understood ({error})")
        self.position += 1

    def _miss_up_to(self, number: int) -> None:
        if number > self.position:
            self.damage.append(f"{number - self.position} records of {self._stream} are missing")
            self.position = number

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
            self._view = view
            return view
        return None


class _PointStream:
    """Reads points across segments; the arguments are those of ``_FrameStream``."""

    def __init__(self, folder: Path, *, finished: bool, start: int | None) -> None:
        self.damage: list[str] = []
        self.position = start or 0
        self._folder = folder
        self._finished = finished
        self._views: list[_CountedView] = []
        self._last = ""
        if start is None and self._open_next():
            self.position = self._views[0].view.base

    def tail(self, most: int | None = None) -> int:
        """Return how many points the stream holds so far, damaged ones counted.

        Args:
            most: look no further than this many points beyond those that have been taken, and map no more segments
                than these fill.
        """
        while most is None or not self._views or self._views[-1].end < self.position + most:
            if self._views:
                last = self._views[-1]
                last.count = self._count(last)
                if last.count < last.view.capacity and not self._finished:
                    break
            if not self._open_next():
                break
        return self._views[-1].end if self._views else self.position

    def take(self, tail: int, series: dict[int, tuple[str, str]]) -> list[Points]:
        """Return the next points before ``tail``, grouped by metric."""
        unread = [counted for counted in self._views if counted.count and counted.end > self.position]
        # However many are missing, that is one step.
        self._miss_up_to(unread[0].view.base if unread else tail)
        if not unread:
            return []
        import numpy as np

        records: list[NDArray[numpy.void]] = []
        numbers: list[NDArray[numpy.int64]] = []
        end = min(self.position + MOST_POINTS, tail)
        missing = end - self.position
        for counted in unread:
            view = counted.view
            low, high = max(self.position, view.base), min(end, counted.end)
            if low < high:
                valid, intact, damaged = _check_points(view, low - view.base, high - view.base)
                if damaged:
                    self.damage.append(f"{view.path.name}: {damaged} points are damaged")
                missing -= len(intact) + damaged
                records.append(intact)
                numbers.append(valid + low)
        if missing:
            self.damage.append(f"{missing} of the points {self.position} to {end - 1} are missing")
        self.position = end
        taken = np.concatenate(records)
        named = np.isin(taken["series"], np.fromiter(series, np.uint32, len(series)))
        if not named.all():
            self.damage.append(f"{int((~named).sum())} points belong to metrics whose names are lost")
        if not named.any():
            return []
        return list(_group(taken[named], np.concatenate(numbers)[named], series))

    def _miss_up_to(self, number: int) -> None:
        if number > self.position:
            self.damage.append(f"the points {self.position} to {number - 1} are missing")
            self.position = number

    def release(self, position: int) -> None:
        """Delete the segments that end at or before a position."""
        while self._views and self._views[0].is_full and self._views[0].end <= min(position, self.position):
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
            if self._views and view.base < self._views[-1].end:
                self.damage.append(f"{path.name} holds the places of points that another segment holds")
                view.close()
                continue
            if view.truncated:
                self.damage.append(f"{path.name} is cut off")
            self._views.append(_CountedView(view, max(0, min(self.position - view.base, view.capacity))))
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


def _check_points(view: SegmentView, low: int, high: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.void], int]:
    """Return which of some places hold an intact point, counted from ``low``, those points, and how many are damaged.

    A place with nothing in it is not counted as damaged: its page has been lost.
    """
    import numpy as np

    offset, count = HEADER_SIZE + low * POINT_SIZE, high - low
    halves = np.frombuffer(view.map, np.uint64, count=count * POINT_SIZE // 8, offset=offset).reshape(-1, 2, 4)
    records = np.frombuffer(view.map, _point_dtype(), count=count, offset=offset)
    intact = (halves[:, 0] == halves[:, 1]).all(axis=1) & (records["mark"] == POINT_MARK)
    intact &= np.abs(records["seconds"]) < _MOST_SECONDS
    damaged = int(halves[~intact].any(axis=(1, 2)).sum())
    return np.flatnonzero(intact).astype(np.int64), records[intact], damaged


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


def count_left(folder: Path) -> int:
    """Return how many records of a journal no backend is known to hold.

    Raises:
        JournalError: the journal cannot be read.
    """
    reader = JournalReader(folder)
    try:
        return reader.count_left()
    finally:
        reader.close()
