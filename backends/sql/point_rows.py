"""Reading points as columns, past SQLAlchemy's rows: a million objects cost ten times what their bytes do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from autolog.backends.sql.schema import INFINITY_SUFFIX, metrics
from autolog.history import Floats, Integers

# How many points a server packs into one reply, which bounds the memory that it takes on both sides.
_PORTION: Final = 100_000
# The bytes of the longest number, and of the comma after it.
_DIGITS: Final = 25
# How many ordinals one statement names.
_ORDINALS: Final = 1000

_ROW: Final = np.dtype([("step", np.int64), ("timestamp", np.int64), ("value", np.float64)])


class PointColumns(NamedTuple):
    """Points in the order in which they were logged, as arrays of shape (n,)."""

    steps: Integers
    timestamps: Integers
    values: Floats


def join_points(parts: Sequence[PointColumns]) -> PointColumns:
    """Return the points of all parts, one after the other."""
    return PointColumns(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.timestamps for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def fetch_points(connection: Connection, series: int, first: int, end: int) -> PointColumns:
    """Return the points of a metric from one ordinal up to another."""
    if connection.dialect.name == "sqlite":
        return _fetch_from_sqlite(connection, series, first, end)
    fetch = _fetch_from_postgresql if connection.dialect.name == "postgresql" else _fetch_from_mariadb
    found = [_as_columns(np.empty(0, _ROW))]
    for start in range(first, end, _PORTION):
        ordinals, *columns = fetch(connection, series, start, min(start + _PORTION, end))
        points = PointColumns(*columns)
        if not (ordinals[:-1] < ordinals[1:]).all():
            # No server promises an order of what it aggregates; each keeps that of the index.
            order = np.argsort(ordinals)
            points = PointColumns(points.steps[order], points.timestamps[order], points.values[order])
        found.append(points)
    return join_points(found)


def fetch_points_at(connection: Connection, series: int, ordinals: Integers) -> PointColumns:
    """Return the points of a metric at ordinals, which ascend."""
    columns = metrics.c
    wanted = ordinals.tolist()
    if connection.dialect.name == "postgresql":
        return _look_up_in_postgresql(connection, series, wanted)
    statement = select(columns.step, columns.timestamp, columns.value).where(columns.series == series)
    found = [
        tuple(row)
        for start in range(0, len(wanted), _ORDINALS)
        for row in connection.execute(
            statement.where(columns.ordinal.in_(wanted[start : start + _ORDINALS])).order_by(columns.ordinal)
        )
    ]
    return _as_columns(np.array(found, _ROW))


def _as_columns(table: Any) -> PointColumns:
    return PointColumns(*(np.ascontiguousarray(table[name]) for name in _ROW.names or ()))


def _fetch_from_sqlite(connection: Connection, series: int, first: int, end: int) -> PointColumns:
    driver: Any = connection.connection.driver_connection
    # NumPy reads the text as a number, and cannot read NULL.
    rows = driver.execute(
        "SELECT step, timestamp, ifnull(value, 'nan') FROM metrics "
        "WHERE series = ? AND ordinal >= ? AND ordinal < ? ORDER BY ordinal",
        (series, first, end),
    )
    return _as_columns(np.fromiter(rows, _ROW))


def _fetch_from_postgresql(connection: Connection, series: int, first: int, end: int) -> list[Any]:
    """Have the server put the bytes of each column together; a row costs it a tenth of what a row of a reply does."""
    packed = ", ".join(
        f"string_agg({value}, '')"
        for value in ("int8send(ordinal)", "int8send(step)", "int8send(timestamp)", "float8send(value)")
    )
    statement = (
        f"SELECT {packed} FROM (SELECT ordinal, step, timestamp, coalesce(value, 'NaN') AS value FROM metrics "  # noqa: S608
        "WHERE series = %s AND ordinal >= %s AND ordinal < %s ORDER BY ordinal) AS points"
    )
    cursor: Any = connection.connection.cursor(binary=True)
    with cursor:
        *integers, values = cursor.execute(statement, (series, first, end)).fetchone()
    columns = [np.frombuffer(column or b"", ">i8").astype(np.int64) for column in integers]
    return [*columns, np.frombuffer(values or b"", ">f8").astype(np.float64)]


def _fetch_from_mariadb(connection: Connection, series: int, first: int, end: int) -> list[Any]:
    """Have the server put the digits of each column together; the driver takes a row apart in Python."""
    # Digits are all there only of a plain double: a cast to text cuts off the last of a long one.
    packed = ", ".join(
        f"group_concat({value})"
        for value in (
            "ordinal",
            "step",
            "`timestamp`",
            "coalesce(value, 0)",
            "if(value IS NULL, ordinal, NULL)",
            f"if(value{INFINITY_SUFFIX} IS NULL, NULL, ordinal)",
        )
    )
    statement = (
        f"SELECT {packed} FROM (SELECT * FROM metrics "  # noqa: S608 - our own names
        "WHERE series = %s AND ordinal >= %s AND ordinal < %s ORDER BY ordinal) AS points"
    )
    cursor: Any = connection.connection.cursor()
    with cursor:
        cursor.execute("SET SESSION group_concat_max_len = %s", (_PORTION * _DIGITS,))
        cursor.execute(statement, (series, first, end))
        ordinals, steps, timestamps, values, missing, infinite = cursor.fetchone()
    places = _parse_integers(ordinals)
    numbers = np.fromstring(values or "", np.float64, sep=",")
    numbers[np.isin(places, _parse_integers(missing))] = np.nan
    numbers[np.isin(places, _parse_integers(infinite))] *= np.float64(math.inf)
    return [places, _parse_integers(steps), _parse_integers(timestamps), numbers]


def _parse_integers(digits: str | None) -> Integers:
    return np.fromstring(digits or "", np.int64, sep=",")


def _look_up_in_postgresql(connection: Connection, series: int, ordinals: Sequence[int]) -> PointColumns:
    # One by one in the index: of a metric that has grown since the last ANALYZE the planner would read every point.
    statement = (
        "SELECT step, timestamp, coalesce(value, 'NaN') FROM unnest(%s::bigint[]) AS wanted (ordinal), "
        "LATERAL (SELECT * FROM metrics WHERE series = %s AND metrics.ordinal = wanted.ordinal LIMIT 1) AS point "
        "ORDER BY wanted.ordinal"
    )
    cursor: Any = connection.connection.cursor(binary=True)
    with cursor:
        return _as_columns(np.array(cursor.execute(statement, (ordinals, series)).fetchall(), _ROW))
