"""Aim, in a repository of its own folder."""

# pyright: reportMissingImports=false
# aim is installed in an environment of its own.

from __future__ import annotations

from typing import Any

import aim
from subject import folder_of as store_folder

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

run: Any = None
flush = None


def begin(arguments: dict[str, Any]) -> None:
    global run  # noqa: PLW0603  the module is the tool's state
    folder = store_folder(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    run = aim.Run(repo=str(folder), experiment="benchmark")


def log_metric(key: str, value: float, step: int) -> None:
    run.track(value, name=key, step=step)


def log_metrics(values: dict[str, float], step: int) -> None:
    for key, value in values.items():
        run.track(value, name=key, step=step)


def log_param(key: str, value: object) -> None:
    run["params", key] = value


def finish() -> None:
    run.close()
