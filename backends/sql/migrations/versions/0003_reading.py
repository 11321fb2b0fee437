"""What reading is made fast by: the extremes of long metrics, and indexes from which a search is answered alone."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, ForeignKey, Inspector, PrimaryKeyConstraint, SmallInteger, inspect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OWNERS = {"experiment_tags": "experiment", "params": "run", "tags": "run"}


def upgrade() -> None:
    """Make the table and the indexes; metrics that are there already are read whole as before."""
    # An upgrade that was cut off goes on here: MariaDB does not take back what has been made.
    present = inspect(op.get_bind())
    if not present.has_table("metric_stretches"):
        op.create_table(
            "metric_stretches",
            Column("series", BigInteger, ForeignKey("metric_summaries.id", ondelete="CASCADE"), nullable=False),
            Column("last", BigInteger, nullable=False),
            Column("lowest", BigInteger, nullable=False),
            Column("highest", BigInteger, nullable=False),
            Column("min", Double),
            Column("max", Double),
            Column("ascending", SmallInteger, nullable=False),
            PrimaryKeyConstraint("series", "last"),
            sqlite_with_rowid=False,
        )
    for table, owner in _OWNERS.items():
        _extend_index(present, table, owner)


def _extend_index(present: Inspector, table: str, owner: str) -> None:
    name, columns = f"{table}_by_value", ["key_digest", "value_start", owner]
    indexes = {index["name"]: index["column_names"] for index in present.get_indexes(table)}
    if indexes.get(name) == columns:
        return
    if name in indexes:
        op.drop_index(name, table)
    op.create_index(name, table, columns)
