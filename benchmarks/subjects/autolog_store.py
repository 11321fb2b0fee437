"""Where autolog's subjects record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autolog.backends import open_backend


def store_url(arguments: dict[str, Any]) -> str:
    """Return the URL of the store below the subject's folder, and make the folder of it."""
    folder = store_folder(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    return f"file:{folder}" if arguments["store"] == "file" else f"sqlite:///{folder / 'runs.db'}"


def store_folder(arguments: dict[str, Any]) -> Path:
    return Path(arguments["folder"], "store")


def make_store(arguments: dict[str, Any]) -> str:
    """Make the store beforehand, tables and all, and return its URL: that happens once in a store's life."""
    url = store_url(arguments)
    open_backend(url).close()
    return url
