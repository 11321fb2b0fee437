"""autolog, in each of its stores."""

from __future__ import annotations

from typing import Any

from autolog_store import store_folder, store_url

import autolog

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

log_metric, log_metrics, log_param = autolog.log_metric, autolog.log_metrics, autolog.log_param


def begin(arguments: dict[str, Any]) -> None:
    # The store is made by whoever writes to it first, as it is for a user: in the writer's thread or process.
    autolog.enable(store_url(arguments))
    autolog.start_run()


def flush() -> None:
    if not autolog.flush():
        raise SystemExit("the store does not hold everything")


def finish() -> None:
    autolog.end_run()
    flush()
