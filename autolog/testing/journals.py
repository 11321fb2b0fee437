"""Batches as the writer makes them, for suites that need no writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from autolog.backend import Backend, Batch, Points, Position
from autolog.events import ExperimentCreated, Fact, RunCreated

# A point without its key: step, time in milliseconds, value.
Point = tuple[int, int, float]

START: Final = 1_700_000_000_000


class FakeJournal:
    """Counts facts and points as a journal does, and puts them into batches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.position = Position()

    def batch(self, *facts: Fact, points: Mapping[tuple[str, str], Sequence[Point]] | None = None) -> Batch:
        """Return the next batch: facts, and points by run and metric."""
        number, place = self.position
        numbered = list(enumerate(facts, start=number))
        grouped = []
        for (run_id, key), rows in (points or {}).items():
            steps, times, values = zip(*rows, strict=True)
            numbers = np.arange(place, place + len(rows))
            place += len(rows)
            columns = np.array(steps, np.int64), np.array(times, np.int64), np.array(values, np.float64)
            grouped.append(Points(run_id, key, numbers, *columns))
        self.position = Position(number + len(facts), place)
        return Batch(self.name, self.position, numbered, grouped)

    def write(
        self, backend: Backend, *facts: Fact, points: Mapping[tuple[str, str], Sequence[Point]] | None = None
    ) -> Batch:
        """Write the next batch, and return it."""
        batch = self.batch(*facts, points=points)
        backend.write(batch)
        return batch


def experiment_created(name: str = "Default", experiment_id: str = "0", **changes: Any) -> ExperimentCreated:
    """Return the fact that an experiment is used."""
    return ExperimentCreated(**{"experiment_id": experiment_id, "name": name, "time": START, **changes})


def run_created(run_id: str = "run1", experiment: str = "Default", **changes: Any) -> RunCreated:
    """Return the fact that a run begins."""
    return RunCreated(
        **{
            "run_id": run_id,
            "experiment_id": "0",
            "experiment_name": experiment,
            "run_name": f"name of {run_id}",
            "start_time": START,
            **changes,
        }
    )
