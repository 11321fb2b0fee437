"""What is drawn: figures with the names of their runs, and the histories of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autolog.figures import Figure


@dataclass(frozen=True)
class Shown:
    """A figure, and the name of the run that it is of."""

    run: str
    figure: Figure


@dataclass(frozen=True)
class Metric:
    """The history of a metric, drawn like a stored figure of the kind ``metric``."""

    key: str
    steps: Sequence[float]
    values: Sequence[float]
