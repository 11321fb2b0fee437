"""Where autolog's subjects record, and what then stands there."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from subject import folder_of as store_folder
from subject import size_of

_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}
_SIZES: Final = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "mariadb": "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces"
    " WHERE name LIKE CONCAT(DATABASE(), '/%')",
}

__all__ = ["count_points", "make_store", "store_folder", "store_size", "store_url"]


def store_url(arguments: dict[str, Any]) -> str:
    """Return the URL of the store: a database's that the runner has made, else below the subject's folder."""
    if "url" in arguments:
        return str(arguments["url"])
    folder = store_folder(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    return f"file:{folder}" if arguments["store"] == "file" else f"sqlite:///{folder / 'runs.db'}"


def make_store(arguments: dict[str, Any]) -> str:
    """Make the store beforehand, tables and all, and return its URL: that happens once in a store's life."""
    from autolog.backends import open_backend

    url = store_url(arguments)
    open_backend(url).close()
    return url


def store_size(arguments: dict[str, Any]) -> int:
    """Return the bytes of the store, in files or as the database's server counts them."""
    if "url" not in arguments:
        return size_of(store_folder(arguments))
    from sqlalchemy import create_engine, make_url, text

    url = make_url(arguments["url"])
    engine = create_engine(url.set(drivername=_DRIVERS[url.drivername]))
    with contextlib.closing(engine.connect()) as connection:
        return int(connection.execute(text(_SIZES[url.drivername])).scalar_one())


def count_points(key: str, expected: int) -> None:
    """End the subject where the store does not hold so many points of the last run's metric."""
    import autolog
    from autolog import tracking

    run = autolog.last_active_run()
    if run is None:
        raise SystemExit("no run was recorded")
    held = len(tracking.current().reader().metric_history(run.info.run_id, key))
    if held != expected:
        raise SystemExit(f"the store holds {held} of {expected} points")
    tracking.close()
