"""A journal whose every record is known, ways to damage it, and what must then still be there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autolog.backend import Position
from autolog.backends import open_reader
from autolog.entities import RunStatus
from autolog.errors import NotFound
from autolog.events import ExperimentCreated, ParamsLogged, RunCreated, SeriesDefined, decode
from autolog.journal import Journal
from autolog.segments import HEADER_SIZE, POINT_MARK, POINT_SIZE, SegmentView, pack_point
from autolog.writer import Writer

KEYS: Final = ("loss", "accuracy", 'ключ, \n"1"')
RUN: Final = "victim"
PAGE: Final = 4096

# Where a record is: the file's name, and its first byte and the one after its last.
Place = tuple[str, int, int]


@dataclass
class KnownJournal:
    """A dead process's journal, and what its records say by their numbers."""

    folder: Path
    url: str
    committed: Position
    params: dict[int, tuple[str, str]] = field(default_factory=dict)
    points: dict[int, tuple[str, int, float]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    places: dict[tuple[str, int], Place] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)

    def is_hit(self, stream: str, number: int) -> bool:
        """Say whether a record is not in its file any more as it was, or its segment's header is not."""
        name, start, end = self.places[stream, number]
        path = self.folder / name
        content = path.read_bytes() if path.exists() else b""
        before = self.files[name]
        return content[:HEADER_SIZE] != before[:HEADER_SIZE] or content[start:end] != before[start:end]

    def is_visibly_hit(self, stream: str, number: int) -> bool:
        """Say whether something is left of a record that is hit, or its segment has been cut off."""
        name, start, end = self.places[stream, number]
        path = self.folder / name
        content = path.read_bytes() if path.exists() else b""
        header = content[:HEADER_SIZE]
        return (
            0 < len(content) < len(self.files[name])
            or bool(content[start:end].strip(b"\0"))
            or (header != self.files[name][:HEADER_SIZE] and bool(header.strip(b"\0")))
        )

    def is_stored(self, stream: str, number: int) -> bool:
        """Say whether a backend held a record before the damage."""
        return number < {"index": 0, "facts": self.committed.facts, "points": self.committed.points}[stream]


def make_journal(folder: Path, url: str, chance: random.Random) -> KnownJournal:
    """Fill a journal, of which a backend may hold a part already, as a process does that is then gone."""
    journal = Journal(folder / "spool", url)
    known = KnownJournal(journal.folder, url, Position())
    journal.append(ExperimentCreated(experiment_id="0", name="Default", time=1))
    journal.append(
        RunCreated(run_id=RUN, experiment_id="0", experiment_name="Default", run_name="n", start_time=1_700_000_000_000)
    )
    series = {}
    stored_after = chance.choice([None, chance.randrange(1, 6_000)])
    for number in range(6_000):
        key = chance.choice(KEYS)
        if key not in series:
            series[key] = journal.define_series(RUN, key)
            known.series[key] = len(series)
        if number % 40 == 0:
            known.params[journal.position().facts] = (f"p{number}", f"value {number} " + "x" * chance.randrange(20_000))
            journal.append(ParamsLogged(run_id=RUN, params=dict([known.params[journal.position().facts]])))
        known.points[number] = (key, number, chance.random())
        journal.append_point(
            pack_point(series[key] or 0, POINT_MARK, number, 1.7e9 + number, known.points[number][2]) * 2
        )
        if number == stored_after:
            writer = Writer(journal.folder, url)
            while writer.step():
                pass
            known.committed = writer.committed
            writer.close()
    journal.close()
    journal.release(remove=False)
    _remember(known)
    return known


def _remember(known: KnownJournal) -> None:
    defined = {}
    for path in known.folder.iterdir():
        if not path.is_file():
            continue
        known.files[path.name] = path.read_bytes()
        stream = path.name.partition("-")[0]
        if path.suffix != ".segment":
            continue
        view = SegmentView(path)
        if stream == "points":
            for place in range(min(view.capacity, len(known.points) - view.base)):
                start = HEADER_SIZE + place * POINT_SIZE
                known.places["points", view.base + place] = (path.name, start, start + POINT_SIZE)
        else:
            start = HEADER_SIZE
            for payload, number, end in view.frames(HEADER_SIZE, finished=False):
                known.places[stream, number] = (path.name, start, end)
                start = end
                fact = decode(payload or b"")
                if isinstance(fact, SeriesDefined):
                    defined[fact.key] = number
        view.close()
    known.series = defined


def damage(known: KnownJournal, chance: random.Random) -> str:
    """Damage a file of the journal as a power cut or a bad disk does; return in words how."""
    names = sorted(name for name in known.files if name != "alive" and (known.folder / name).exists())
    name = chance.choice(names)
    path = known.folder / name
    content = bytearray(path.read_bytes())
    kind = chance.choice(["cut", "flip", "flip", "page", "gone"])
    if kind == "gone":
        path.unlink(missing_ok=True)
    elif kind == "cut":
        path.write_bytes(content[: chance.randrange(len(content) or 1)])
    elif kind == "page":
        page = chance.randrange(len(content) // PAGE + 1) * PAGE
        content[page : page + PAGE] = bytes(len(content[page : page + PAGE]))
        path.write_bytes(content)
    else:
        for _ in range(chance.randrange(1, 9)):
            bit = chance.randrange(len(content) * 8 or 1)
            content[bit // 8 : bit // 8 + 1] = bytes(byte ^ 1 << bit % 8 for byte in content[bit // 8 : bit // 8 + 1])
        path.write_bytes(content)
    return f"{kind} {name}"


def is_damaged(known: KnownJournal) -> bool:
    """Say whether there is damage that can be seen: a record that is to be sent, or what is beside the segments.

    What never reached the disk at the end of a stream looks like the end of the stream.
    """
    for stream in ("index", "facts", "points"):
        numbers = [number for of, number in known.places if of == stream and not known.is_stored(stream, number)]
        hit = [number for number in numbers if known.is_hit(stream, number)]
        last_intact = max(set(numbers) - set(hit), default=-1)
        if any(number < last_intact or known.is_visibly_hit(stream, number) for number in hit):
            return True
    return any(
        not (known.folder / name).exists() or (known.folder / name).read_bytes() != content
        for name, content in known.files.items()
        if not name.endswith(".segment")
    )


@dataclass
class Expected:
    """What must be in the store after recovery; computed from the files before it."""

    has_run: bool
    params: dict[str, str]
    steps: set[int]


def expect(known: KnownJournal) -> Expected:
    """Return what of the journal is intact, and so must be stored."""
    has_run = known.committed.facts > 1 or not known.is_hit("facts", 1)
    named = {key for key, number in known.series.items() if not known.is_hit("index", number)}
    params = [
        param
        for number, param in known.params.items()
        if known.is_stored("facts", number) or not known.is_hit("facts", number)
    ]
    steps = {
        step
        for number, (key, step, _) in known.points.items()
        if known.is_stored("points", number) or (key in named and not known.is_hit("points", number))
    }
    return Expected(has_run, dict(params), steps)


def check_store(known: KnownJournal, expected: Expected) -> None:
    """Check that the store holds all that must be there, and nothing that was never recorded."""
    reader = open_reader(known.url)
    try:
        run = reader.get_run(RUN)
        histories = {key: reader.metric_history(RUN, key) for key in run.data.summaries}
    except NotFound:
        assert not expected.has_run
        return
    finally:
        reader.close()
    every = dict(known.params.values())
    assert run.info.run_name == "n"
    assert run.info.start_time == 1_700_000_000_000
    assert run.info.status in {RunStatus.KILLED, RunStatus.RUNNING}
    assert run.data.params.items() <= every.items()
    steps: list[int] = []
    for key, history in histories.items():
        for step, value, time in zip(history.steps.tolist(), history.values, history.timestamps.tolist(), strict=True):
            assert (key, step, value) == known.points[step]
            assert time == 1_700_000_000_000 + step * 1000
            steps.append(step)
    assert len(steps) == len(set(steps))
    assert set(run.data.tags) <= {"mlflow.runName"}
    if expected.has_run:
        assert expected.params.items() <= run.data.params.items()
        assert expected.steps <= set(steps)
