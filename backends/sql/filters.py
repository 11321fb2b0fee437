"""Filters and orderings as SQL: what ``autolog.search`` parsed, compiled to SQLAlchemy expressions.

Every comparison is true or false, never NULL, so that NOT is the plain negation that the grammar promises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Exists,
    FromClause,
    Table,
    and_,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.sql import operators

from autolog.backends.sql.schema import (
    VALUE_START,
    datasets,
    digest,
    experiment_tags,
    experiments,
    input_tags,
    inputs,
    metric_summaries,
    params,
    runs,
    tags,
    value_start,
)
from autolog.search import And, Comparison, Entity, Expression, Not, Operator, Or

Condition = ColumnElement[bool]
IsWide = Callable[[Condition], bool]

_DATASET_CONTEXT: Final = "mlflow.data.context"
_TO_GLOB: Final = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})

_COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQ: operators.eq,
    Operator.NE: operators.ne,
    Operator.LT: operators.lt,
    Operator.LE: operators.le,
    Operator.GT: operators.gt,
    Operator.GE: operators.ge,
}
# What few records fit, as a rule: found by an index first, where the others are looked up run by run.
_SELECTIVE: Final = frozenset({Operator.EQ, Operator.IN})


@dataclass(frozen=True)
class Subject:
    """A table that is searched: its attributes by name, and the tables of what it has by key."""

    table: Table
    attributes: Mapping[str, ColumnElement[Any]]
    keyed: Mapping[Entity, Table]

    def owner(self, table: FromClause) -> ColumnElement[int]:
        """Return the column of a keyed table that says whose row it is."""
        return table.c[self.table.name.removesuffix("s")]


def runs_subject(artifact_root: str) -> Subject:
    """Return the subject of a search of runs, in a store with this artifact root."""

    def of_experiment(column: ColumnElement[str]) -> ColumnElement[str]:
        return select(column).where(experiments.c.id == runs.c.experiment).correlate(runs).scalar_subquery()

    root = of_experiment(func.coalesce(func.nullif(experiments.c.artifact_location, ""), artifact_root))
    return Subject(
        table=runs,
        attributes={
            **{name: runs.c[name] for name in ("run_id", "run_name", "user_id", "status", "lifecycle_stage")},
            "start_time": runs.c.start_time,
            "end_time": runs.c.end_time,
            "experiment_id": of_experiment(experiments.c.experiment_id),
            "artifact_uri": root.concat(runs.c.artifact_path),
        },
        keyed={Entity.PARAM: params, Entity.TAG: tags, Entity.METRIC: metric_summaries},
    )


EXPERIMENTS: Final = Subject(
    table=experiments,
    attributes={name: column for name, column in experiments.c.items() if name not in ("id", "name_digest")},
    keyed={Entity.TAG: experiment_tags},
)


def never(_found: Condition) -> bool:
    """Take every comparison for one that few rows fit."""
    return False


def compile_filter(expression: Expression | None, subject: Subject, dialect: str, is_wide: IsWide = never) -> Condition:
    """Return the WHERE clause of a filter.

    Args:
        expression: the filter.
        subject: what is searched.
        dialect: the name of the database's.
        is_wide: says whether many metrics fit a condition; then each run's is looked up when the run's turn comes.
            The others are found first, all at once.
    """
    match expression:
        case None:
            return true()
        case And(clauses):
            conditions = [compile_filter(clause, subject, dialect, is_wide) for clause in clauses]
            # SQLite keeps this order; what looks up a row of its own for each run comes last.
            return and_(*sorted(conditions, key=lambda condition: isinstance(condition, Exists)))
        case Or(clauses):
            return or_(*(compile_filter(clause, subject, dialect, is_wide) for clause in clauses))
        case Not(clause):
            return not_(compile_filter(clause, subject, dialect, is_wide).self_group())
    return _compile_comparison(expression, subject, dialect, is_wide)


def _compile_comparison(comparison: Comparison, subject: Subject, dialect: str, is_wide: IsWide) -> Condition:
    match comparison.field.entity:
        case Entity.ATTRIBUTE:
            return _attribute(comparison, subject.attributes[comparison.field.key], dialect)
        case Entity.DATASET:
            return _dataset(comparison, dialect)
    return _keyed(comparison, subject, dialect, is_wide)


def _attribute(comparison: Comparison, column: ColumnElement[Any], dialect: str) -> Condition:
    if comparison.operator is Operator.IS_NULL:
        return column.is_(null())
    test = _test(comparison, column, dialect)
    return and_(column.is_not(null()), test) if getattr(column, "nullable", False) else test


def _keyed(comparison: Comparison, subject: Subject, dialect: str, is_wide: IsWide) -> Condition:
    """A comparison with a param, a tag or a metric."""
    table = subject.keyed[comparison.field.entity]
    row = subject.table.c.id
    owner = subject.owner(table)
    has_key = table.c.key_digest == digest(comparison.field.key)
    if comparison.operator is Operator.IS_NULL:
        return row.not_in(select(owner).where(has_key))
    test = _test(comparison, table.c.value, dialect)
    if table is metric_summaries:
        if comparison.operator is Operator.NE:
            # NaN, kept as NULL, differs from every number.
            test = or_(test, table.c.value.is_(null()))
        if is_wide(and_(has_key, test)):
            return exists().where(owner == row, has_key, test).correlate(subject.table)
        return row.in_(select(owner).where(has_key, test))
    if comparison.operator in _SELECTIVE:
        texts = _texts(comparison)
        begins = table.c.value_start.in_([value_start(value) for value in texts])
        # A short text is its beginning, and the index alone knows it. SQLite's substr ends at a null character.
        is_whole = dialect != "sqlite" and all(len(value) < VALUE_START for value in texts)
        return row.in_(select(owner).where(has_key, begins, true() if is_whole else test))
    return exists().where(owner == row, has_key, test).correlate(subject.table)


def _dataset(comparison: Comparison, dialect: str) -> Condition:
    """A comparison with any of a run's data sets."""
    if comparison.field.key == "context":
        column, joined = input_tags.c.value, inputs.join(input_tags)
        here = and_(inputs.c.run == runs.c.id, input_tags.c.key == _DATASET_CONTEXT)
    else:
        column, joined = datasets.c[comparison.field.key], inputs.join(datasets)
        here = inputs.c.run == runs.c.id
    if comparison.operator is Operator.IS_NULL:
        return not_(exists().select_from(joined).where(here).correlate(runs))
    return exists().select_from(joined).where(here, _test(comparison, column, dialect)).correlate(runs)


def _test(comparison: Comparison, column: ColumnElement[Any], dialect: str) -> Condition:
    """The comparison itself, with a value that is there."""
    value: Any = comparison.value
    match comparison.operator:
        case Operator.IS_NOT_NULL:
            return true()
        case Operator.IN:
            return column.in_(value)
        case Operator.NOT_IN:
            return column.not_in(value)
        case Operator.LIKE:
            return _like(column, value, dialect)
        case Operator.ILIKE:
            return _ilike(column, value, dialect)
    if comparison.field.entity is Entity.ATTRIBUTE and comparison.field.is_numeric:
        # With the type of the column, which is an integer, 1.5 would be cut off.
        value = literal(float(value))
    condition: Condition = _COMPARISONS[comparison.operator](column, value)
    return condition


def _texts(comparison: Comparison) -> Sequence[Any]:
    return comparison.value if isinstance(comparison.value, tuple) else (comparison.value,)


def _like(column: ColumnElement[Any], pattern: str, dialect: str) -> Condition:
    if dialect == "sqlite":
        # SQLite's LIKE looks away from case. GLOB does not, and has other wildcards.
        return column.op("GLOB", is_comparison=True)(pattern.translate(_TO_GLOB))
    # The grammar has no escape character, and SQL has one unless it is given another.
    return column.like(pattern.replace("!", "!!"), escape="!")


def _ilike(column: ColumnElement[Any], pattern: str, dialect: str) -> Condition:
    """Case-insensitive in all of Unicode: SQLite's LIKE, and PostgreSQL's in the collation "C", know ASCII only."""
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)("".join(map(_both_cases, pattern.translate(_TO_GLOB))))
    if dialect == "postgresql":
        return column.regexp_match(f"^{''.join(map(_to_regex, pattern))}$")
    return func.lower(column).like(pattern.lower().replace("!", "!!"), escape="!")


def _to_regex(letter: str) -> str:
    match letter:
        case "%":
            return ".*"
        case "_":
            return "."
    return _both_cases(letter) if letter.isalpha() else re.escape(letter)


def _both_cases(letter: str) -> str:
    """Return a set of a letter's cases, as patterns write it; a letter with one case stays as it is."""
    cases = {case for case in (letter, letter.lower(), letter.upper()) if len(case) == 1}
    return letter if len(cases) == 1 else f"[{''.join(sorted(cases))}]"
