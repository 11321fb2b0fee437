"""The journal holds what is appended, in any order of threads, across segments, and says what is damaged."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolog import journal as journal_module
from autolog import segments
from autolog.backend import Batch, Position
from autolog.committed import read_committed, write_committed
from autolog.entities import RunStatus
from autolog.errors import JournalError
from autolog.events import ArtifactLogged, ParamsLogged, RunCreated, RunUpdated, TagsSet
from autolog.journal import Journal, read_info
from autolog.journal_reader import JournalReader
from autolog.segments import HEADER_SIZE, POINT_MARK, POINT_SIZE, pack_point


def open_journal(folder: Path, limit: int = 1 << 30) -> Journal:
    return Journal(folder / "spool", "file:/nowhere", limit)


def point(series: int, step: int, value: float, seconds: float = 1.5) -> bytes:
    return pack_point(series, POINT_MARK, step, seconds, value) * 2


def append_point(journal: Journal, record: bytes) -> None:
    try:
        journal.write_point(record)
    except ValueError:
        journal.append_point(record)


def read_all(folder: Path, *, finished: bool = False) -> tuple[list[Batch], JournalReader]:
    reader = JournalReader(folder, finished=finished)
    batches = []
    while (batch := reader.read()) is not None:
        batches.append(batch)
    return batches, reader


def facts_of(batches: list[Batch]) -> list[object]:
    return [fact for batch in batches for _, fact in batch.facts]


def steps_of(batches: list[Batch]) -> list[int]:
    return [step for batch in batches for points in batch.points for step in points.steps.tolist()]


def test_facts_and_points_come_back_as_they_were(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    created = RunCreated(run_id="r", experiment_id="0", experiment_name="Default", run_name="n", start_time=5)
    journal.append(created)
    journal.append(ParamsLogged(run_id="r", params={"ключ/ 1": "x" * 3_000_000}))
    series = journal.define_series("r", "loss")
    for step, value in enumerate([0.5, math.nan, math.inf, -math.inf, -0.0]):
        append_point(journal, point(series, step, value))
    batches, reader = read_all(journal.folder)
    assert facts_of(batches) == [created, ParamsLogged(run_id="r", params={"ключ/ 1": "x" * 3_000_000})]
    (points,) = batches[-1].points
    assert (points.run_id, points.key) == ("r", "loss")
    assert points.steps.tolist() == [0, 1, 2, 3, 4]
    assert points.timestamps.tolist() == [1500] * 5
    np.testing.assert_array_equal(points.values, [0.5, math.nan, math.inf, -math.inf, -0.0])
    assert reader.position == journal.position() == Position(2, 5)


def test_points_of_several_threads_are_all_there_across_segments(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    each = 40_000

    def append(series: int) -> None:
        for step in range(each):
            append_point(journal, point(series, step, 1.0))

    names = [journal.define_series("r", f"m{number}") for number in range(4)]
    threads = [threading.Thread(target=append, args=(series,)) for series in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches, _ = read_all(journal.folder)
    steps: dict[str, list[int]] = {}
    for batch in batches:
        for points in batch.points:
            steps.setdefault(points.key, []).extend(points.steps.tolist())
    assert all(steps[f"m{number}"] == list(range(each)) for number in range(4))
    assert len(list(journal.folder.glob("points-*"))) > 1


def test_a_reader_follows_a_journal_that_grows_and_releases_what_is_stored(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    series = journal.define_series("r", "loss")
    reader = JournalReader(journal.folder)
    seen = []
    for step in range(20_000):
        append_point(journal, point(series, step, 0.0))
        if step % 3_000 == 0:
            journal.append(TagsSet(run_id="r", tags={"step": str(step) + "x" * 200_000}))
            while (batch := reader.read()) is not None:
                seen.append(batch)
                reader.release(batch.end)
    while (batch := reader.read()) is not None:
        seen.append(batch)
        reader.release(batch.end)
    assert steps_of(seen) == list(range(20_000))
    assert len(facts_of(seen)) == 7
    assert len(list(journal.folder.glob("points-*"))) == 1
    assert len(list(journal.folder.glob("facts-*"))) == 1


def test_reading_starts_where_a_backend_has_got_to(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    series = journal.define_series("r", "loss")
    for step in range(10):
        journal.append(TagsSet(run_id="r", tags={"t": str(step)}))
        append_point(journal, point(series, step, 0.0))
    write_committed(journal.folder, Position(4, 7))
    assert read_committed(journal.folder) == Position(4, 7)
    batches, _ = read_all(journal.folder)
    assert [number for batch in batches for number, _ in batch.facts] == [4, 5, 6, 7, 8, 9]
    assert steps_of(batches) == [7, 8, 9]
    assert [points.numbers.tolist() for points in batches[-1].points] == [[7, 8, 9]]


def test_the_runs_that_are_open_are_known_when_their_facts_are_gone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for run in ("a", "b", "c"):
        journal.append(RunCreated(run_id=run, experiment_id="0", experiment_name="D", run_name=run, start_time=0))
    journal.append(RunUpdated(run_id="b", status=RunStatus.FINISHED, end_time=1))
    journal.append(RunUpdated(run_id="a", run_name="renamed"))
    journal.append(RunUpdated(run_id="b", status=RunStatus.RUNNING, reopen=True))
    journal.append(RunUpdated(run_id="c", status=RunStatus.FAILED, end_time=1))
    write_committed(journal.folder, journal.position())
    _, reader = read_all(journal.folder)
    assert sorted(reader.open_runs) == ["a", "b"]


def test_a_torn_fact_at_the_end_is_reported_and_what_is_before_it_is_read(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for step in range(3):
        journal.append(TagsSet(run_id="r", tags={"t": str(step)}))
    (path,) = journal.folder.glob("facts-*")
    content = bytearray(path.read_bytes())
    last = bytes(content).rindex(b"\xa1t\xa12")
    content[last + 3] ^= 0x01
    path.write_bytes(content)
    batches, reader = read_all(journal.folder, finished=True)
    assert facts_of(batches) == [TagsSet(run_id="r", tags={"t": "0"}), TagsSet(run_id="r", tags={"t": "1"})]
    assert len(reader.damage) == 1
    assert "damaged" in reader.damage[0]


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.integers(0, 50 * POINT_SIZE * 8 - 1), min_size=1, max_size=20, unique=True))
def test_flipped_bits_never_invent_a_point(tmp_path_factory: pytest.TempPathFactory, flips: list[int]) -> None:
    journal = open_journal(tmp_path_factory.mktemp("flips"))
    series = journal.define_series("r", "loss")
    for step in range(50):
        append_point(journal, point(series, step, step * 0.25, seconds=1_700_000_000.0 + step))
    (path,) = journal.folder.glob("points-*")
    content = bytearray(path.read_bytes())
    for flip in flips:
        content[HEADER_SIZE + flip // 8] ^= 1 << (flip % 8)
    hit = {flip // 8 // POINT_SIZE for flip in flips}
    # Two flips at the same place of both copies would agree with each other: physics, not a bug.
    twins = {(flip // 8 // POINT_SIZE, flip % (POINT_SIZE * 4)) for flip in flips}
    if len(twins) < len(flips):
        return
    path.write_bytes(content)
    batches, reader = read_all(journal.folder, finished=True)
    kept = [step for step in range(50) if step not in hit]
    assert steps_of(batches) == kept
    assert [value for batch in batches for points in batch.points for value in points.values] == [
        step * 0.25 for step in kept
    ]
    assert reader.damage


@pytest.mark.parametrize("size", [10, HEADER_SIZE, HEADER_SIZE + 7 * POINT_SIZE + 13])
def test_a_segment_that_is_cut_off_gives_what_is_left_of_it(tmp_path: Path, size: int) -> None:
    journal = open_journal(tmp_path)
    series = journal.define_series("r", "loss")
    for step in range(50):
        append_point(journal, point(series, step, 1.0))
    (path,) = journal.folder.glob("points-*")
    os.truncate(path, size)
    batches, reader = read_all(journal.folder, finished=True)
    assert steps_of(batches) == list(range(max(0, (size - HEADER_SIZE) // POINT_SIZE)))
    assert reader.damage


@pytest.mark.parametrize("size", [0, 10, HEADER_SIZE + 7 * POINT_SIZE])
def test_a_segment_whose_process_ended_while_it_was_made_is_no_damage(tmp_path: Path, size: int) -> None:
    journal = open_journal(tmp_path)
    series = journal.define_series("r", "loss")
    append_point(journal, point(series, 1, 1.0))
    for stream in ("points", "facts", "index"):
        (journal.folder / f"{stream}-00000002.segment").write_bytes(bytes(size))
    batches, reader = read_all(journal.folder, finished=True)
    assert steps_of(batches) == [1]
    assert reader.damage == []


def test_what_the_spool_does_not_take_waits_in_memory_and_goes_to_disk_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = open_journal(tmp_path, limit=2 << 20)
    series = journal.define_series("r", "loss")
    for step in range(100_000):
        append_point(journal, point(series, step, 1.0))
        if step % 1000 == 0:
            journal.append(TagsSet(run_id="r", tags={"t": "x" * 20_000 + str(step)}))
    assert (journal.dropped, journal.position()) == (0, Position(100, 100_000))
    assert len([record for record in caplog.records if "wait in memory" in record.message]) == 1
    batches, reader = read_all(journal.folder)
    assert 0 < len(steps_of(batches)) < 100_000
    journal._limit = 1 << 30
    deadline = time.monotonic() + 60
    while reader.position != journal.position():
        assert time.monotonic() < deadline, "it does not reach the disk"
        if (batch := reader.read()) is not None:
            batches.append(batch)
    append_point(journal, point(series, 100_000, 1.0))
    batches.append(reader.read())
    assert steps_of(batches) == list(range(100_001))
    assert len(facts_of(batches)) == 100
    assert reader.damage == []


def test_what_memory_does_not_take_either_is_counted_and_the_caller_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_MOST_HELD", 1 << 20)
    journal = open_journal(tmp_path, limit=2 << 20)
    series = journal.define_series("r", "loss")
    for step in range(100_000):
        append_point(journal, point(series, step, 1.0))
    assert journal.dropped > 0
    assert journal.position().points + journal.dropped == 100_000
    end = journal.close()
    assert end.points + journal.dropped == 100_000
    batches, reader = read_all(journal.folder, finished=True)
    assert steps_of(batches) == list(range(end.points))
    assert reader.damage == []


def test_threads_lose_no_point_while_what_waits_in_memory_goes_to_disk(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, limit=2 << 20)
    series = [journal.define_series("r", f"m{number}") for number in range(4)]

    def log(number: int) -> None:
        for step in range(60_000):
            append_point(journal, point(series[number], step, 1.0))

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    journal._limit = 1 << 30
    for thread in threads:
        thread.join()
    assert journal.dropped == 0
    end = journal.close()
    assert end.points == 240_000
    batches, reader = read_all(journal.folder, finished=True)
    assert reader.damage == []
    assert sorted(steps_of(batches)) == sorted(list(range(60_000)) * 4)


def test_a_spool_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(JournalError, match="AUTOLOG_SPOOL"):
        open_journal(tmp_path)


def test_a_journal_of_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FORMAT", 99)
    journal = open_journal(tmp_path)
    monkeypatch.undo()
    _, reader = read_all(journal.folder, finished=True)
    assert reader.damage
    assert all("newer autolog" in text for text in reader.damage)


def test_the_journal_says_whose_it_is(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    info = read_info(journal.folder)
    assert (info.journal, info.backend, info.pid) == (journal.id, "file:/nowhere", os.getpid())
    assert journal.folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_lost_page_in_the_facts_costs_the_records_on_it_and_no_others(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for step in range(400):
        journal.append(TagsSet(run_id="r", tags={"step": f"{step:08d}"}))
    (path,) = journal.folder.glob("facts-*")
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)
    batches, reader = read_all(journal.folder, finished=True)
    steps = [int(fact.tags["step"] or "") for fact in facts_of(batches) if isinstance(fact, TagsSet)]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[-1] == 399
    assert 200 < len(steps) < 400
    assert reader.damage


def test_the_numbers_of_facts_are_right_when_threads_append_across_segments(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)

    def append() -> None:
        for _ in range(300):
            journal.append(TagsSet(run_id="r", tags={"text": "x" * 1000}))

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    segments_seen = sorted(journal.folder.glob("facts-*"))
    assert len(segments_seen) > 2
    counted = 0
    for path in segments_seen:
        view = segments.SegmentView(path)
        assert view.base == counted
        counted += sum(1 for _ in view.frames(HEADER_SIZE, finished=False))
        view.close()
    assert counted == journal.position().facts == 2400


def test_a_metric_whose_name_has_no_room_gets_no_number_that_nobody_could_read(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, limit=2 << 20)
    named = 0
    while (series := journal.define_series("r", f"{named}" + "m" * 10_000)) is not None:
        append_point(journal, point(series, named, 1.0))
        named += 1
    assert journal.dropped == 1
    journal.close()
    batches, reader = read_all(journal.folder, finished=True)
    assert sorted(steps_of(batches)) == list(range(named))
    assert reader.damage == []


def test_what_a_backend_is_known_to_hold_is_not_believed_where_the_note_of_it_is_damaged(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for step in range(5):
        journal.append(TagsSet(run_id="r", tags={"t": str(step)}))
    write_committed(journal.folder, Position(4, 0))
    note = journal.folder / "committed"
    note.write_bytes(bytes([note.read_bytes()[0] ^ 64]) + note.read_bytes()[1:])
    batches, reader = read_all(journal.folder, finished=True)
    assert len(facts_of(batches)) == 5
    assert "committed is damaged" in reader.damage[0]


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        b"\x83\xa4type\xa7TagsSet\xa6run_id\xa1r\xa4tags\x81\xa1a\xa1\xff",
        b"\x84\xa4type\xa7TagsSet\xa6run_id\xa1r\xa4tags\x80\xa1z" + b"\x91" * 100_000 + b"\xc0",
    ],
    ids=["no MessagePack", "a text that is no UTF-8", "lists in lists in lists"],
)
def test_a_fact_that_cannot_be_understood_is_reported_and_the_next_is_read(tmp_path: Path, payload: bytes) -> None:
    journal = open_journal(tmp_path)
    journal._append_frame("facts", payload)
    journal.append(TagsSet(run_id="r", tags={"t": "1"}))
    batches, reader = read_all(journal.folder)
    assert facts_of(batches) == [TagsSet(run_id="r", tags={"t": "1"})]
    assert [number for batch in batches for number, _ in batch.facts] == [1]
    (damage,) = reader.damage
    assert "record 0 of facts is not understood" in damage


def test_a_batch_of_large_facts_is_no_larger_than_memory_should_hold(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    content = os.urandom(1 << 19)
    for number in range(100):
        journal.append(ArtifactLogged(run_id="r", path=str(number), content=content))
    series = journal.define_series("r", "loss")
    assert series is not None
    append_point(journal, point(series, 0, 1.0))
    batches, _ = read_all(journal.folder)
    assert max(len(batch.facts) for batch in batches) == 64
    assert [fact.path for fact in facts_of(batches) if isinstance(fact, ArtifactLogged)] == list(map(str, range(100)))
    # A point is not read before every fact that was recorded before it.
    assert [len(batch.points) for batch in batches] == [0, 1]
