"""One run in a store's folder, as one journal adds to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from autolog.backend import Points, Position
from autolog.backends.file.atomic import replace_file
from autolog.backends.file.layout import (
    RUN_FILE,
    JournalMark,
    RunFile,
    decode,
    encode,
    is_run_file,
    metrics_file_name,
    run_file_name,
)
from autolog.backends.file.points import append_points, encode_points
from autolog.backends.file.run_record import STATE, unite_inputs
from autolog.entities import Artifact
from autolog.errors import StoreCorrupted
from autolog.events import Fact, InputsLogged, ParamsLogged, RunUpdated, TagsSet
from autolog.history import merge_summaries, summarize


class RunWriter:
    """Adds what one journal says to one run.

    Changes are made in memory and stored by ``commit``; where that fails, a new RunWriter begins from the files.

    Args:
        folder: the run's, which has a ``run.json``.
        journal: the journal's id.

    Raises:
        StoreCorrupted: a file of the run cannot be read.
    """

    def __init__(self, folder: Path, journal: str) -> None:
        self._folder = folder
        self._path = folder / RUN_FILE
        self._file = decode(self._path, self._path.read_bytes(), RunFile)
        self._owned = self._file.journal.id == journal
        self._earliest = 0
        if not self._owned:
            self._path = folder / run_file_name(journal)
            try:
                self._file = decode(self._path, self._path.read_bytes(), RunFile)
            except FileNotFoundError:
                self._file = RunFile(run_id=self._file.run_id, journal=JournalMark(journal))
                # What comes now is later than what is there, also where a clock has been set back.
                self._earliest = 1 + max((self._latest_change(path) for path in self._run_files()), default=0)
        self._earliest = max((self._earliest, *self._file.times.values()))
        self._lines: list[str] = []
        self._changed = False
        self._ended = False
        self._shared: bool | None = None

    def exists(self) -> bool:
        """Say whether the run is still there."""
        return (self._folder / RUN_FILE).exists()

    def apply(self, number: int, fact: Fact) -> None:
        """Apply a fact about the run, unless it has been before."""
        if number < self._file.journal.facts:
            return
        self._changed = True
        if isinstance(fact, RunUpdated):
            self._update(fact)
        elif isinstance(fact, ParamsLogged):
            self._file.params.update(fact.params)
            self._note("params", fact.params)
        elif isinstance(fact, TagsSet):
            self._set_tags(fact)
        elif isinstance(fact, InputsLogged):
            self._file.inputs = unite_inputs(self._file.inputs, fact.inputs)

    def add_points(self, points: Points) -> None:
        """Add the points that have not been added before."""
        points = points.beyond(self._file.journal.points)
        if not len(points.numbers):
            return
        summary = summarize(points.steps, points.timestamps, points.values)
        known = self._file.metrics.get(points.key)
        self._file.metrics[points.key] = merge_summaries(known, summary) if known else summary
        self._lines.append(encode_points(points))
        self._changed = True

    def add_artifacts(self, artifacts: Sequence[Artifact]) -> None:
        """Note stored files."""
        known = {artifact.path: artifact for artifact in (*self._file.artifacts, *artifacts)}
        self._file.artifacts = list(known.values())
        self._note("artifacts", {artifact.path for artifact in artifacts})
        self._changed = True

    @property
    def has_ended(self) -> bool:
        """Whether the run ends with the changes that are to be stored."""
        return self._ended

    def commit(self, end: Position | None = None, *, durable: bool = False) -> None:
        """Store the changes, and that the journal has been used up to a position.

        The points come first: those that the run file does not count are as if they were not there.

        Args:
            end: the position.
            durable: whether the disk is waited for.

        Raises:
            OSError: the files cannot be written.
        """
        if not self._changed:
            return
        mark = self._file.journal
        if self._lines:
            path = self._folder / metrics_file_name(self._path.name)
            mark.metrics_bytes = append_points(path, mark.metrics_bytes, "".join(self._lines), durable=durable)
        if end is not None:
            mark.facts, mark.points = max(mark.facts, end.facts), max(mark.points, end.points)
        replace_file(self._path, encode(self._file), durable=durable)
        self._lines.clear()
        self._changed = self._ended = False
        self._shared = None

    def _update(self, fact: RunUpdated) -> None:
        file = self._file
        changed = {name for name in STATE if getattr(fact, name) is not None}
        for name in changed:
            setattr(file, name, getattr(fact, name))
        if fact.reopen and fact.end_time is None:
            file.end_time = None
            changed.add("end_time")
        self._ended = self._ended or (fact.status is not None and fact.status.is_terminated)
        self._note("", changed)

    def _set_tags(self, fact: TagsSet) -> None:
        tags = self._file.tags
        tags.update(fact.tags)
        self._note("tags", fact.tags)
        if not self._is_shared:
            for key in [key for key, value in tags.items() if value is None]:
                del tags[key]

    @property
    def _is_shared(self) -> bool:
        """Whether another journal writes to the run too, so that it matters which change is later."""
        if self._shared is None:
            self._shared = not self._owned or any(path != self._path for path in self._run_files())
        return self._shared

    def _run_files(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if is_run_file(path.name))

    @staticmethod
    def _latest_change(path: Path) -> int:
        try:
            return max(decode(path, path.read_bytes(), RunFile).times.values(), default=0)
        except (FileNotFoundError, StoreCorrupted):
            return 0

    def _note(self, section: str, keys: Iterable[str]) -> None:
        if self._is_shared:
            now = self._earliest = max(time.time_ns() // 1_000_000, self._earliest)
            self._file.times.update({f"{section}.{key}" if section else key: now for key in keys})
