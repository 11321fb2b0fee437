"""Orderings and pages as SQL: the rows that come next, found by what the last page ended with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Row, and_, false, literal, null, or_, select

from autolog.backends.sql.filters import Condition, Subject
from autolog.backends.sql.schema import digest, value_start
from autolog.search import Entity, OrderKey, OrderValue


@dataclass(frozen=True)
class Searched:
    """Which rows are searched, said in two ways.

    ``stepwise`` is the faster one where rows are looked at in the order of an index until a page is full,
    ``at_once`` where all of them are.
    """

    stepwise: Condition
    at_once: Condition


# The attributes that there is an index of, in the order of their values.
_INDEXED: Final = frozenset({"start_time", "run_id"})


@dataclass(frozen=True)
class _Column:
    """What rows are ordered by; NULL, where it can be, comes last in both directions.

    ``table`` and ``on`` say how to join the table that it is in, where that is not the one that is searched.
    ``start`` is the beginning of a text, of which there is an index in the same order.
    ``is_constant`` says that it is the same in all rows that are looked at.
    """

    expression: ColumnElement[Any]
    ascending: bool
    nullable: bool
    table: FromClause | None = None
    on: Condition | None = None
    start: ColumnElement[str] | None = None
    is_constant: bool = False

    def order_by(self) -> Iterator[ColumnElement[Any]]:
        if self.is_constant:
            return
        if self.nullable:
            # NULLS LAST is not known to MariaDB.
            yield self.expression.is_(null())
        for expression in (self.start, self.expression):
            if expression is not None:
                yield expression.asc() if self.ascending else expression.desc()

    def beyond(self, value: OrderValue) -> Condition:
        """The condition that a row comes after those with this value."""
        if value is None:
            return false()
        later = self.expression > self._bound(value) if self.ascending else self.expression < self._bound(value)
        return or_(later, self.expression.is_(null())) if self.nullable else later

    def tied(self, value: OrderValue) -> Condition:
        """The condition that a row has this value."""
        return self.expression.is_(null()) if value is None else self.expression == self._bound(value)

    def reached(self, value: OrderValue) -> Condition:
        """The condition that a row has this value or comes after those that do; for a column that is never NULL."""
        if self.start is not None and isinstance(value, str):
            expression, bound = self.start, value_start(value)
        else:
            expression, bound = self.expression, self._bound(value)
        return expression >= bound if self.ascending else expression <= bound

    def _bound(self, value: OrderValue) -> ColumnElement[Any]:
        return literal(value, self.expression.type)


def next_rows(
    connection: Connection,
    subject: Subject,
    searched: Searched,
    order: Sequence[OrderKey],
    after: Sequence[OrderValue] | None,
    limit: int,
) -> list[Row[Any]]:
    """Return the rows that come next, each followed by what ``place_of`` makes its place of.

    Args:
        connection: to the store.
        subject: the table; the rows have its columns.
        searched: which of them are searched.
        order: the order, which is total.
        after: the order values of the row that the page begins after; None for the first page.
        limit: how many rows at most.
    """
    columns = [_column(subject, key) for key in order]
    first = columns[0]
    is_indexed = first.table is not None or order[0].field.key in _INDEXED
    where = searched.stepwise if is_indexed else searched.at_once
    if not first.nullable:
        return _fetch(connection, subject, where, columns, after, limit)
    # Those with a value come in the order of an index on it, so that a page is found without sorting all of them.
    rows: list[Row[Any]] = []
    if after is None or after[0] is not None:
        present = [replace(first, nullable=False), *columns[1:]]
        rows = _fetch(connection, subject, and_(where, first.expression.is_not(null())), present, after, limit)
        after = None
    if len(rows) < limit:
        missing = and_(searched.at_once, first.expression.is_(null()))
        # They are equal in it, which no database sees through the ordering.
        rest = [replace(first, is_constant=True), *columns[1:]]
        rows += _fetch(connection, subject, missing, rest, after, limit - len(rows))
    return rows


def _fetch(
    connection: Connection,
    subject: Subject,
    where: Condition,
    columns: Sequence[_Column],
    after: Sequence[OrderValue] | None,
    limit: int,
) -> list[Row[Any]]:
    source: FromClause = subject.table
    for column in columns:
        if column.table is not None:
            source = source.join(column.table, column.on, isouter=column.nullable)
    statement = (
        select(*subject.table.c, *(column.expression.label(f"order_{n}") for n, column in enumerate(columns)))
        .select_from(source)
        .where(where)
        .order_by(*(clause for column in columns for clause in column.order_by()))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(_comes_after(columns, after))
    return list(connection.execute(statement))


def _column(subject: Subject, key: OrderKey) -> _Column:
    if key.field.entity is Entity.ATTRIBUTE:
        expression = subject.attributes[key.field.key]
        return _Column(expression, key.ascending, nullable=bool(getattr(expression, "nullable", False)))
    table = subject.keyed[key.field.entity].alias()
    on = and_(subject.owner(table) == subject.table.c.id, table.c.key_digest == digest(key.field.key))
    return _Column(table.c.value, key.ascending, nullable=True, table=table, on=on, start=table.c.get("value_start"))


def _comes_after(columns: Sequence[_Column], values: Sequence[OrderValue]) -> Condition:
    """The condition that a row comes after one with these order values."""
    condition: Condition = false()
    for column, value in zip(reversed(columns), reversed(values), strict=True):
        condition = or_(column.beyond(value), and_(column.tied(value), condition))
    first, value = columns[0], values[0]
    if not first.nullable:
        # Says nothing new, but an index can begin there.
        condition = and_(first.reached(value), condition)
    return condition


def place_of(row: Row[Any], order: Sequence[OrderKey]) -> tuple[OrderValue, ...]:
    """Return the order values of a row as tokens hold them: NaN, which is NULL in the database, is None."""
    return tuple(None if value != value else value for value in row[-len(order) :])  # noqa: PLR0124 - NaN is what differs
