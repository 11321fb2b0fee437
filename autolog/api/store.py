"""The fluent functions about the store."""

from __future__ import annotations

import os
import time

from msgspec.structs import replace

from autolog import surroundings, tracking
from autolog.backends import find_target
from autolog.config import DEFAULT_BACKEND, resolve_backend


def set_tracking_uri(uri: str | os.PathLike[str]) -> None:
    """Send the runs that begin from now on to another store. Raises InvalidParameter for a scheme that none serves."""
    url = resolve_backend(uri)
    find_target(url)
    tracking.configure(replace(tracking.current().settings, backend=url))


def get_tracking_uri() -> str:
    """Return the URL of the store."""
    return tracking.current().settings.backend


def is_tracking_uri_set() -> bool:
    """Say whether a store was chosen, by an argument or a variable."""
    return get_tracking_uri() != resolve_backend(DEFAULT_BACKEND)


def flush(timeout: float | None = None) -> bool:
    """Wait until everything recorded so far has reached the store.

    Args:
        timeout: most seconds to wait; None waits as long as it takes.

    Returns:
        Whether everything has.
    """
    began = time.monotonic()
    surroundings.finish(60.0 if timeout is None else timeout)
    return tracking.flush(None if timeout is None else max(0.0, timeout - (time.monotonic() - began)))


def flush_async_logging() -> None:
    """Wait until everything recorded so far has reached the store, as MLflow's function of this name does."""
    flush()


def flush_artifact_async_logging() -> None:
    """Wait until every artifact logged so far has reached the store, as MLflow's function of this name does."""
    flush()
