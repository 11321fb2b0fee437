"""Expressions and orderings applied to records in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from fnmatch import translate
from functools import total_ordering
from typing import Any, Final

from autolog.entities import Experiment, Run
from autolog.search.expression import (
    And,
    Comparison,
    Entity,
    Expression,
    Field,
    Not,
    Operator,
    Or,
    OrderKey,
    OrderValue,
)

Predicate = Callable[[Any], bool]
Getter = Callable[[Any], Any]

_DATASET_CONTEXT: Final = "mlflow.data.context"
_TO_GLOB: Final = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})


def matches(expression: Expression | None, record: Run | Experiment) -> bool:
    """Say whether a record fits an expression; None fits everything."""
    return matcher(expression)(record)


def matcher(expression: Expression | None) -> Callable[[Run | Experiment], bool]:
    """Compile an expression to a predicate, for use on many records."""
    if expression is None:
        return lambda _record: True
    if isinstance(expression, Not):
        clause = matcher(expression.clause)
        return lambda record: not clause(record)
    if isinstance(expression, (And, Or)):
        combine = all if isinstance(expression, And) else any
        clauses = [matcher(clause) for clause in expression.clauses]
        return lambda record: combine(clause(record) for clause in clauses)
    if expression.field.entity is Entity.DATASET:
        return _dataset_predicate(expression)
    return _predicate(expression)


def _predicate(comparison: Comparison) -> Predicate:
    get = _getter(comparison.field)
    if comparison.operator is Operator.IS_NULL:
        return lambda record: get(record) is None
    test = _test(comparison)
    return lambda record: (value := get(record)) is not None and test(value)


def _dataset_predicate(comparison: Comparison) -> Predicate:
    key = comparison.field.key

    def values(run: Run) -> list[str]:
        if key == "context":
            inputs = run.inputs.dataset_inputs
            return [tag.value for used in inputs for tag in used.tags if tag.key == _DATASET_CONTEXT]
        return [getattr(used.dataset, key) for used in run.inputs.dataset_inputs]

    if comparison.operator is Operator.IS_NULL:
        return lambda run: not values(run)
    test = _test(comparison)
    return lambda run: any(test(value) for value in values(run))


def _test(comparison: Comparison) -> Predicate:  # noqa: C901, PLR0911 - one line for each operator
    expected: Any = comparison.value
    match comparison.operator:
        case Operator.EQ:
            return lambda value: bool(value == expected)
        case Operator.NE:
            return lambda value: bool(value != expected)
        case Operator.LT:
            return lambda value: bool(value < expected)
        case Operator.LE:
            return lambda value: bool(value <= expected)
        case Operator.GT:
            return lambda value: bool(value > expected)
        case Operator.GE:
            return lambda value: bool(value >= expected)
        case Operator.LIKE:
            return _like(expected)
        case Operator.ILIKE:
            return _like(expected, re.IGNORECASE)
        case Operator.IN:
            members = frozenset(expected)
            return lambda value: value in members
        case Operator.NOT_IN:
            others = frozenset(expected)
            return lambda value: value not in others
        case _:
            return lambda _value: True


def _like(pattern: str, flags: int = 0) -> Predicate:
    # fnmatch's expressions match in linear time, however many wildcards a pattern has.
    match = re.compile(translate(pattern.translate(_TO_GLOB)), flags).match
    return lambda value: match(value) is not None


def _getter(field: Field) -> Getter:
    key = field.key
    match field.entity:
        case Entity.METRIC:
            return lambda run: None if (summary := run.data.summaries.get(key)) is None else summary.value
        case Entity.PARAM:
            return lambda run: run.data.params.get(key)
        case Entity.TAG:
            return lambda record: (record.data if isinstance(record, Run) else record).tags.get(key)
        case _:
            return lambda record: _plain(getattr(record.info if isinstance(record, Run) else record, key))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def order_values(order: Sequence[OrderKey]) -> Callable[[Run | Experiment], tuple[OrderValue, ...]]:
    """Return a function that takes a record's values for an ordering; what is missing or NaN is None."""
    getters = [_getter(key.field) for key in order]

    def values(record: Run | Experiment) -> tuple[OrderValue, ...]:
        found = [get(record) for get in getters]
        return tuple(None if value != value else value for value in found)  # noqa: PLR0124 - NaN is what differs

    return values


def rank(values: Sequence[OrderValue], order: Sequence[OrderKey]) -> tuple[Any, ...]:
    """Turn ``order_values`` into a tuple that sorts as the ordering says."""
    ranks: list[Any] = []
    for value, key in zip(values, order, strict=True):
        if value is None:
            ranks.append((True, 0))
        elif key.ascending:
            ranks.append((False, value))
        else:
            ranks.append((False, _Descending(value) if isinstance(value, str) else -value))
    return tuple(ranks)


@total_ordering
class _Descending:
    """A text that sorts the other way round."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.text == other.text

    def __lt__(self, other: _Descending) -> bool:
        return other.text < self.text

    def __hash__(self) -> int:
        return hash(self.text)
