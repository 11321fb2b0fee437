"""The store in a SQL database: SQLite, PostgreSQL, MariaDB or MySQL."""

from autolog.backends.sql.reader import SqlReader
from autolog.backends.sql.writer import SqlBackend

__all__ = ["SqlBackend", "SqlReader"]
