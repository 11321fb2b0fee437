"""The journal: where every record of a process goes first, and what survives whatever happens to it.

A journal is a folder of the spool with three streams of segments. ``points`` holds metric points, ``facts`` every
other event; both are deleted segment by segment once a backend has them. ``index`` says what the numbers of
the point stream mean and which runs the process has open; it is kept as long as the journal.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from autolog.backend import Position
from autolog.errors import JournalError
from autolog.events import Fact, RunCreated, RunUpdated, SeriesDefined, encode
from autolog.liveness import ProcessLock
from autolog.segments import (
    FORMAT,
    HEADER_SIZE,
    POINT_SIZE,
    Segment,
    frame,
    segment_name,
)

logger = logging.getLogger("autolog")

OUT_OF_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

# Small first, so that a script that logs ten points does not cost megabytes; then large, so that rotation is rare.
_FIRST_POINTS: Final = 4_096
_MOST_POINTS: Final = 65_536
_FACTS_SIZE: Final = 1 << 20
_INDEX_SIZE: Final = 1 << 17

# While the disk is full, appending is tried again this often, in seconds.
_RETRY_AFTER: Final = 1.0


class JournalInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What ``journal.json`` says of a journal: whose it is and where its records are to go."""

    format: int = FORMAT
    journal: str
    backend: str
    pid: int
    host: str
    started: int


class Journal:
    """Appends the records of this process.

    Args:
        spool: the folder of all journals; made with mode 0700 where it is missing.
        backend: URL of the store that the records are meant for.
        limit: most bytes of segments that may wait on disk; what comes beyond is dropped and counted.

    Raises:
        JournalError: the spool cannot be used.
    """

    def __init__(self, spool: Path, backend: str, limit: int = 10 * 2**30) -> None:
        self.id: Final = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{os.urandom(6).hex()}"
        self.folder = spool / self.id
        self.backend = backend
        self.dropped = 0
        self.closed = False
        self._limit = limit
        self._turn = threading.RLock()
        self._facts_count = 0
        self._series = itertools.count(1)
        self._staged = itertools.count(1)
        self._retry_at = 0.0
        try:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700)
            self._lock = ProcessLock(self.folder / "alive")
            if not self._lock.acquire():
                raise JournalError(f"the spool {spool} has no working file locks; set AUTOLOG_SPOOL to a local folder")
            self._write_info()
            self._index = self._new_segment("index", 1, 0, _INDEX_SIZE)
            self._facts = self._new_segment("facts", 1, 0, _FACTS_SIZE)
            self._points = self._new_segment("points", 1, 0, HEADER_SIZE + _FIRST_POINTS * POINT_SIZE)
        except OSError as error:
            raise JournalError(
                f"the spool folder {spool} cannot be written ({error.strerror}); "
                "free space there, or set AUTOLOG_SPOOL to a folder that can"
            ) from error
        self.write_point: Callable[[bytes], int] = self._points.write
        _own.add(self.id)

    def append(self, fact: Fact, *, owns_run: bool = True) -> None:
        """Append a fact; it is safe from a crash of the process on return.

        Args:
            fact: any event but a series', which ``define_series`` appends.
            owns_run: the run that the fact begins or resumes is this process's to end.
        """
        if owns_run and (isinstance(fact, RunCreated) or (isinstance(fact, RunUpdated) and fact.status is not None)):
            # Recovery must know which runs this process left open, even when the facts themselves are gone.
            self._append_frame("index", encode(RunUpdated(run_id=fact.run_id, status=fact.status)))
        self._append_frame("facts", encode(fact))

    def define_series(self, run_id: str, key: str) -> int:
        """Give a metric of a run its number in the point stream."""
        series = next(self._series)
        self._append_frame("index", encode(SeriesDefined(series=series, run_id=run_id, key=key)))
        return series

    def append_point(self, record: bytes) -> None:
        """Append a packed point where ``write_point`` has found its segment full."""
        while True:
            full = self._points
            try:
                full.write(record)
            except ValueError:
                if not self._rotate_points(full):
                    self.dropped += 1
                    return
            else:
                return

    def stage(self) -> Path:
        """Return a path for a file whose content waits here for the artifact store."""
        folder = self.folder / "stage"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{next(self._staged):08d}"

    def position(self) -> Position:
        """Return how much has been appended."""
        points = self._points
        return Position(self._facts_count, points.base + points.used() // POINT_SIZE)

    def close(self) -> None:
        """Unmap the segments: nothing can be appended any more."""
        self.closed = True
        with self._turn:
            for segment in (self._index, self._facts, self._points):
                segment.close()

    def release(self, *, remove: bool) -> None:
        """Give the lock back; ``remove`` deletes a journal of which nothing is left."""
        if remove:
            remove_journal(self.folder)
        self._lock.release()
        _own.discard(self.id)

    def abandon(self) -> None:
        """In a forked child: forget the parent's journal without touching its files."""
        with contextlib.suppress(Exception):
            self._lock.release()

    def _append_frame(self, stream: str, payload: bytes) -> None:
        record = frame(payload)
        with self._turn:
            if self.closed:
                self.dropped += 1
                return
            segment: Segment = getattr(self, f"_{stream}")
            if not segment.has_room(len(record)):
                next_segment = self._rotate_frames(stream, segment, len(record))
                if next_segment is None:
                    self.dropped += 1
                    return
                segment = next_segment
            segment.write(record)
            if stream == "facts":
                self._facts_count += 1

    def _rotate_frames(self, stream: str, full: Segment, size: int) -> Segment | None:
        base = self._facts_count if stream == "facts" else 0
        usual = _FACTS_SIZE if stream == "facts" else min(full.size * 2, _FACTS_SIZE)
        segment = self._try_new_segment(stream, full, base, max(usual, HEADER_SIZE + size))
        if segment is not None:
            setattr(self, f"_{stream}", segment)
        return segment

    def _rotate_points(self, full: Segment) -> bool:
        with self._turn:
            if self.closed:
                return False
            if self._points is not full:
                return True
            held = (full.size - HEADER_SIZE) // POINT_SIZE
            size = HEADER_SIZE + min(held * 4, _MOST_POINTS) * POINT_SIZE
            segment = self._try_new_segment("points", full, full.base + held, size)
            if segment is None:
                return False
            self._points = segment
            self.write_point = segment.write
            return True

    def _try_new_segment(self, stream: str, full: Segment, base: int, size: int) -> Segment | None:
        if time.monotonic() < self._retry_at:
            return None
        try:
            if self._size() + size > self._limit:
                raise OSError(errno.EDQUOT, "the limit AUTOLOG_SPOOL_LIMIT is reached")  # noqa: TRY301  one way to fail
            number = int(full.path.stem.rpartition("-")[2]) + 1
            segment = self._new_segment(stream, number, base, size)
        except OSError as error:
            if not self.dropped:
                logger.warning(
                    "the spool %s takes no more (%s); records are dropped until there is room again",
                    self.folder.parent,
                    error.strerror,
                )
            self._retry_at = time.monotonic() + _RETRY_AFTER
            return None
        return segment

    def _size(self) -> int:
        size = 0
        for path in self.folder.glob("*.segment"):
            # The writer deletes what is stored at any moment.
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
        return size

    def _new_segment(self, stream: str, number: int, base: int, size: int) -> Segment:
        return Segment(self.folder / segment_name(stream, number), base, size)

    def _write_info(self) -> None:
        info = JournalInfo(
            journal=self.id,
            backend=self.backend,
            pid=os.getpid(),
            host=host_name(),
            started=time.time_ns() // 1_000_000,
        )
        write_atomically(self.folder / "journal.json", msgspec.json.encode(info))


def write_atomically(path: Path, content: bytes) -> None:
    """Put a file in place whole: readers see the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def read_info(folder: Path) -> JournalInfo:
    """Return what a journal says of itself.

    Raises:
        JournalError: there is no journal in the folder, or it is damaged, or of a newer format.
    """
    try:
        info = msgspec.json.decode((folder / "journal.json").read_bytes(), type=JournalInfo)
    except (OSError, msgspec.DecodeError) as error:
        raise JournalError(f"{folder} holds no readable journal ({error})") from error
    if info.format > FORMAT:
        raise JournalError(f"the journal {folder} was written by a newer autolog; upgrade autolog to read it")
    return info


def remove_journal(folder: Path) -> None:
    """Delete a journal so that others see it whole or not at all: half of one would look like a damaged one."""
    import shutil

    hidden = folder.with_name(f".{folder.name}")
    with contextlib.suppress(OSError):
        folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def host_name() -> str:
    """Return the name of this machine, which tells its journals from those of others on a shared file system."""
    import platform  # takes longer to import than all of this module

    return platform.node()


def is_own_journal(journal: str) -> bool:
    """Say whether this process writes the journal: its lock must not be tried, since that would lose it."""
    return journal in _own


# Of this process; a forked child keeps its parent's, and leaves them alone as well.
_own: Final[set[str]] = set()
