"""Tests of metrics, and of what counts once however often it is written."""

# ruff: noqa: PLR2004 - tests assert, with figures, and their names say what

from __future__ import annotations

import contextlib
import math
import time
from typing import Final

import pytest

from autolog.backend import Backend, Reader
from autolog.backends import open_backend
from autolog.entities import RunStatus
from autolog.errors import NotFound
from autolog.events import ExperimentUpdated, InputsLogged, ParamsLogged, RunUpdated, TagsSet
from autolog.testing.backend_fixtures import TRAIN, BackendFixtures
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

INF: Final = math.inf
NAN: Final = math.nan


class MetricTests(BackendFixtures):
    """Metrics keep every point, and a summary of them."""

    def test_a_history_is_ordered_by_step_then_time_then_arrival(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        journal.write(backend, points={(run, "loss"): [(5, START, 1.0), (0, START + 9, 2.0), (5, START, 0.5)]})
        journal.write(backend, points={(run, "loss"): [(0, START + 3, 3.0), (-4, START, 4.0)]})
        history = reader.metric_history(run, "loss")
        assert history.steps.tolist() == [-4, 0, 0, 5, 5]
        assert history.timestamps.tolist() == [START, START + 3, START + 9, START, START]
        assert history.values.tolist() == [4.0, 3.0, 2.0, 1.0, 0.5]

    @pytest.mark.parametrize(
        ("points", "value", "least", "greatest"),
        [
            ([(0, START, 3.0), (9, START, 1.0), (9, START + 1, 2.0), (4, START + 5, 0.0)], 2.0, 0.0, 3.0),
            ([(0, START, 1.0), (0, START, 3.0), (0, START, 2.0)], 3.0, 1.0, 3.0),
            ([(0, START, NAN), (1, START, NAN)], NAN, NAN, NAN),
            ([(0, START, 1.0), (1, START, NAN)], NAN, 1.0, 1.0),
            ([(0, START, NAN), (1, START, INF), (2, START, -INF)], -INF, -INF, INF),
            ([(0, START, 5e-324), (1, START, 1.7976931348623157e308)], 1.7976931348623157e308, 5e-324, None),
            ([(2**62, START, 0.1 + 0.2), (-(2**62), START, 7.0)], 0.1 + 0.2, 0.1 + 0.2, 7.0),
        ],
    )
    @pytest.mark.parametrize("at_once", [True, False])
    def test_the_summary_is_that_of_all_points(
        self,
        backend: Backend,
        reader: Reader,
        journal: FakeJournal,
        run: str,
        points: list[tuple[int, int, float]],
        value: float,
        least: float,
        greatest: float | None,
        at_once: bool,
    ) -> None:
        for batch in [points] if at_once else [[point] for point in points]:
            journal.write(backend, points={(run, "loss"): batch})
        summary = reader.get_run(run).data.summaries["loss"]
        latest = max(points, key=lambda point: (point[0], point[1], point[2] == point[2], point[2]))
        assert (summary.step, summary.timestamp, summary.count) == (latest[0], latest[1], len(points))
        expected = (value, least, value if greatest is None else greatest)
        assert (summary.value, summary.min, summary.max) == pytest.approx(expected, nan_ok=True, rel=0, abs=0)
        history = reader.metric_history(run, "loss").values.tolist()
        assert sorted(map(str, history)) == sorted(str(point[2]) for point in points)

    def test_a_metric_that_a_run_has_not_has_an_empty_history(self, reader: Reader, run: str) -> None:
        assert len(reader.metric_history(run, "loss")) == 0
        assert reader.metric_history(run, "loss").metrics() == []
        with pytest.raises(NotFound, match="ghost"):
            reader.metric_history("ghost", "loss")

    def test_a_thinned_history_keeps_its_ends_and_its_peaks(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        values = [float(step % 7) for step in range(10_000)]
        values[1234], values[7777] = 1000.0, -1000.0
        journal.write(
            backend, points={(run, "loss"): [(step, START + step, value) for step, value in enumerate(values)]}
        )
        history = reader.metric_history(run, "loss", max_points=100)
        assert 50 <= len(history) <= 100
        steps = history.steps.tolist()
        assert steps == sorted(set(steps))
        assert {0, 1234, 7777, 9999} <= set(steps)
        assert history.values.tolist() == [values[step] for step in steps]
        assert len(reader.metric_history(run, "loss", max_points=10_000)) == 10_000


class ExactlyOnceTests(BackendFixtures):
    """What is written again does not count again."""

    def test_a_batch_that_is_written_twice_counts_once(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        batch = journal.write(
            backend,
            TagsSet(run_id=run, tags={"a": "1"}),
            InputsLogged(run_id=run, inputs=(TRAIN,)),
            points={(run, "loss"): [(0, START, 1.0), (1, START, 2.0)]},
        )
        before = reader.get_run(run)
        backend.write(batch)
        assert reader.get_run(run) == before
        assert len(reader.metric_history(run, "loss")) == 2

    def test_only_what_is_new_of_an_overlapping_batch_counts(
        self, url: str, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        again = FakeJournal(journal.name)
        again.position = journal.position
        journal.write(
            backend,
            TagsSet(run_id=run, tags={"a": "1"}),
            TagsSet(run_id=run, tags={"a": "2"}),
            points={(run, "loss"): [(0, START, 1.0), (1, START, 2.0)]},
        )
        # A new writer after a crash knows less than the store, and takes more at once.
        with contextlib.closing(open_backend(url)) as recovering:
            again.write(
                recovering,
                TagsSet(run_id=run, tags={"a": "1"}),
                TagsSet(run_id=run, tags={"a": "2"}),
                TagsSet(run_id=run, tags={"b": "1"}),
                points={(run, "loss"): [(0, START, 1.0), (1, START, 2.0), (2, START, 3.0)]},
            )
        assert reader.get_run(run).data.tags == {"a": "2", "b": "1"}
        assert reader.get_run(run).data.summaries["loss"].count == 3
        assert reader.metric_history(run, "loss").values.tolist() == [1.0, 2.0, 3.0]

    def test_an_old_update_that_is_written_again_undoes_nothing(
        self, backend: Backend, reader: Reader, journal: FakeJournal, other_journal: FakeJournal, run: str
    ) -> None:
        batch = journal.write(
            backend,
            ExperimentUpdated(experiment_id="0", time=START, tags={"a": "1"}),
            RunUpdated(run_id=run, status=RunStatus.FINISHED, end_time=START),
        )
        other_journal.write(
            backend,
            ExperimentUpdated(experiment_id="0", time=START + 1, tags={"a": "2"}),
            RunUpdated(run_id=run, status=RunStatus.FAILED, end_time=START + 1),
        )
        backend.write(batch)
        assert reader.get_experiment("0").tags == {"a": "2"}
        assert reader.get_run(run).info.status is RunStatus.FAILED

    def test_several_journals_add_to_one_run(
        self, url: str, backend: Backend, reader: Reader, journal: FakeJournal, other_journal: FakeJournal, run: str
    ) -> None:
        with contextlib.closing(open_backend(url)) as other_backend:
            for step in range(4):
                writer, target = (journal, backend) if step % 2 else (other_journal, other_backend)
                writer.write(
                    target,
                    experiment_created(),
                    run_created(run),
                    ParamsLogged(run_id=run, params={f"p{step}": writer.name}),
                    InputsLogged(run_id=run, inputs=(TRAIN,)),
                    points={(run, "loss"): [(step, START + step, float(step))], (run, f"m{step}"): [(0, START, 0.0)]},
                )
        found = reader.get_run(run)
        assert set(found.data.params) == {"p0", "p1", "p2", "p3"}
        assert found.inputs.dataset_inputs == (TRAIN,)
        assert reader.metric_history(run, "loss").values.tolist() == [0.0, 1.0, 2.0, 3.0]
        summary = found.data.summaries["loss"]
        assert (summary.value, summary.min, summary.max, summary.count) == (3.0, 0.0, 3.0, 4)

    def test_of_two_journals_the_later_change_counts(
        self, backend: Backend, reader: Reader, journal: FakeJournal, other_journal: FakeJournal, run: str
    ) -> None:
        for number in range(4):
            writer = journal if number % 2 else other_journal
            time.sleep(0.003)
            writer.write(
                backend,
                ParamsLogged(run_id=run, params={"p": str(number)}),
                TagsSet(run_id=run, tags={"t": None if number == 1 else str(number)}),
                RunUpdated(run_id=run, status=list(RunStatus)[number], run_name=f"name {number}"),
            )
            found = reader.get_run(run)
            assert found.data.params == {"p": str(number)}
            assert found.data.tags == ({} if number == 1 else {"t": str(number)})
            assert found.info.status is list(RunStatus)[number]
            assert found.info.run_name == f"name {number}"
