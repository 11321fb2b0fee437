"""Writing metric points, in bulk, and keeping the summary of each metric."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray
from sqlalchemy import Connection, select, text, tuple_

from autolog.backend import Points
from autolog.backends.sql.point_rows import PointColumns
from autolog.backends.sql.schema import (
    INFINITY_SUFFIX,
    as_finite,
    digest,
    infinity_of,
    metric_summaries,
    metrics,
)
from autolog.backends.sql.stretches import Appended, extend_stretches
from autolog.backends.sql.upsert import upsert
from autolog.entities import MetricSummary
from autolog.history import merge_summaries, summarize

# How many metrics one statement asks for.
_METRICS: Final = 1000
# How many points one statement inserts: SQLite takes 32,766 values, and for MariaDB the bound is what a packet holds.
_SQLITE_POINTS: Final = 1024
_MARIADB_POINTS: Final = 10_000
_MARIADB_INSERT: Final = (
    f"INSERT INTO metrics (series, ordinal, step, `timestamp`, value, value{INFINITY_SUFFIX}) VALUES"
)

# Around the rows: a signature, flags and the length of an extension, then the mark of the end.
_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TRAILER: Final = b"\xff\xff"

# A metric: its run's row, and the digest of its key.
_Series = tuple[int, int]
_Table = Sequence[NDArray[Any]]


def append_points(connection: Connection, groups: Sequence[tuple[int, Points]]) -> None:
    """Append points to their metrics, and bring the summaries up to date.

    The caller holds the runs locked: nobody else counts the points of their metrics meanwhile.

    Args:
        connection: within a transaction.
        groups: points, not empty, each with the row of their run.
    """
    if not groups:
        return
    keyed = [((run, digest(points.key)), points) for run, points in groups]
    keys = {series: points.key for series, points in keyed}
    rows, summaries = _fetch_summaries(connection, sorted(keys))
    marked = [series for series, summary in summaries.items() if _is_infinite(summary)]
    firsts, latest = [], []
    for series, points in keyed:
        old, new = summaries.get(series), summarize(points.steps, points.timestamps, points.values)
        firsts.append(old.count if old else 0)
        latest.append((old.step, old.timestamp) if old else None)
        summaries[series] = merge_summaries(old, new) if old else new
    upsert(
        connection,
        metric_summaries,
        [
            {"run": series[0], "key_digest": series[1], "key": keys[series], **asdict(summary)}
            for series, summary in sorted(summaries.items())
        ],
        key=("run", "key_digest"),
        update=MetricSummary.__struct_fields__,
    )
    if connection.dialect.name == "mysql":
        _mark_infinities(connection, summaries, marked)
    rows.update(_fetch_summaries(connection, sorted(keys.keys() - rows.keys()))[0])
    placed = [(rows[series], first, points) for (series, points), first in zip(keyed, firsts, strict=True)]
    _insert(connection, _as_table(sorted(placed, key=lambda place: place[:2])))
    appended = [
        Appended(series, first, before, PointColumns(points.steps, points.timestamps, points.values))
        for (series, first, points), before in zip(placed, latest, strict=True)
    ]
    extend_stretches(connection, sorted(appended, key=lambda each: (each.series, each.first)))


def _fetch_summaries(
    connection: Connection, series: Sequence[_Series]
) -> tuple[dict[_Series, int], dict[_Series, MetricSummary]]:
    """Return the rows in ``metric_summaries`` of those metrics that have one, and what they say."""
    columns = metric_summaries.c
    statement = select(
        columns.run,
        columns.key_digest,
        columns.id,
        *(columns[name] for name in MetricSummary.__struct_fields__),
    )
    rows, summaries = {}, {}
    for start in range(0, len(series), _METRICS):
        chosen = tuple_(columns.run, columns.key_digest).in_(series[start : start + _METRICS])
        for found in connection.execute(statement.where(chosen)):
            run, key_digest, row, *summary = tuple(found)
            rows[run, key_digest] = row
            summaries[run, key_digest] = MetricSummary(*summary)
    return rows, summaries


def _as_table(placed: Sequence[tuple[int, int, Points]]) -> _Table:
    """Return the columns of ``metrics`` for points, each with its series and the ordinal of the first of them."""
    counts = [len(points.steps) for _, _, points in placed]
    return [
        np.repeat([series for series, _, _ in placed], counts),
        np.concatenate([np.arange(first, first + count) for (_, first, _), count in zip(placed, counts, strict=True)]),
        np.concatenate([points.steps for _, _, points in placed]),
        np.concatenate([points.timestamps for _, _, points in placed]),
        np.concatenate([points.values for _, _, points in placed]),
    ]


def _insert(connection: Connection, table: _Table) -> None:
    match connection.dialect.name:
        case "sqlite":
            _insert_into_sqlite(connection, table)
        case "postgresql":
            _copy_to_postgresql(connection, table)
        case _:
            _insert_into_mariadb(connection, table)


def _insert_into_sqlite(connection: Connection, table: _Table) -> None:
    """Insert thousands of points a statement.

    ``executemany`` lets go of the interpreter's lock for every row, and then waits for it while the training computes:
    beside a busy thread, a million points took it 100 seconds, and 3 this way.
    """
    total, start = len(table[0]), 0
    while start < total:
        # Powers of two, so that there are few statements, which SQLite keeps compiled.
        size = min(_SQLITE_POINTS, 1 << ((total - start).bit_length() - 1))
        values: list[Any] = [None] * (size * len(table))
        for place, column in enumerate(table):
            values[place :: len(table)] = column[start : start + size].tolist()
        connection.exec_driver_sql(_sqlite_statement(size), tuple(values))
        start += size


@cache
def _sqlite_statement(size: int) -> str:
    return f"INSERT INTO metrics VALUES {','.join(['(?,?,?,?,?)'] * size)}"  # noqa: S608 - a size is all that enters


def _copy_to_postgresql(connection: Connection, table: _Table) -> None:
    """Send points as COPY takes them in binary: rows of big-endian fields, each after its length."""
    fields = list(zip(metrics.c.keys(), (">i8", ">i8", ">i8", ">i8", ">f8"), strict=True))
    row = [("fields", ">i2")]
    for name, kind in fields:
        row += [(f"{name}_length", ">i4"), (name, kind)]
    content = np.empty(len(table[0]), row)
    content["fields"] = len(fields)
    for (name, _), column in zip(fields, table, strict=True):
        content[f"{name}_length"] = 8
        content[name] = column
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy("COPY metrics FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(_COPY_HEADER + content.tobytes() + _COPY_TRAILER)


def _insert_into_mariadb(connection: Connection, table: _Table) -> None:
    """Insert thousands of points a statement, which is as fast here as LOAD DATA and gives no file to the server.

    The text is made of numbers alone; the driver's own executemany takes three times the time to make it.
    """
    *places, values = table
    for start in range(0, len(values), _MARIADB_POINTS):
        chunk = values[start : start + _MARIADB_POINTS]
        columns = [place[start : start + _MARIADB_POINTS].tolist() for place in places]
        columns.append(list(map(repr, chunk.tolist())))
        columns.append(["NULL"] * len(chunk))
        for place in np.flatnonzero(~np.isfinite(chunk)).tolist():
            value = float(chunk[place])
            columns[-2][place] = repr(as_finite(value)) if math.isinf(value) else "NULL"
            columns[-1][place] = f"'{value}'" if math.isinf(value) else "NULL"
        rows = ",".join(["(%d,%d,%d,%d,%s,%s)" % row for row in zip(*columns, strict=True)])  # noqa: UP031 - the fastest
        # To the driver itself: it would look for parameters in a megabyte of text.
        cursor: Any = connection.connection.cursor()
        cursor.execute(f"{_MARIADB_INSERT} {rows}")
        cursor.close()


def _mark_infinities(
    connection: Connection, summaries: Mapping[_Series, MetricSummary], marked: Collection[_Series]
) -> None:
    """Say in MariaDB which numbers of summaries are infinite, and of those that were, that they are not any more."""
    names = ("value", "min", "max")
    changes = [
        {
            "the_run": series[0],
            "the_key": series[1],
            **{name: infinity_of(getattr(summary, name)) for name in names},
        }
        for series, summary in sorted(summaries.items())
        if series in marked or _is_infinite(summary)
    ]
    if changes:
        settings = ", ".join(f"{name}{INFINITY_SUFFIX} = :{name}" for name in names)
        connection.execute(
            text(f"UPDATE metric_summaries SET {settings} WHERE run = :the_run AND key_digest = :the_key"),  # noqa: S608 - our own names
            changes,
        )


def _is_infinite(summary: MetricSummary) -> bool:
    return any(map(math.isinf, (summary.value, summary.min, summary.max)))
