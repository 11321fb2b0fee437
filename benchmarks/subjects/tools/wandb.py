"""Weights & Biases offline: the run goes to a file that is uploaded some other time."""

# pyright: reportMissingImports=false
# wandb is installed in an environment of its own.

from __future__ import annotations

from typing import Any

import wandb
from subject import folder_of as store_folder

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

run: Any = None
flush = None


def begin(arguments: dict[str, Any]) -> None:
    global run  # noqa: PLW0603  the module is the tool's state
    store_folder(arguments).mkdir(parents=True, exist_ok=True)
    run = wandb.init(project="benchmark", mode="offline")


def log_metric(key: str, value: float, step: int) -> None:
    run.log({key: value}, step=step)


def log_metrics(values: dict[str, float], step: int) -> None:
    run.log(values, step=step)


def log_param(key: str, value: object) -> None:
    run.config[key] = value


def finish() -> None:
    run.finish()
