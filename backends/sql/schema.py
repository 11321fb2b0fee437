"""The tables, as a person with SQL meets them, and the column types that behave alike on every database.

Keys, names and paths have any length, which no index of PostgreSQL or MariaDB takes.
So beside each stands its ``digest``, 64 bits of BLAKE2, and the indexes are over that.
The points of a metric are in ``metrics``, under the id that the metric has in ``metric_summaries``.
"""

from __future__ import annotations

import hashlib
import math
import sys
from typing import Any, Final

from sqlalchemy import (
    Alias,
    BigInteger,
    Column,
    ColumnElement,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    Label,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

VERSION_TABLE: Final = "autolog_version"
# The newest file in migrations/versions; revisions are numbers with four digits, so that they compare as text.
SCHEMA_VERSION: Final = "0003"


def digest(*texts: str | None) -> int:
    """Return 64 bits that stand for texts in an index."""
    content = b"\x00".join(b"" if text is None else b"\x01" + text.encode() for text in texts)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


# ruff: noqa: D102 - the types below override SQLAlchemy's methods, which are documented there


class ExactText(TypeDecorator[str]):
    """Text that is equal to itself only: case, accents and trailing spaces count, and its order is that of Unicode.

    Args:
        length: for a column with an index; without it, the text has any length.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        collation = None
        if dialect.name == "postgresql":
            collation = "C"
        elif dialect.name == "mysql":
            # Each server has one collation that neither folds nor pads, and not the same one.
            collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        if self.length is not None:
            return String(self.length, collation)
        if dialect.name == "mysql":
            from sqlalchemy.dialects.mysql import LONGTEXT

            return LONGTEXT(collation=collation)
        return Text(collation=collation)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and dialect.name == "postgresql":
            # The one character that its texts cannot hold.
            return value.replace("\x00", "\ufffd")
        return value


class _Double(UserDefinedType[float]):
    """A double in which NaN is NULL."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "DOUBLE PRECISION"

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        def encode(value: float | None) -> float | None:
            return None if value is None or math.isnan(value) else value

        return encode

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        def decode(value: float | None) -> float:
            return math.nan if value is None else value

        return decode


class _FiniteDouble(_Double):
    """A double where the database knows no infinity: the largest stands for it, so that filters and orders are right.

    A second column says ``inf`` or ``-inf`` beside it, and is NULL for every other number, the largest included.
    """

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return as_finite

    def column_expression(self, colexpr: ColumnElement[Any]) -> ColumnElement[Any]:
        # What the second column says, where it says something; the server sends numbers as text in any case.
        original = colexpr.element if isinstance(colexpr, Label) else colexpr
        if isinstance(original, Column) and isinstance(original.table, (Table, Alias)):
            return func.coalesce(_Infinity(original), original, type_=self)
        return colexpr

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        def decode(value: str | float | None) -> float:
            if value is None:
                return math.nan
            if isinstance(value, str):
                return float(value)
            # Computed by the database, which has no second column.
            return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value

        return decode


class _Infinity(FunctionElement[str]):
    """The column beside a number that says whether it is infinite."""

    inherit_cache = True


@compiles(_Infinity)
def _name_infinity(element: _Infinity, compiler: Any, **options: Any) -> str:
    (column,) = element.clauses
    return f"{compiler.process(column, **options)}{INFINITY_SUFFIX}"


INFINITY_SUFFIX: Final = "_infinity"


def as_finite(value: float | None) -> float | None:
    """Return a number as MariaDB and MySQL keep it: NaN is None, and infinity the largest double."""
    if value is None or math.isnan(value):
        return None
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else value


def infinity_of(value: float) -> str | None:
    """Return what the column beside a number says of it on MariaDB and MySQL."""
    return str(value) if math.isinf(value) else None


Number: Final = _Double().with_variant(_FiniteDouble(), "mysql")

# SQLite numbers rows by itself only in a column of exactly this type.
_RowId: Final = BigInteger().with_variant(Integer, "sqlite")
# How many letters of a value its index holds: enough to find it by, or to sort it.
VALUE_START: Final = 64

metadata: Final = MetaData()


def _keyed(name: str, owner: Table) -> Table:
    """A table of texts by key, as params and tags are."""
    return Table(
        name,
        metadata,
        _owner(owner, primary_key=True),
        Column("key_digest", BigInteger, primary_key=True, autoincrement=False),
        Column("key", ExactText, nullable=False),
        Column("value", ExactText, nullable=False),
        Column("value_start", ExactText(VALUE_START), Computed(f"substr(value, 1, {VALUE_START})", persisted=True)),
        # The owner makes a search that looks at values alone one of the index alone.
        Index(f"{name}_by_value", "key_digest", "value_start", owner.name.removesuffix("s")),
        sqlite_with_rowid=False,
    )


def value_start(value: str) -> ColumnElement[str]:
    """Return what the column ``value_start`` has for a value, as the database computes it."""
    return func.substr(literal(value, ExactText()), 1, VALUE_START)


def _owner(table: Table, *, primary_key: bool = False) -> Column[int]:
    return Column(
        table.name.removesuffix("s"),
        ForeignKey(table.c.id, ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


settings: Final = Table(
    "settings",
    metadata,
    Column("name", ExactText(64), primary_key=True),
    Column("value", ExactText, nullable=False),
)

experiments: Final = Table(
    "experiments",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("experiment_id", ExactText(256), nullable=False, unique=True),
    Column("name_digest", BigInteger, nullable=False, unique=True),
    Column("name", ExactText, nullable=False),
    Column("artifact_location", ExactText, nullable=False),
    Column("lifecycle_stage", ExactText(16), nullable=False),
    Column("creation_time", BigInteger, nullable=False),
    Column("last_update_time", BigInteger, nullable=False),
)

experiment_tags: Final = _keyed("experiment_tags", experiments)

runs: Final = Table(
    "runs",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("run_id", ExactText(256), nullable=False, unique=True),
    _owner(experiments),
    Column("run_name", ExactText, nullable=False),
    Column("user_id", ExactText, nullable=False),
    Column("status", ExactText(16), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("lifecycle_stage", ExactText(16), nullable=False),
    # What follows the experiment's artifact_location or, where that is empty, the store's artifact root.
    Column("artifact_path", ExactText, nullable=False),
)
Index("runs_by_start", runs.c.lifecycle_stage, runs.c.start_time.desc(), runs.c.run_id)
Index("runs_by_experiment", runs.c.experiment, runs.c.lifecycle_stage, runs.c.start_time.desc(), runs.c.run_id)

params: Final = _keyed("params", runs)
tags: Final = _keyed("tags", runs)

datasets: Final = Table(
    "datasets",
    metadata,
    Column("id", _RowId, primary_key=True),
    # Of all that follows, so that the same data set is kept once.
    Column("content_digest", BigInteger, nullable=False, unique=True),
    Column("name", ExactText, nullable=False),
    Column("digest", ExactText, nullable=False),
    Column("source_type", ExactText, nullable=False),
    Column("source", ExactText, nullable=False),
    Column("schema", ExactText),
    Column("profile", ExactText),
)

inputs: Final = Table(
    "inputs",
    metadata,
    Column("id", _RowId, primary_key=True),
    _owner(runs),
    Column("dataset", ForeignKey(datasets.c.id), nullable=False, index=True),
    Column("tags_digest", BigInteger, nullable=False),
    UniqueConstraint("run", "dataset", "tags_digest"),
)

input_tags: Final = Table(
    "input_tags",
    metadata,
    _owner(inputs, primary_key=True),
    Column("ordinal", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", ExactText, nullable=False),
    Column("value", ExactText, nullable=False),
    sqlite_with_rowid=False,
)

metric_summaries: Final = Table(
    "metric_summaries",
    metadata,
    Column("id", _RowId, primary_key=True),
    _owner(runs),
    Column("key_digest", BigInteger, nullable=False),
    Column("key", ExactText, nullable=False),
    Column("value", Number),
    Column("step", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("min", Number),
    Column("max", Number),
    Column("count", BigInteger, nullable=False),
    UniqueConstraint("run", "key_digest"),
    Index("metric_summaries_by_value", "key_digest", "value", "run"),
)

metrics: Final = Table(
    "metrics",
    metadata,
    # No foreign key: a look at the summary for each of a million points would cost as much as the point.
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("value", Number),
    sqlite_with_rowid=False,
    postgresql_partition_by="HASH (series)",
)

metric_stretches: Final = Table(
    "metric_stretches",
    metadata,
    Column("series", ForeignKey(metric_summaries.c.id, ondelete="CASCADE"), primary_key=True),
    # The ordinals of the last, the smallest and the largest point; it begins where the one before ends.
    Column("last", BigInteger, primary_key=True, autoincrement=False),
    Column("lowest", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
    Column("min", Double),
    Column("max", Double),
    # Whether its points, and those before it, stand in the order of their steps and times.
    Column("ascending", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

artifacts: Final = Table(
    "artifacts",
    metadata,
    _owner(runs, primary_key=True),
    Column("path_digest", BigInteger, primary_key=True, autoincrement=False),
    Column("path", ExactText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    sqlite_with_rowid=False,
)

# How much of each journal is in the store: what makes the writing of a batch exactly once.
journals: Final = Table(
    "journals",
    metadata,
    Column("journal_id", ExactText(256), primary_key=True),
    Column("facts", BigInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
)
