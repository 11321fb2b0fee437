"""The files of a journal: preallocated, memory-mapped, appended to by one process and readable by any other.

A segment begins with a header of 64 bytes and holds records of one stream. A record is appended by a single
``mmap.write``, which CPython runs as one step: threads need no lock, a signal handler cannot come between,
and a process that is killed leaves whole records and at most one torn one, which its redundancy gives away.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

from autolog.errors import JournalError

FORMAT: Final = 1
HEADER_SIZE: Final = 64
POINT_SIZE: Final = 64

_MAGIC: Final = b"AUTOLOG\0"
# magic, format, number of the first record, size in bytes, CRC-32 of what stands before it
_HEADER: Final = struct.Struct("<8sIQQ")
_CHECK: Final = struct.Struct("<I")
# length of the payload, CRC-32 of the rest of the frame, number of the record in its stream
_FRAME: Final = struct.Struct("<IIQ")
_NUMBER: Final = struct.Struct("<Q")
_FRAME_ALIGNMENT: Final = 8
# Every event is a MessagePack map of fewer than 16 fields, the first of which is its type.
_EVENT_TAG: Final = b"\xa4type"
_EVENT_TAG_AT: Final = 1

# A number that no journal reaches: what says that it is beyond it is not true.
_MOST_RECORDS: Final = 2**62

# A point stands twice in its record, so that a torn write or a flipped bit shows without the price of a checksum
# on the training's thread: a record is ``pack_point(series, POINT_MARK, step, seconds, value) * 2``.
POINT_MARK: Final = 0x50544E31
pack_point: Final = struct.Struct("<IIqdd").pack


def frame(payload: bytes, number: int) -> bytes:
    """Return a variable-length record: length, CRC-32, number, payload, padding to eight bytes.

    The number is what tells, after damage, which records are lost and which are still to come.
    """
    padding = -(len(payload) + _FRAME.size) % _FRAME_ALIGNMENT
    return _FRAME.pack(len(payload), _check_frame(payload, number), number) + payload + bytes(padding)


def _check_frame(payload: bytes, number: int) -> int:
    return zlib.crc32(payload, zlib.crc32(_NUMBER.pack(number)))


def segment_name(stream: str, number: int) -> str:
    """Return the name of a segment's file, by its stream and its place in it."""
    return f"{stream}-{number:08d}.segment"


def list_segments(folder: Path, stream: str) -> list[Path]:
    """Return the files of a stream, oldest first."""
    return sorted(folder.glob(f"{stream}-*.segment"))


def is_unborn(path: Path) -> bool:
    """Say whether a segment's process ended before it had written the header, and so before any record."""
    return not path.read_bytes().strip(b"\0")


class Segment:
    """A segment that this process appends to.

    Args:
        path: a new file, or one that an interrupted call of this process has left without records.
        base: the number of its first record in the stream.
        size: of the file in bytes, header included.

    Raises:
        OSError: the file cannot be made at its full size (ENOSPC, EDQUOT, EACCES, …);
            a full disk shows here, never as a SIGBUS at an append.
    """

    def __init__(self, path: Path, base: int, size: int) -> None:
        try:
            content = _map_new_file(path, size)
        except OSError:
            # Not after Ctrl-C: a reader may see the file already, and the next call goes on with it.
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        content.write(_pack_header(base, size))
        self._use(path, base, size, content)

    def _use(self, path: Path, base: int, size: int, content: mmap.mmap) -> None:
        self.path = path
        self.base = base
        self.size = size
        self._map = content
        self.write: Callable[[bytes], int] = self._map.write if _has_gil() else self._write_locked()

    def has_room(self, size: int) -> bool:
        """Say whether a record of this many bytes still fits."""
        return self.size - self._map.tell() >= size

    def used(self) -> int:
        """Return how many bytes of records the segment holds."""
        return self._map.tell() - HEADER_SIZE

    def close(self) -> None:
        """Unmap the file; nothing may be written after."""
        self._map.close()

    def _write_locked(self) -> Callable[[bytes], int]:
        lock, write = threading.Lock(), self._map.write

        def write_locked(record: bytes) -> int:
            with lock:
                return write(record)

        return write_locked


class HeldSegment(Segment):
    """A segment in memory, for which the disk has no room at present; it is lost with its process.

    Args:
        path: where it belongs.
        base: as of a segment.
        size: as of a segment.
    """

    def __init__(self, path: Path, base: int, size: int) -> None:
        content = mmap.mmap(-1, size)
        content.write(_pack_header(base, size))
        self._use(path, base, size, content)

    def move_to_disk(self) -> Segment:
        """Return a segment on disk with the same records, which is to be used in place of this one, now full.

        Raises:
            OSError: there is still no room; nothing has changed.
        """
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            content = _map_new_file(temporary, self.size)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        used = self._map.tell()
        # From here on no thread can append what the copy would miss.
        self._map.seek(self.size)
        while any(self._map[used : used + POINT_SIZE]):
            used += POINT_SIZE
        content[:] = self._map[:]
        content.seek(used)
        temporary.replace(self.path)
        moved = Segment.__new__(Segment)
        moved._use(self.path, self.base, self.size, content)  # noqa: SLF001  one of our own
        return moved


class SegmentView:
    """A segment as a reader sees it, in the process that fills it or in any other.

    Raises:
        JournalError: the header is damaged, or of a newer format.
        OSError: the file cannot be opened.
    """

    base: int

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER_SIZE:
                raise JournalError(f"the journal segment {path} is damaged: it is cut off in its header")
            self.map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        header = self.map[: _HEADER.size]
        magic, version, self.base, declared = _HEADER.unpack(header)
        (check,) = _CHECK.unpack(self.map[_HEADER.size : _HEADER.size + _CHECK.size])
        if magic != _MAGIC or check != zlib.crc32(header) or self.base > _MOST_RECORDS:
            self.map.close()
            raise JournalError(f"the journal segment {path} is damaged: its header does not hold together")
        if version > FORMAT:
            self.map.close()
            raise JournalError(f"the journal segment {path} was written by a newer autolog; upgrade autolog to read it")
        self.truncated = size < declared
        self.size = size

    def frames(self, offset: int, *, finished: bool) -> Iterator[tuple[bytes | None, int, int]]:
        """Yield the records from an offset on, each as (payload, number, offset after it).

        Where nothing has been written yet, the stream ends. In a segment that is finished, what lies between
        damage, or a hole, and the next whole record is yielded as (None, 0, offset of that record).
        """
        while offset + _FRAME.size <= self.size:
            found = self._frame_at(offset)
            if found is not None:
                payload, number = found
                offset += _FRAME.size + len(payload) + -(len(payload) + _FRAME.size) % _FRAME_ALIGNMENT
                yield payload, number, offset
                continue
            if not finished or offset >= self._end:
                return
            offset = self._next_frame(offset + _FRAME_ALIGNMENT)
            yield None, 0, offset

    def _frame_at(self, offset: int) -> tuple[bytes, int] | None:
        length, check, number = _FRAME.unpack_from(self.map, offset)
        start = offset + _FRAME.size
        if not 0 < length <= self.size - start:
            return None
        payload: bytes = self.map[start : start + length]
        return (payload, number) if _check_frame(payload, number) == check else None

    @cached_property
    def _end(self) -> int:
        """Where the zeros begin that nothing has been written to, in a segment that is finished."""
        return len(self.map[:].rstrip(b"\0"))

    def _next_frame(self, offset: int) -> int:
        # Looking for how an event begins passes over what is none without a checksum for every length it might be.
        ahead = _FRAME.size + _EVENT_TAG_AT
        # Without the last byte, where none begins: Python 3.11.0 to 3.11.3 look at a byte more (python/cpython#105235),
        # which ends the process where that is the first of a page that is not mapped.
        end = self.size - 1
        found = self.map.find(_EVENT_TAG, offset + ahead, end)
        while found >= 0:
            start = found - ahead
            if start % _FRAME_ALIGNMENT == 0 and self._frame_at(start) is not None:
                return start
            found = self.map.find(_EVENT_TAG, found + 1, end)
        return self.size

    @property
    def capacity(self) -> int:
        """How many points fit."""
        return (self.size - HEADER_SIZE) // POINT_SIZE

    def count_points(self, known: int) -> int:
        """Return how many points have been appended, in a segment whose process still lives.

        Points fill the segment without gaps, so that the first free place is found by bisection.

        Args:
            known: a count that is already known to have been reached.
        """
        low, high = known, self.capacity
        if low >= high or not self._is_written(low):
            return low
        while low < high:
            middle = (low + high) // 2
            if self._is_written(middle):
                low = middle + 1
            else:
                high = middle
        return low

    def _is_written(self, place: int) -> bool:
        # The second copy is the one that a forward copy writes last.
        end = HEADER_SIZE + (place + 1) * POINT_SIZE
        return self.map[end - POINT_SIZE // 2 : end - POINT_SIZE // 2 + 4] != b"\0\0\0\0"

    def close(self) -> None:
        """Unmap the file."""
        self.map.close()


def _pack_header(base: int, size: int) -> bytes:
    header = _HEADER.pack(_MAGIC, FORMAT, base, size)
    return (header + _CHECK.pack(zlib.crc32(header))).ljust(HEADER_SIZE, b"\0")


def _map_new_file(path: Path, size: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _allocate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            # Some file systems have no preallocation; writing the zeros has the same effect.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
        else:
            return
    block = bytes(1 << 16)
    written = 0
    while written < size:
        written += os.write(descriptor, block[: size - written])


def _has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()
