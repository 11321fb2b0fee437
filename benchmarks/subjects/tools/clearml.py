"""ClearML offline: the task goes to a folder that is uploaded some other time."""

# pyright: reportMissingImports=false
# clearml is installed in an environment of its own.

from __future__ import annotations

from typing import Any

from clearml import Task
from subject import folder_of as store_folder

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

task: Any = None
logger: Any = None


def begin(arguments: dict[str, Any]) -> None:
    global task, logger  # noqa: PLW0603  the module is the tool's state
    store_folder(arguments).mkdir(parents=True, exist_ok=True)
    Task.set_offline(offline_mode=True)
    task = Task.init(project_name="benchmark", task_name="benchmark", auto_connect_arg_parser=False)
    logger = task.get_logger()


def log_metric(key: str, value: float, step: int) -> None:
    logger.report_scalar(title=key, series=key, value=value, iteration=step)


def log_metrics(values: dict[str, float], step: int) -> None:
    for key, value in values.items():
        logger.report_scalar(title=key, series=key, value=value, iteration=step)


def log_param(key: str, value: object) -> None:
    task.set_parameter(key, value)


def flush() -> None:
    task.flush(wait_for_uploads=True)


def finish() -> None:
    task.close()
