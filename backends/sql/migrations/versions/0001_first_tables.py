"""The first tables."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)

from autolog.backends.sql.schema import ExactText, Number

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "settings",
        Column("name", ExactText(64), primary_key=True),
        Column("value", ExactText, nullable=False),
    )
    op.create_table(
        "journals",
        Column("journal_id", ExactText(256), primary_key=True),
        Column("facts", BigInteger, nullable=False),
        Column("points", BigInteger, nullable=False),
    )
    op.create_table(
        "experiments",
        _row_id(),
        Column("experiment_id", ExactText(256), nullable=False, unique=True),
        Column("name_digest", BigInteger, nullable=False, unique=True),
        Column("name", ExactText, nullable=False),
        Column("artifact_location", ExactText, nullable=False),
        Column("lifecycle_stage", ExactText(16), nullable=False),
        Column("creation_time", BigInteger, nullable=False),
        Column("last_update_time", BigInteger, nullable=False),
    )
    _create_keyed("experiment_tags", "experiment")
    op.create_table(
        "runs",
        _row_id(),
        Column("run_id", ExactText(256), nullable=False, unique=True),
        _owner("experiment"),
        Column("run_name", ExactText, nullable=False),
        Column("user_id", ExactText, nullable=False),
        Column("status", ExactText(16), nullable=False),
        Column("start_time", BigInteger, nullable=False),
        Column("end_time", BigInteger),
        Column("lifecycle_stage", ExactText(16), nullable=False),
        Column("artifact_path", ExactText, nullable=False),
    )
    newest_first: list[Any] = ["lifecycle_stage", text("start_time DESC"), "run_id"]
    op.create_index("runs_by_start", "runs", newest_first)
    op.create_index("runs_by_experiment", "runs", ["experiment", *newest_first])
    _create_keyed("params", "run")
    _create_keyed("tags", "run")
    _create_inputs()
    _create_metrics()
    op.create_table(
        "artifacts",
        _owner("run"),
        Column("path_digest", BigInteger, nullable=False),
        Column("path", ExactText, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("sha256", String(64), nullable=False),
        PrimaryKeyConstraint("run", "path_digest"),
        sqlite_with_rowid=False,
    )


def _row_id() -> Column[int]:
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _owner(name: str) -> Column[int]:
    return Column(name, BigInteger, ForeignKey(f"{name}s.id", ondelete="CASCADE"), nullable=False)


def _create_keyed(name: str, owner: str) -> None:
    op.create_table(
        name,
        _owner(owner),
        Column("key_digest", BigInteger, nullable=False),
        Column("key", ExactText, nullable=False),
        Column("value", ExactText, nullable=False),
        Column("value_start", ExactText(64), Computed("substr(value, 1, 64)", persisted=True)),
        PrimaryKeyConstraint(owner, "key_digest"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{name}_by_value", name, ["key_digest", "value_start"])


def _create_inputs() -> None:
    op.create_table(
        "datasets",
        _row_id(),
        Column("content_digest", BigInteger, nullable=False, unique=True),
        Column("name", ExactText, nullable=False),
        Column("digest", ExactText, nullable=False),
        Column("source_type", ExactText, nullable=False),
        Column("source", ExactText, nullable=False),
        Column("schema", ExactText),
        Column("profile", ExactText),
    )
    op.create_table(
        "inputs",
        _row_id(),
        _owner("run"),
        Column("dataset", BigInteger, ForeignKey("datasets.id"), nullable=False, index=True),
        Column("tags_digest", BigInteger, nullable=False),
        UniqueConstraint("run", "dataset", "tags_digest"),
    )
    op.create_table(
        "input_tags",
        _owner("input"),
        Column("ordinal", SmallInteger, nullable=False),
        Column("key", ExactText, nullable=False),
        Column("value", ExactText, nullable=False),
        PrimaryKeyConstraint("input", "ordinal"),
        sqlite_with_rowid=False,
    )


def _create_metrics() -> None:
    op.create_table(
        "metric_summaries",
        _row_id(),
        _owner("run"),
        Column("key_digest", BigInteger, nullable=False),
        Column("key", ExactText, nullable=False),
        Column("value", Number),
        Column("step", BigInteger, nullable=False),
        Column("timestamp", BigInteger, nullable=False),
        Column("min", Number),
        Column("max", Number),
        Column("count", BigInteger, nullable=False),
        UniqueConstraint("run", "key_digest"),
    )
    op.create_index("metric_summaries_by_value", "metric_summaries", ["key_digest", "value", "run"])
    op.create_table(
        "metrics",
        Column("series", BigInteger, nullable=False),
        Column("ordinal", BigInteger, nullable=False),
        Column("step", BigInteger, nullable=False),
        Column("timestamp", BigInteger, nullable=False),
        Column("value", Number),
        PrimaryKeyConstraint("series", "ordinal"),
        sqlite_with_rowid=False,
    )
