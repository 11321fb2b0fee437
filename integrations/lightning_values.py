"""Values that Lightning holds as tensors, on their way into a run."""

from __future__ import annotations

import time
from typing import Any, Final

import torch

from autolog.run import ActiveRun


class Values:
    """Logs values as points of metrics, and never waits for a device while steps are done.

    What is in the computer's memory is logged at once. What is on a device stays there until ``flush``, which brings
    all of it over in one copy.

    Args:
        run: where they are logged.
    """

    def __init__(self, run: ActiveRun) -> None:
        self._run: Final = run
        self._waiting: list[tuple[str, int, int, torch.Tensor]] = []

    def record(self, name: str, value: Any, step: int) -> None:
        """Log a number, or a tensor of one element; anything else is no metric's value.

        Args:
            name: the metric's.
            value: a number or a tensor.
            step: where the point stands.
        """
        if isinstance(value, (int, float)):
            self._run.log_metric(name, value, step)
        elif isinstance(value, torch.Tensor) and value.numel() == 1:
            if value.device.type == "cpu":
                self._run.log_metric(name, value.item(), step)
            else:
                self._waiting.append((name, step, time.time_ns() // 1_000_000, value.detach()))

    def flush(self) -> None:
        """Log what is on a device."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            numbers = torch.stack([value.reshape(()).float() for *_, value in waiting]).tolist()
            for (name, step, moment, _), number in zip(waiting, numbers, strict=True):
                self._run.log_metric(name, number, step, moment)
