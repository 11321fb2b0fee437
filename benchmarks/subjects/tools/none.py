"""The least that any logger has to do: keep what it is given in a list."""

from __future__ import annotations

from typing import Any

from subject import folder_of as store_folder

__all__ = ["begin", "finish", "flush", "log_metric", "log_metrics", "log_param", "store_folder"]

points: list[tuple[Any, ...]] = []


def begin(arguments: dict[str, Any]) -> None:
    store_folder(arguments).mkdir(parents=True, exist_ok=True)


def log_metric(key: str, value: float, step: int) -> None:
    points.append((key, value, step))


def log_metrics(values: dict[str, float], step: int) -> None:
    for key, value in values.items():
        points.append((key, value, step))


def log_param(key: str, value: object) -> None:
    points.append((key, value))


def flush() -> None:
    points.clear()


def finish() -> None:
    points.clear()
