"""What is fuzzed: functions from any bytes at all to checks that must hold of them. They need no fuzzer to run."""

from __future__ import annotations

import contextlib
import math
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from autolog.backend import Position
from autolog.committed import write_committed
from autolog.errors import InvalidFilter
from autolog.journal_reader import JournalReader
from autolog.search import parse_experiment_filter, parse_run_filter, parse_run_order
from autolog.segments import HEADER_SIZE, POINT_SIZE, frame, segment_name

STREAMS: Final = ("index", "facts", "points")


def check_journal_reader(data: bytes) -> None:
    """Read a journal that is made of the bytes, and expect an end, an order, and nothing that was not there."""
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder = Path(name)
        finished = write_journal(folder, data)
        present = b"".join(path.read_bytes() for path in folder.iterdir())
        with contextlib.closing(JournalReader(folder, finished=finished)) as reader:
            position = reader.position
            # What is read was written: a record takes eight bytes at least, and every read that goes on takes one
            # or passes over damage.
            for _ in range(len(present) // 8 + 8):
                batch = reader.read()
                if batch is None:
                    break
                assert batch.end.facts >= position.facts
                assert batch.end.points >= position.points
                assert batch.end != position
                numbers = [number for number, _ in batch.facts]
                assert numbers == sorted(set(numbers))
                assert all(position.facts <= number < batch.end.facts for number in numbers)
                for points in batch.points:
                    places = points.numbers.tolist()
                    assert places == sorted(set(places))
                    assert all(position.points <= place < batch.end.points for place in places)
                    assert len(points.steps) == len(points.timestamps) == len(points.values) == len(places) > 0
                    for step, value in zip(points.steps.tolist(), points.values.tolist(), strict=True):
                        assert struct.pack("<q", step) in present
                        assert math.isnan(value) or struct.pack("<d", value) in present
                position = batch.end
                reader.release(position)
            else:
                raise AssertionError("the reader does not come to an end")
            assert reader.read() is None
            assert all(isinstance(text, str) for text in reader.damage)
            assert all(isinstance(run, str) for run in reader.open_runs)


def write_journal(folder: Path, data: bytes) -> bool:
    """Write the segments that the bytes describe; return whether the journal's process is to be taken for dead.

    The first byte says that, and whether a position is noted. What follows are segments: a byte that says which
    stream and how much of it is to hold together (header, records), the length, and the content.
    """
    flags, rest = (data[0], data[1:]) if data else (0, b"")
    if flags & 2:
        write_committed(folder, Position(*struct.unpack("<QQ", rest[:16].ljust(16, b"\0"))))
        rest = rest[16:]
    bases = dict.fromkeys(STREAMS, 0)
    for number in range(1, 9):
        if len(rest) < 3:
            break
        kind, length = struct.unpack_from("<BH", rest)
        content, rest = rest[3 : 3 + length], rest[3 + length :]
        stream = STREAMS[kind % 3]
        content, count = _records(stream, kind >> 2, content, bases[stream])
        if kind & 128:
            base = int.from_bytes(content[:8].ljust(8, b"\0"), "little") if kind & 64 else bases[stream]
            bases[stream] = min(base + count, 2**63)
            size = HEADER_SIZE + len(content) + (kind & 32)
            header = struct.pack("<8sIQQ", b"AUTOLOG\0", 1, base, size)
            content = (header + struct.pack("<I", zlib.crc32(header))).ljust(HEADER_SIZE, b"\0") + content
            content = content.ljust(size - (kind & 32), b"\0")
        (folder / segment_name(stream, number)).write_bytes(content)
    return bool(flags & 1)


def _records(stream: str, how: int, content: bytes, start: int) -> tuple[bytes, int]:
    """Return the content as it is, or as records that hold together, and how many these are."""
    if not how & 1:
        return content, 0
    if stream == "points":
        halves = [content[at : at + POINT_SIZE // 2] for at in range(0, len(content), POINT_SIZE // 2)]
        return b"".join(half.ljust(POINT_SIZE // 2, b"\0") * 2 for half in halves), len(halves)
    payloads = []
    while content:
        length = content[0]
        payloads.append(content[1 : 1 + length])
        content = content[1 + length :]
    return b"".join(frame(payload, number) for number, payload in enumerate(payloads, start)), len(payloads)


def check_filter_parser(data: bytes) -> None:
    """Parse the bytes as text, and expect a tree that can be used or an error that points at a character."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (parse_run_filter, parse_experiment_filter, _parse_order):
        try:
            parsed = parse(text)
        except InvalidFilter as error:
            check_message(text, str(error))
        else:
            assert parsed == parse(text)
            hash(parsed)
            repr(parsed)


def check_message(text: str, message: str) -> None:
    """Expect a line that says what is wrong, one that shows the place, and a caret below a character of it."""
    assert len(message) < 2_000
    if "levels deep" in message:
        return
    shown, caret = message.splitlines()[-2:] if text.isprintable() else message.split("\n")[-2:]
    assert caret.strip() == "^"
    assert len(caret) <= len(shown) + 1


def _parse_order(text: str) -> object:
    return parse_run_order([text])


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "journal_reader": check_journal_reader,
    "filter_parser": check_filter_parser,
}
CORPUS: Final = Path(__file__).parent / "corpus"
