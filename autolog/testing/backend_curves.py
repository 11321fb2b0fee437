"""Tests of histories as they are drawn: however the points arrived, few of them show the shape of all."""

# ruff: noqa: PLR2004 - tests assert, with figures, and their names say what

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pytest

from autolog.backend import Backend, History, Reader
from autolog.backends import open_backend
from autolog.errors import InvalidParameter
from autolog.testing.backend_fixtures import BackendFixtures
from autolog.testing.journals import START, FakeJournal, Point, experiment_created, run_created

Batches = Iterator[Sequence[Point]]

# Names that a format of text or a statement might trip over.
_ODD_KEYS: Final = ('a,b"c', "a\nb\\n\r", " ", "ü 😀", "%s' OR 1=1 --", "x" * 300, ":name", "1,2,loss,3")


def _point(step: int, value: float) -> Point:
    return step, START + step, value


def _waves(sizes: Sequence[int], first: int = 0) -> Batches:
    """Batches of a curve with lone peaks, a point a step."""
    numbers = np.random.default_rng(0)
    for size in sizes:
        values = np.sin(np.arange(first, first + size) / 500) + (numbers.random(size) < 0.001) * 9
        yield [_point(step, value) for step, value in enumerate(values.tolist(), first)]
        first += size


def _special(sizes: Sequence[int]) -> Batches:
    """Batches with stretches of NaN, infinities, and a long plateau."""
    first = 0
    for size in sizes:
        values = [math.nan if step // 700 % 3 == 1 else float(step // 900) for step in range(first, first + size)]
        values[size // 2], values[size // 3] = math.inf, -math.inf
        yield [_point(step, value) for step, value in enumerate(values, first)]
        first += size


def _repeated(sizes: Sequence[int]) -> Batches:
    """Batches that each begin some steps before the last one ended, as a resumed run's do."""
    first = 0
    for size in sizes:
        yield from _waves([size], first)
        first += size - 30


def _shuffled(sizes: Sequence[int]) -> Batches:
    numbers = np.random.default_rng(1)
    for batch in _waves(sizes):
        yield [batch[place] for place in numbers.permutation(len(batch)).tolist()]


def _at_one_step(sizes: Sequence[int]) -> Batches:
    for batch in _waves(sizes):
        yield [(0, START, value) for _, _, value in batch]


_LARGE: Final = (7_000, 1_500)
_MIXED: Final = (10, 3_000, 1, 63, 900, 64, 255, 2_000, 5)
_SMALL: Final = (37,) * 150
_LATE: Final = (4_095, 1, 60, 4_000, 50, 2)


class CurveTests(BackendFixtures):
    """A thinned history consists of points of the whole one: its ends, and the extremes of every stretch."""

    @pytest.mark.parametrize("sizes", [_LARGE, _MIXED, _SMALL, _LATE], ids=["large", "mixed", "small", "late"])
    @pytest.mark.parametrize("curve", [_waves, _special, _repeated, _shuffled, _at_one_step])
    def test_a_thinned_history_shows_the_shape_of_the_whole(
        self,
        backend: Backend,
        reader: Reader,
        journal: FakeJournal,
        run: str,
        curve: Callable[[Sequence[int]], Batches],
        sizes: Sequence[int],
    ) -> None:
        written: list[Point] = []
        for batch in curve(sizes):
            journal.write(backend, points={(run, "loss"): batch, (run, "other"): batch[:1]})
            written += batch
        whole = reader.metric_history(run, "loss")
        written.sort(key=lambda point: point[:2])
        assert list(map(str, _points(whole))) == list(map(str, written))
        for max_points in (2, 3, 4, 5, 12, 20, 300, len(whole) - 1, len(whole), len(whole) + 1):
            _check_thinned(whole, reader.metric_history(run, "loss", max_points), max_points)

    @pytest.mark.parametrize("count", [1, 2, 3, 4])
    def test_a_short_history_is_returned_whole(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str, count: int
    ) -> None:
        journal.write(backend, points={(run, "loss"): [_point(step, math.nan) for step in range(count)]})
        for max_points in (count, count + 1, 1000):
            if max_points >= 2:
                assert reader.metric_history(run, "loss", max_points).steps.tolist() == list(range(count))
        if count > 2:
            assert reader.metric_history(run, "loss", 2).steps.tolist() == [0, count - 1]
        assert len(reader.metric_history(run, "nothing", 2)) == 0

    def test_fewer_points_than_two_ends_are_refused(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        for batch in _waves([3_000]):
            journal.write(backend, points={(run, "loss"): batch})
        for max_points in (1, 0, -1):
            with pytest.raises(InvalidParameter, match="2 ends"):
                reader.metric_history(run, "loss", max_points)

    def test_metrics_of_odd_names_keep_their_points_apart(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        for batch in _waves([1_000, 2_000]):
            rows = {
                (run, key): [(step, time, value + place) for step, time, value in batch]
                for place, key in enumerate(_ODD_KEYS)
            }
            journal.write(backend, points=rows)
        written = [point for batch in _waves([1_000, 2_000]) for point in batch]
        for place, key in enumerate(_ODD_KEYS):
            whole = reader.metric_history(run, key)
            assert whole.key == key
            assert _points(whole) == [(step, time, value + place) for step, time, value in written]
            _check_thinned(whole, reader.metric_history(run, key, 20), 20)

    def test_several_journals_add_to_one_long_history(
        self, url: str, backend: Backend, reader: Reader, journal: FakeJournal, other_journal: FakeJournal, run: str
    ) -> None:
        written: list[Point] = []
        with contextlib.closing(open_backend(url)) as other_backend:
            other_journal.write(other_backend, experiment_created(), run_created(run))
            for number, batch in enumerate(_waves([500, 40, 2_000, 3_000, 20])):
                writer, target = (journal, backend) if number % 2 else (other_journal, other_backend)
                writer.write(target, points={(run, "loss"): batch})
                written += batch
        whole = reader.metric_history(run, "loss")
        assert _points(whole) == written
        _check_thinned(whole, reader.metric_history(run, "loss", 20), 20)

    def test_a_history_grows_between_two_readings(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        count = 0
        for batch in _waves([3_000, 1, 2_000, 30]):
            journal.write(backend, points={(run, "loss"): batch})
            count += len(batch)
            whole = reader.metric_history(run, "loss")
            assert len(whole) == count
            _check_thinned(whole, reader.metric_history(run, "loss", 16), 16)


def _points(history: History) -> list[Point]:
    return list(zip(history.steps.tolist(), history.timestamps.tolist(), history.values.tolist(), strict=True))


def _check_thinned(whole: History, thinned: History, max_points: int) -> None:
    """Hold a thinned history to what ``Reader.metric_history`` promises of it."""
    count = len(whole)
    if max_points >= count:
        assert list(map(str, _points(thinned))) == list(map(str, _points(whole)))
        return
    assert 2 <= len(thinned) <= max_points
    places = _find_places(_points(whole), _points(thinned))
    assert (places[0], places[-1]) == (0, count - 1)
    if max_points < 4:
        return
    # Every peak of the whole has one as high near it.
    stretch = 2 * math.ceil(count / ((max_points - 2) // 2)) + 1
    for sign in (1, -1):
        all_values, kept_values = whole.values * sign, thinned.values * sign
        for start in range(0, count, stretch):
            peak = np.fmax.reduce(all_values[start : start + stretch])
            near = (places >= start - stretch) & (places < start + 2 * stretch)
            assert math.isnan(peak) or np.fmax.reduce(kept_values[near]) >= peak


def _find_places(whole: Sequence[Point], chosen: Sequence[Point]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return where the chosen points stand among all; fails where one of them is none, or out of order."""
    places = []
    place = -1
    for point in chosen[:-1]:
        place = next(at for at in range(place + 1, len(whole)) if str(whole[at]) == str(point))
        places.append(place)
    assert str(chosen[-1]) == str(whole[-1])
    return np.array([*places, len(whole) - 1], np.int64)
