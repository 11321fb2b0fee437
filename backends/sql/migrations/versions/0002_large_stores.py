"""PostgreSQL: the points in partitions. MariaDB and MySQL: infinities told from the largest doubles."""

from __future__ import annotations

from typing import Final

from alembic import op
from sqlalchemy import Column, String, inspect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# At ten thousand million points, some 35 GB each: see docs/backends/sql.md.
_PARTITIONS: Final = 32
_NUMBERS: Final = {"metrics": ("value",), "metric_summaries": ("value", "min", "max")}
_LARGEST: Final = "1.7976931348623157e308"


def upgrade() -> None:
    """Change the tables; what they hold stays."""
    match op.get_bind().dialect.name:
        case "postgresql":
            _partition_metrics()
        case "mysql":
            _add_infinities()


def _partition_metrics() -> None:
    op.execute("ALTER TABLE metrics RENAME TO metrics_before")
    op.execute(
        "CREATE TABLE metrics (LIKE metrics_before INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY HASH (series)"
    )
    for number in range(_PARTITIONS):
        op.execute(
            f"CREATE TABLE metrics_{number:02} PARTITION OF metrics "
            f"FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {number})"
        )
    op.execute("INSERT INTO metrics SELECT * FROM metrics_before")
    op.execute("DROP TABLE metrics_before")
    # Last: an index that is made of sorted rows is full, and one that grows row by row has half its pages empty.
    op.execute("ALTER TABLE metrics ADD PRIMARY KEY (series, ordinal)")


def _add_infinities() -> None:
    for table, names in _NUMBERS.items():
        # An upgrade that was cut off goes on here: these databases do not take an ALTER TABLE back.
        present = {column["name"] for column in inspect(op.get_bind()).get_columns(table)}
        for name in names:
            if f"{name}_infinity" not in present:
                op.add_column(table, Column(f"{name}_infinity", String(4)))
            for sign in ("", "-"):
                op.execute(f"UPDATE {table} SET {name}_infinity = '{sign}inf' WHERE `{name}` = {sign}{_LARGEST}")  # noqa: S608 - our own names
