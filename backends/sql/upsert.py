"""Insert-or-update, as each database spells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete

from autolog.backends.sql.schema import digest
from autolog.late_imports import importing


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str] = (),
    update: Sequence[str] = (),
) -> None:
    """Insert rows; for those that are there already, write some columns anew, or nothing.

    Args:
        connection: within a transaction.
        table: the table.
        rows: the rows, all with the same columns, in an order that every writer shares.
        key: the unique columns by which a row is recognised; needed with ``update``.
        update: the columns that a row which is there already gets anew.
    """
    if not rows:
        return
    # Of the databases, only the one that is in use: each takes a megabyte or two of the training's process.
    with importing():
        dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    statement: Any = dialect.insert(table)
    if connection.dialect.name == "mysql":
        columns = update or [table.primary_key.columns.keys()[0]]
        # Setting a primary key to itself is how to do nothing: IGNORE would hide every other error too.
        new = statement.inserted if update else table.c
        statement = statement.on_duplicate_key_update({name: new[name] for name in columns})
    elif update:
        new = statement.excluded
        statement = statement.on_conflict_do_update(index_elements=list(key), set_={name: new[name] for name in update})
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement, rows)


def set_texts(connection: Connection, table: Table, texts: Mapping[tuple[int, str], str | None]) -> None:
    """Give params or tags their values, by owner and key; what has None is removed."""
    owner = table.primary_key.columns[0]
    by_place = {(row, digest(key)): (key, value) for (row, key), value in texts.items()}
    kept, removed = [], []
    for (row, key_digest), (key, value) in sorted(by_place.items()):
        place = {owner.name: row, "key_digest": key_digest}
        if value is None:
            removed.append({f"the_{name}": part for name, part in place.items()})
        else:
            kept.append({**place, "key": key, "value": value})
    upsert(connection, table, kept, key=(owner.name, "key_digest"), update=("key", "value"))
    if removed:
        connection.execute(
            delete(table).where(
                owner == bindparam(f"the_{owner.name}"), table.c.key_digest == bindparam("the_key_digest")
            ),
            removed,
        )
