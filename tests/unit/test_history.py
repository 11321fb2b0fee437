"""Summaries can be merged in any order, and a thinned curve keeps its shape."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolog.errors import InvalidParameter
from autolog.history import make_history, merge_summaries, summarize, thin

values = st.sampled_from([0.0, 1.0, -1.5, math.nan, math.inf, -math.inf])
points = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2), values), min_size=1, max_size=8)


def columns(rows):
    steps, times, numbers = zip(*rows, strict=True)
    return np.array(steps, np.int64), np.array(times, np.int64), np.array(numbers, np.float64)


@given(points, points)
def test_the_merged_summary_is_that_of_all_points(one, other):
    whole = summarize(*columns(one + other))
    for merged in (
        merge_summaries(summarize(*columns(one)), summarize(*columns(other))),
        merge_summaries(summarize(*columns(other)), summarize(*columns(one))),
    ):
        assert str(merged) == str(whole)


@given(st.lists(values, max_size=200), st.integers(2, 50))
def test_a_thinned_curve_has_its_ends_and_its_extremes(numbers, max_points):
    numbers = np.array(numbers, np.float64)
    kept = thin(numbers, max_points)
    assert len(kept) <= max_points
    assert kept.tolist() == sorted(set(kept.tolist()))
    if len(numbers):
        assert kept[0] == 0
        assert kept[-1] == len(numbers) - 1
    if max_points >= 4 and not np.isnan(numbers).all():
        assert np.fmax.reduce(numbers[kept]) == np.fmax.reduce(numbers)
        assert np.fmin.reduce(numbers[kept]) == np.fmin.reduce(numbers)


def test_a_short_history_is_not_thinned():
    history = make_history("loss", *columns([(1, 0, 5.0), (0, 0, 4.0)]), max_points=2)
    assert history.steps.tolist() == [0, 1]
    assert [(metric.step, metric.value) for metric in history.metrics()] == [(0, 4.0), (1, 5.0)]


def test_fewer_points_than_two_ends_are_refused():
    with pytest.raises(InvalidParameter, match="max_points is 1"):
        thin(np.zeros(9), 1)
