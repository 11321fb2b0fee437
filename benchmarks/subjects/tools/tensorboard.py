"""TensorBoard's event files by tensorboardX, whose SummaryWriter has the interface of torch's and needs no torch."""

# pyright: reportMissingImports=false
# tensorboardX is installed in an environment of its own.

from __future__ import annotations

from typing import Any

from subject import folder_of as store_folder
from tensorboardX import SummaryWriter

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

writer: Any = None


def begin(arguments: dict[str, Any]) -> None:
    global writer  # noqa: PLW0603  the module is the tool's state
    writer = SummaryWriter(str(store_folder(arguments)))


def log_metric(key: str, value: float, step: int) -> None:
    writer.add_scalar(key, value, step)


def log_metrics(values: dict[str, float], step: int) -> None:
    for key, value in values.items():
        writer.add_scalar(key, value, step)


def log_param(key: str, value: object) -> None:
    # Its add_hparams is for once, at the end of a run; a text is what takes one value at a time.
    writer.add_text(key, str(value))


def flush() -> None:
    writer.flush()


def finish() -> None:
    writer.close()
