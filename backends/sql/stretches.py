"""The extremes of a long metric, kept beside its points, so that a curve of it is drawn from few of them.

``metric_stretches`` has a row for some hundred points that follow one another: where the smallest and the largest are.
The rows of a metric leave no gap; only its newest points, a few thousand at most, may not be in any.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, select

from autolog.backends.sql.point_rows import PointColumns, fetch_points, fetch_points_at, join_points
from autolog.backends.sql.schema import metric_stretches, metric_summaries
from autolog.history import Floats, Integers, find_extremes, is_ordered

# Points of a stretch; the last one of a batch has up to twice as many.
LENGTH: Final = 256
# Fewer points than this in a batch wait for those that follow, unless as many as this many wait already.
_FEWEST: Final = 64
_MOST_WAITING: Final = 4096
# How many metrics, and how many stretches, one statement names.
_METRICS: Final = 1000
_ROWS: Final = 1000


@dataclass(frozen=True)
class Appended:
    """Points that have been appended to a metric.

    ``first`` is the ordinal of the first of them, ``latest`` the greatest step and time of those before, if any.
    """

    series: int
    first: int
    latest: tuple[int, int] | None
    points: PointColumns


def extend_stretches(connection: Connection, appended: Sequence[Appended]) -> None:
    """Bring the stretches of metrics up to date, where enough points have come together.

    Args:
        connection: within the transaction that has appended the points.
        appended: by series and ordinal, ascending.
    """
    due = [each for each in appended if _is_due(each.first, len(each.points.steps))]
    covered = _find_covered(connection, sorted({each.series for each in due}))
    rows: list[tuple[Any, ...]] = []
    for each in due:
        start = covered[each.series]
        points, first, latest = each.points, each.first, each.latest
        if start < first - 2 * _MOST_WAITING:
            # Most of its points are older than this table.
            continue
        if start < first:
            # The one before shows whether the order goes on.
            first = max(start - 1, 0)
            points = join_points([fetch_points(connection, each.series, first, each.first), points])
            latest = None
        ascending = is_ordered(points.steps, points.timestamps) and (
            latest is None or latest <= (int(points.steps[0]), int(points.timestamps[0]))
        )
        rows += _stretches(each.series, start, points.values[start - first :], ascending)
        covered[each.series] = each.first + len(each.points.steps)
    _insert(connection, rows)


def _is_due(first: int, count: int) -> bool:
    return count >= _FEWEST or first // _MOST_WAITING != (first + count) // _MOST_WAITING


def _find_covered(connection: Connection, series: Sequence[int]) -> dict[int, int]:
    """Return the ordinal at which the stretches of each metric end."""
    last = (
        select(metric_stretches.c.last)
        .where(metric_stretches.c.series == metric_summaries.c.id)
        .order_by(metric_stretches.c.last.desc())
        .limit(1)
        .scalar_subquery()
    )
    covered: dict[int, int] = {}
    for start in range(0, len(series), _METRICS):
        chosen = metric_summaries.c.id.in_(series[start : start + _METRICS])
        for found, ordinal in connection.execute(select(metric_summaries.c.id, last).where(chosen)):
            covered[found] = 0 if ordinal is None else ordinal + 1
    return covered


def _stretches(series: int, start: int, values: Floats, ascending: bool) -> list[tuple[Any, ...]]:
    """Return the rows for values that begin at an ordinal: stretches of one length, and another last one."""
    whole = max(len(values) // LENGTH - 1, 0) * LENGTH
    rows: list[tuple[Any, ...]] = []
    if whole:
        lowest, highest = find_extremes(values[:whole], LENGTH)
        columns = np.arange(LENGTH - 1, whole, LENGTH) + start, lowest + start, highest + start
        extremes = (map(_storable, values[places].tolist()) for places in (lowest, highest))
        numbers = (column.tolist() for column in columns)
        rows += [(series, *row, int(ascending)) for row in zip(*numbers, *extremes, strict=True)]
    rest = values[whole:]
    # Most metrics have one stretch in a batch; these two give NaN where there is any.
    low, high = int(rest.argmin()), int(rest.argmax())
    if np.isnan(rest[low]):
        low, high = (int(places[0]) for places in find_extremes(rest, len(rest)))
    place = start + whole
    last = start + len(values) - 1
    least, greatest = (_storable(float(rest[offset])) for offset in (low, high))
    rows.append((series, last, place + low, place + high, least, greatest, int(ascending)))
    return rows


def _storable(value: float) -> float | None:
    # NaN is NULL, as everywhere. Not every database knows infinity; the number is compared and never shown.
    return value if math.isfinite(value) else None if math.isnan(value) else math.copysign(sys.float_info.max, value)


def _insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    for start in range(0, len(rows), _ROWS):
        chosen = rows[start : start + _ROWS]
        places = ",".join([f"({','.join([mark] * len(metric_stretches.c))})"] * len(chosen))
        connection.exec_driver_sql(
            f"INSERT INTO metric_stretches VALUES {places}",  # noqa: S608 - marks are all that enters
            tuple(chain.from_iterable(chosen)),
        )


def fetch_thinned(connection: Connection, series: int, count: int, max_points: int) -> PointColumns | None:
    """Return both ends of a metric, and the extremes of what is between, in the order of a history.

    Args:
        connection: to the store.
        series: the metric.
        count: how many points it has.
        max_points: how many to return at most.

    Returns:
        The points; None where they are to be chosen from all of them: the stretches are too long for a curve
        of so many points, or the points were not logged in the order of their steps.
    """
    curves = (max_points - 2) // 2
    if max_points < 2 or count < max(curves, 1) * LENGTH:  # noqa: PLR2004 - the two ends
        return None
    table = metric_stretches.c
    statement = select(table.last, table.lowest, table.highest, table.min, table.max, table.ascending)
    rows = connection.execute(statement.where(table.series == series, table.last < count).order_by(table.last)).all()
    if not rows or not all(row[-1] for row in rows):
        return None
    lasts, lowest, highest = (np.array(column, np.int64) for column in list(zip(*rows, strict=True))[:3])
    least, greatest = (np.array(column, np.float64) for column in list(zip(*rows, strict=True))[3:5])
    covered = int(lasts[-1]) + 1
    tail = fetch_points(connection, series, covered - 1, count)
    if not is_ordered(tail.steps, tail.timestamps):
        return None
    # Each of the newest points is a stretch of its own.
    newest = np.arange(covered, covered + len(tail.steps) - 1)
    starts = np.concatenate([[0], lasts[:-1] + 1, newest])
    ends = np.array([0, count - 1])
    if curves == 0:
        return fetch_points_at(connection, series, ends)
    groups = starts * curves // count
    chosen = np.concatenate(
        [
            ends,
            np.concatenate([lowest, newest])[_first_least(groups, np.concatenate([least, tail.values[1:]]))],
            np.concatenate([highest, newest])[_first_least(groups, -np.concatenate([greatest, tail.values[1:]]))],
        ]
    )
    return fetch_points_at(connection, series, np.unique(chosen))


def _first_least(groups: Integers, values: Floats) -> Integers:
    """Return the place of the first of the smallest values in each group; NaN is the greatest."""
    order = np.lexsort((values, groups))
    return order[np.unique(groups[order], return_index=True)[1]]
