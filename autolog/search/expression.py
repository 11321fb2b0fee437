"""What a filter and an ordering say, as a tree of frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Union


class Entity(str, Enum):
    """What a field belongs to."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    DATASET = "dataset"


NUMERIC_ATTRIBUTES: Final = frozenset({"start_time", "end_time", "creation_time", "last_update_time"})


@dataclass(frozen=True)
class Field:
    """Something of a run or an experiment that can be compared, by its canonical name."""

    entity: Entity
    key: str

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers; they are text otherwise."""
        return self.entity is Entity.METRIC or (self.entity is Entity.ATTRIBUTE and self.key in NUMERIC_ATTRIBUTES)


class Operator(str, Enum):
    """How a field is compared."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


@dataclass(frozen=True)
class Comparison:
    """A field, an operator, and what the field is compared with: a tuple for IN and NOT IN, None for IS (NOT) NULL."""

    field: Field
    operator: Operator
    value: str | float | tuple[str, ...] | None


@dataclass(frozen=True)
class And:
    """True if every clause is."""

    clauses: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """True if any clause is."""

    clauses: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    """True if the clause is false."""

    clause: Expression


Expression = Union[Comparison, And, Or, Not]


@dataclass(frozen=True)
class OrderKey:
    """One column of an ordering; what is None or NaN comes last in both directions."""

    field: Field
    ascending: bool


OrderValue = Union[str, float, None]
