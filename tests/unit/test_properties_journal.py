"""What is appended to a journal is read once and in order, however it is read, and as far as it is intact."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolog import journal as journal_module
from autolog import journal_reader
from autolog.backend import Batch, Position
from autolog.committed import write_committed
from autolog.events import Fact, TagsSet
from autolog.journal import Journal
from autolog.journal_reader import JournalReader
from autolog.segments import HEADER_SIZE, POINT_MARK, POINT_SIZE, SegmentView, pack_point

SERIES: Final = 3
# What is said in a segment's header; the rest of it is empty.
HEADER_USED: Final = 32
# A point: its series, step, seconds and value.
Point = tuple[int, int, float, float]

points = st.tuples(
    st.integers(1, SERIES),
    st.one_of(st.integers(0, 3), st.sampled_from([-(2**63), 2**63 - 1])),
    st.floats(-2e11, 2e11),
    st.floats(),
)
texts = st.one_of(st.text(max_size=5), st.builds(str.__mul__, st.text(min_size=1, max_size=2), st.integers(1, 400)))
facts = st.builds(TagsSet, run_id=st.just("r"), tags=st.dictionaries(texts, texts, max_size=3))
appended = st.lists(st.one_of(points, points, facts), max_size=60)
# What a reader does between two appends: nothing, reads, stores what it has read, or is made anew.
habits = st.lists(st.sampled_from(["", "", "read", "read", "commit", "reopen"]), max_size=60)


@contextmanager
def small_sizes(batch: int) -> Iterator[Path]:
    """Let segments and batches end after a few records; lend a folder."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(journal_module, "_FIRST_POINTS", 2)
        patch.setattr(journal_module, "_MOST_POINTS", 8)
        patch.setattr(journal_module, "_FACTS_SIZE", 512)
        patch.setattr(journal_module, "_INDEX_SIZE", 256)
        patch.setattr(journal_reader, "MOST_POINTS", batch)
        patch.setattr(journal_reader, "MOST_FACTS", max(1, batch // 2))
        yield Path(folder)


def open_journal(folder: Path) -> Journal:
    journal = Journal(folder / "spool", "file:/nowhere")
    assert [journal.define_series("r", f"m{number}") for number in range(1, SERIES + 1)] == [1, 2, 3]
    return journal


def append(journal: Journal, record: Union[Point, TagsSet]) -> None:
    if isinstance(record, TagsSet):
        journal.append(record)
    else:
        series, *content = record
        journal.append_point(pack_point(series, POINT_MARK, *content) * 2)


class Received:
    """What a reader has been given, by number."""

    def __init__(self) -> None:
        self.facts: dict[int, Fact] = {}
        self.points: dict[int, tuple[int, int, int, str]] = {}

    def take(self, batch: Batch) -> None:
        assert not self.facts.keys() & dict(batch.facts).keys(), "a fact came twice"
        assert [number for number, _ in batch.facts] == sorted(dict(batch.facts))
        self.facts |= dict(batch.facts)
        for each in batch.points:
            assert each.run_id == "r"
            columns = (each.numbers, each.steps, each.timestamps, each.values)
            for number, step, time, value in zip(*(column.tolist() for column in columns), strict=True):
                assert number not in self.points, "a point came twice"
                self.points[number] = (int(each.key[1:]), step, time, repr(value))


def as_received(point: Point) -> tuple[int, int, int, str]:
    """Return a point as a batch has it, with a text that tells NaN and the sign of zero."""
    series, step, seconds, value = point
    return series, step, round(seconds * 1000.0), repr(value)


def split(records: list[Union[Point, TagsSet]]) -> tuple[dict[int, TagsSet], dict[int, tuple[int, int, int, str]]]:
    facts = [record for record in records if isinstance(record, TagsSet)]
    points = [as_received(record) for record in records if not isinstance(record, TagsSet)]
    return dict(enumerate(facts)), dict(enumerate(points))


@given(records=appended, habits=habits, batch=st.integers(1, 9))
def test_everything_appended_is_read_once_and_in_order_while_the_journal_grows(
    records: list[Union[Point, TagsSet]], habits: list[str], batch: int
) -> None:
    with small_sizes(batch) as folder:
        journal = open_journal(folder)
        reader = JournalReader(journal.folder)
        stored, pending = Received(), list[Batch]()
        for record, habit in zip(records, [*habits, *[""] * len(records)], strict=False):
            append(journal, record)
            if habit == "read" and (found := reader.read()) is not None:
                assert found.end.facts <= journal.position().facts
                pending.append(found)
            elif habit == "commit" and pending:
                store(stored, pending, reader)
            elif habit == "reopen":
                # The next begins where the last has stored, whatever that one had read beyond it.
                reader.close()
                pending.clear()
                reader = JournalReader(journal.folder)
        while (found := reader.read()) is not None:
            pending.append(found)
        assert reader.position == journal.position()
        assert reader.damage == []
        if pending:
            store(stored, pending, reader)
        assert (stored.facts, stored.points) == split(records)
        reader.close()
        journal.close()
        journal.release(remove=True)


def store(stored: Received, pending: list[Batch], reader: JournalReader) -> None:
    for batch in pending:
        stored.take(batch)
    write_committed(reader.folder, pending[-1].end)
    reader.release(pending[-1].end)
    pending.clear()


@given(records=appended, data=st.data(), batch=st.integers(1, 9))
def test_what_is_intact_of_a_damaged_journal_is_read_once_and_nothing_is_invented(
    records: list[Union[Point, TagsSet]], data: st.DataObject, batch: int
) -> None:
    with small_sizes(batch) as folder:
        journal = open_journal(folder)
        for record in records:
            append(journal, record)
        journal.close()
        facts, points = split(records)
        start = Position(data.draw(st.integers(0, len(facts))), data.draw(st.integers(0, len(points))))
        write_committed(journal.folder, start)
        path = data.draw(st.sampled_from(sorted(journal.folder.glob("*.segment"))))
        places = locate(path)
        before = path.read_bytes()
        after = damage(before, data)
        path.write_bytes(after)
        intact = {
            number: after[:HEADER_USED] == before[:HEADER_USED] and after[low:high] == before[low:high]
            for number, (low, high) in places.items()
        }

        reader = JournalReader(journal.folder, finished=True)
        received = Received()
        while (found := reader.read()) is not None:
            received.take(found)
        reader.close()
        journal.release(remove=True)

        assert received.facts.items() <= facts.items()
        assert received.points.items() <= points.items()
        stream = path.name.partition("-")[0]
        expected_facts = {number for number in facts if stream != "facts" or intact.get(number, True)}
        assert set(received.facts) == {number for number in expected_facts if number >= start.facts}
        expected_points = {number for number in points if stream != "points" or intact.get(number, True)}
        if stream == "index":
            # A series is defined by the index's record of the number before its own.
            expected_points = {number for number in points if intact.get(points[number][0] - 1, True)}
        assert set(received.points) == {number for number in expected_points if number >= start.points}
        hit = {number for number, is_intact in intact.items() if not is_intact}
        wanted = {"index": 0, "facts": start.facts, "points": start.points}[stream]
        if any(wanted <= number < max(places) and number + 1 not in hit for number in hit):
            assert reader.damage, "something is missing before what is intact, and nothing says so"


def locate(path: Path) -> dict[int, tuple[int, int]]:
    """Return where each record of a segment stands in its file."""
    view = SegmentView(path)
    places, low = {}, HEADER_SIZE
    if path.name.startswith("points"):
        for place in range(view.count_points(0)):
            places[view.base + place] = (low, low + POINT_SIZE)
            low += POINT_SIZE
    else:
        for payload, number, high in view.frames(HEADER_SIZE, finished=True):
            assert payload is not None
            padding = (high - low - len(payload)) % 8
            places[number] = (low, high - padding)
            low = high
    view.close()
    return places


def damage(content: bytes, data: st.DataObject) -> bytes:
    """Cut a file off, lose a stretch of it, or change some of its bytes."""
    kind = data.draw(st.sampled_from(["cut", "lose", "change"]))
    low = data.draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        return content[:low]
    if kind == "lose":
        high = data.draw(st.integers(low, len(content)))
        return content[:low] + bytes(high - low) + content[high:]
    changed = bytearray(content)
    # No two at the same place of both halves of a point, which would agree with each other.
    places = st.lists(st.integers(0, len(content) - 1), max_size=5, unique_by=lambda place: place % (POINT_SIZE // 2))
    for place in [low, *data.draw(places)]:
        if place % (POINT_SIZE // 2) != low % (POINT_SIZE // 2) or place == low:
            changed[place] ^= data.draw(st.integers(1, 255))
    return bytes(changed)
