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
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from autolog.backend import Position
from autolog.committed import write_committed
from autolog.entities import RunStatus
from autolog.errors import JournalError
from autolog.events import Fact, RunCreated, RunUpdated, SeriesDefined, encode
from autolog.liveness import ProcessLock
from autolog.segments import (
    FORMAT,
    HEADER_SIZE,
    POINT_SIZE,
    HeldSegment,
    Segment,
    frame,
    segment_name,
)

logger = logging.getLogger("autolog")

# Locked by the process that fills a journal, and by the one that writes it to a backend, if that is another.
ALIVE: Final = "alive"
WRITING: Final = "writing"

OUT_OF_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

# Small first, so that a script that logs ten points does not cost megabytes; then large, so that rotation is rare.
_FIRST_POINTS: Final = 4_096
_MOST_POINTS: Final = 32_768
_FACTS_SIZE: Final = 1 << 20
_INDEX_SIZE: Final = 1 << 17

# What ids are made of below; a dot stands before those that are being deleted.
_NAME: Final = re.compile(r"\.?\d{8}T\d{6}-\d+-[0-9a-f]{12}")

# While the disk is full, room is looked for this often, in seconds; so many bytes of records wait in memory meanwhile.
_RETRY_AFTER: Final = 1.0
_MOST_HELD: Final = 64 << 20


class JournalClosed(Exception):
    """The journal was closed while a record was on its way to it; it belongs into another."""


class JournalInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What ``journal.json`` says of a journal: whose it is and where its records are to go."""

    format: int = FORMAT
    journal: str
    backend: str
    pid: int
    host: str
    started: int
    check: int = 0

    def seal(self) -> JournalInfo:
        """Return the same with the CRC-32 of all of it, so that damage cannot send records to another store."""
        unsealed = msgspec.structs.replace(self, check=0)
        return msgspec.structs.replace(unsealed, check=zlib.crc32(msgspec.json.encode(unsealed)))


class Journal:
    """Appends the records of this process.

    Args:
        spool: the folder of all journals; made with mode 0700 where it is missing.
        backend: URL of the store that the records are meant for.
        limit: most bytes of segments that may wait on disk. Beyond it, or while the disk is full, records wait in
            memory; when that has no room either, they are dropped and counted.

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
        self._counts = {"index": 0, "facts": 0}
        self._series = itertools.count(1)
        self._stage: Path | None = None
        self._staged = itertools.count(1)
        self._held: list[HeldSegment] = []
        self._rotating: set[str] = set()
        self._moving = False
        self._deferred: list[tuple[str, bytes]] = []
        self._retry_at = 0.0
        self._complained = False
        self._lock = ProcessLock(self.folder / ALIVE)
        # Before it can be seen: a recovery in this process could take the lock a second time.
        _own.add(self.id)
        try:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700)
            if not self._lock.acquire():
                raise JournalError(f"the spool {spool} has no working file locks; set AUTOLOG_SPOOL to a local folder")
            # While there is room: on a full disk, it could not be noted what is stored and may be deleted.
            write_committed(self.folder, Position())
            self._write_info()
            self._index = self._new_segment("index", 1, 0, _INDEX_SIZE)
            self._facts = self._new_segment("facts", 1, 0, _FACTS_SIZE)
            self._points = self._new_segment("points", 1, 0, HEADER_SIZE + _FIRST_POINTS * POINT_SIZE)
        except OSError as error:
            self._lock.release()
            remove_journal(self.folder)
            _own.discard(self.id)
            raise JournalError(
                f"the spool folder {spool} cannot be written ({error.strerror}); "
                "free space there, or set AUTOLOG_SPOOL to a folder that can"
            ) from error
        self.write_point: Callable[[bytes], int] = self._points.write

    def append(self, fact: Fact, *, owns_run: bool = True) -> bool:
        """Append a fact; it is safe from a crash of the process on return.

        Args:
            fact: any event but a series', which ``define_series`` appends.
            owns_run: the run that the fact begins or resumes is this process's to end.

        Returns:
            Whether it is on disk; if not, it waits in memory for room, or is counted as dropped.

        Raises:
            JournalClosed: nothing has been appended.
        """
        # Recovery must know which runs this process left open, even when the facts themselves are gone:
        # of a beginning before it is recorded, of an end only after it has been.
        update = fact if owns_run and isinstance(fact, RunUpdated) else None
        begun = fact if owns_run and isinstance(fact, RunCreated) else update if update and update.reopen else None
        if begun is not None:
            self._append_frame("index", encode(RunUpdated(run_id=begun.run_id, status=RunStatus.RUNNING)))
        appended = self._append_frame("facts", encode(fact))
        if appended and update is not None and update.status is not None and not update.reopen:
            self._append_frame("index", encode(RunUpdated(run_id=update.run_id, status=update.status)))
        return appended

    def define_series(self, run_id: str, key: str) -> int | None:
        """Give a metric of a run its number in the point stream; None where there is no room to say so.

        Raises:
            JournalClosed: nothing has been appended.
        """
        series = next(self._series)
        defined = SeriesDefined(series=series, run_id=run_id, key=key)
        return series if self._append_frame("index", encode(defined)) else None

    def append_point(self, record: bytes) -> None:
        """Append a packed point where ``write_point`` has found its segment full. Raises JournalClosed."""
        while True:
            full = self._points
            try:
                full.write(record)
            except ValueError:
                with self._turn:
                    if "points" in self._rotating:
                        self._defer("points", record)
                        return
                    if not self._rotate_points(full):
                        self.dropped += 1
                        return
            else:
                return

    def complain(self, error: OSError) -> None:
        """Say, once until there is room again, that there is none."""
        if not self._complained:
            self._complained = True
            logger.warning(
                "the spool %s takes no more (%s); new records wait in memory, up to %d MB, until there is room again",
                self.folder.parent,
                error.strerror,
                _MOST_HELD >> 20,
            )

    def stage(self) -> Path:
        """Return a path for a file whose content waits here for the artifact store."""
        if self._stage is None:
            folder = self.folder / "stage"
            folder.mkdir(mode=0o700, exist_ok=True)
            self._stage = folder
        return self._stage / f"{next(self._staged):08d}"

    def position(self) -> Position:
        """Return how much has been appended."""
        points = self._points
        return Position(self._counts["facts"], points.base + points.used() // POINT_SIZE)

    def close(self) -> Position:
        """Unmap the segments: nothing can be appended any more.

        Returns:
            How much of what has been appended is on disk; the rest, for which there is still no room, is dropped.
        """
        self.closed = True
        with self._turn:
            end = appended = self.position()
            try:
                self._move_held()
            except OSError:
                for held in self._held:
                    stream = held.path.name.partition("-")[0]
                    end = end._replace(**{stream: min(getattr(end, stream), held.base)})
                self.dropped += sum(appended) - sum(end)
            for segment in (self._index, self._facts, self._points, *self._held):
                segment.close()
        return end

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

    def _append_frame(self, stream: str, payload: bytes) -> bool:
        with self._turn:
            while not self.closed:
                if stream in self._rotating:
                    return self._defer(stream, payload)
                number = self._counts[stream]
                record = frame(payload, number)
                segment: Segment = getattr(self, f"_{stream}")
                if not segment.has_room(len(record)):
                    next_segment = self._rotate_frames(stream, segment, len(record))
                    if next_segment is None:
                        self.dropped += 1
                        return False
                    continue
                # A signal handler may have appended since. It runs after a call: none comes between these lines,
                # and Ctrl-C strikes when the record is there and has its number.
                if self._counts[stream] == number:
                    self._counts[stream] = number + 1
                    segment.write(record)
                    return not isinstance(segment, HeldSegment)
            raise JournalClosed

    def _defer(self, stream: str, payload: bytes) -> bool:
        """Keep a record that a signal handler appends while the call that it has struck makes a segment."""
        if stream == "index":
            # A point of the metric must not be on disk before its name is.
            self.dropped += 1
            return False
        self._deferred.append((stream, payload))
        return True

    @contextlib.contextmanager
    def _rotation(self, rotated: str) -> Iterator[None]:
        try:
            # Inside, since Ctrl-C may strike right after it.
            self._rotating.add(rotated)
            yield
        finally:
            self._rotating.discard(rotated)
            deferred, self._deferred = self._deferred, []
            for stream, record in deferred:
                if stream == "points":
                    self.append_point(record)
                else:
                    self._append_frame(stream, record)

    def _rotate_frames(self, stream: str, full: Segment, size: int) -> Segment | None:
        usual = _FACTS_SIZE if stream == "facts" else min(full.size * 2, _FACTS_SIZE)
        with self._rotation(stream):
            current: Segment = getattr(self, f"_{stream}")
            if current is not full:
                # A signal handler was first.
                return current
            segment = self._try_new_segment(stream, full, self._counts[stream], max(usual, HEADER_SIZE + size))
            if segment is not None:
                setattr(self, f"_{stream}", segment)
        return segment

    def _rotate_points(self, full: Segment) -> bool:
        with self._turn:
            if self.closed:
                raise JournalClosed
            # Another thread may have made room, or have moved the segment to disk.
            if self._points is not full or full.has_room(POINT_SIZE):
                return True
            held = (full.size - HEADER_SIZE) // POINT_SIZE
            size = HEADER_SIZE + min(held * 4, _MOST_POINTS) * POINT_SIZE
            with self._rotation("points"):
                if self._points is not full:
                    # A signal handler was first.
                    return True
                segment = self._try_new_segment("points", full, full.base + held, size)
                if segment is None:
                    return False
                self._points = segment
                self.write_point = segment.write
            return True

    def _try_new_segment(self, stream: str, full: Segment, base: int, size: int) -> Segment | None:
        number = int(full.path.stem.rpartition("-")[2]) + 1
        if time.monotonic() >= self._retry_at:
            try:
                self._move_held()
                self._check_limit(size)
                return self._new_segment(stream, number, base, size)
            except OSError as error:
                self.complain(error)
                self._retry_at = time.monotonic() + _RETRY_AFTER
        # What is on disk can be read, and read without what it is about: a metric's name never waits.
        return self._hold_segment(self.folder / segment_name(stream, number), base, size) if stream != "index" else None

    def _hold_segment(self, path: Path, base: int, size: int) -> Segment | None:
        if sum(held.size for held in self._held) + size > _MOST_HELD:
            return None
        try:
            segment = HeldSegment(path, base, size)
        except OSError:
            return None
        self._held.append(segment)
        if len(self._held) == 1:
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._wait_for_room, name="autolog-spool", daemon=True).start()
        return segment

    def _wait_for_room(self) -> None:
        while not self.closed:
            time.sleep(_RETRY_AFTER)
            with self._turn, contextlib.suppress(OSError):
                if not self.closed:
                    self._move_held()
                return

    def _move_held(self) -> None:
        """Move to disk what waits in memory, oldest first. Raises OSError where there is no room for all of it."""
        if self._moving:
            # A signal handler has struck this very call.
            raise OSError(errno.EAGAIN, "what waits in memory is being moved")
        try:
            self._moving = True
            self._move_each_held()
        finally:
            self._moving = False

    def _move_each_held(self) -> None:
        while self._held:
            held = self._held[0]
            self._check_limit(held.size)
            segment = held.move_to_disk()
            del self._held[0]
            for stream in ("facts", "points"):
                if getattr(self, f"_{stream}") is held:
                    setattr(self, f"_{stream}", segment)
                    if stream == "points":
                        self.write_point = segment.write
                    break
            else:
                # It is full, and another one is in use.
                segment.close()
            held.close()
            if not self._held:
                self._retry_at = 0.0
                self._complained = False

    def _check_limit(self, size: int) -> None:
        if self._size() + size > self._limit:
            raise OSError(errno.EDQUOT, "the limit AUTOLOG_SPOOL_LIMIT is reached")

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
        write_atomically(self.folder / "journal.json", msgspec.json.encode(info.seal()))


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
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalError(f"{folder} holds no readable journal ({error})") from error
    if info != info.seal():
        raise JournalError(f"{folder} holds no readable journal (its journal.json is damaged)")
    if info.format > FORMAT:
        raise JournalError(f"the journal {folder} was written by a newer autolog; upgrade autolog to read it")
    return info


def is_journal(folder: Path) -> bool:
    """Say whether a folder is named as journals are, also one that is being deleted; others are not our business."""
    return _NAME.fullmatch(folder.name) is not None


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


def adopt_journal(journal: str) -> None:
    """Count a journal as this process's own, for ``is_own_journal``."""
    _own.add(journal)


def is_own_journal(journal: str) -> bool:
    """Say whether this process fills or writes the journal: its lock must not be tried, since that would lose it."""
    return journal in _own


# Of this process; a forked child keeps its parent's, and leaves them alone as well.
_own: Final[set[str]] = set()
