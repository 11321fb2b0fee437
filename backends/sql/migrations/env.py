"""Alembic runs this for every upgrade; the caller's connection, and its transaction, are used as they are."""

from alembic import context

from autolog.backends.sql.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
