"""trackio, in its local SQLite database and without a Space."""

# pyright: reportMissingImports=false
# trackio is installed in an environment of its own.

from __future__ import annotations

from typing import Any

import trackio
from subject import folder_of as store_folder

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

flush = None
# The configuration of a run is given to init, all at once.
log_param = None


def begin(arguments: dict[str, Any]) -> None:
    store_folder(arguments).mkdir(parents=True, exist_ok=True)
    trackio.init(project="benchmark", embed=False)


def log_metric(key: str, value: float, step: int) -> None:
    trackio.log({key: value}, step=step)


def log_metrics(values: dict[str, float], step: int) -> None:
    trackio.log(values, step=step)


def finish() -> None:
    trackio.finish()
