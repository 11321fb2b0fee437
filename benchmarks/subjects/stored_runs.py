"""The runs that every store of the reading benchmarks holds: 20 params, and 10 metrics of 10 points, each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

START = 1_700_000_000_000
FILTER = "metrics.metric_0 > 0.5 and params.param_0 = '3'"
ORDER = ["metrics.metric_1 DESC"]


class StoredRun(NamedTuple):
    """A run as it is to stand in the store."""

    run_id: str
    name: str
    start_time: int
    params: dict[str, str]
    metrics: dict[str, list[float]]


def stored_runs(count: int) -> Iterator[StoredRun]:
    numbers = random.Random(0)
    for number in range(count):
        yield StoredRun(
            run_id=f"{number:032x}",
            name=f"run-{number}",
            start_time=START + number,
            params={f"param_{place}": str(numbers.randrange(10)) for place in range(20)},
            metrics={f"metric_{place}": [numbers.random() for _ in range(10)] for place in range(10)},
        )
