"""The trainings that are measured: the same for every contender."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Data = tuple[Any, Any]


class Workload(NamedTuple):
    """An estimator, made anew for every fit, and its data."""

    make: Callable[[], Any]
    data: Callable[[], Data]


def breast_cancer() -> Data:
    features, targets = load_breast_cancer(return_X_y=True)
    return features, targets


def digits() -> Data:
    features, targets = load_digits(return_X_y=True)
    return features, targets


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))


def forest() -> Any:
    return RandomForestClassifier(n_estimators=100, random_state=0)


def grid() -> Any:
    return GridSearchCV(logistic(), {"logisticregression__C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]}, cv=3)


WORKLOADS = {
    "logistic": Workload(logistic, breast_cancer),
    "forest": Workload(forest, digits),
    "grid": Workload(grid, breast_cancer),
}


class Cost(NamedTuple):
    """Nanoseconds of a fit: until it returns, and of CPU in the whole process until all of it is stored."""

    wall: int
    cpu: int


def measure_fit(workload: Workload, data: Data, finish: Callable[[], object] = lambda: None) -> Cost:
    estimator = workload.make()
    cpu, started = time.process_time_ns(), time.perf_counter_ns()
    estimator.fit(*data)
    wall = time.perf_counter_ns() - started
    finish()
    return Cost(wall, time.process_time_ns() - cpu)


def alternate(
    repeats: int, plain: Callable[[], Cost], recorded: Callable[[], Cost], suffix: str = ""
) -> dict[str, list[float]]:
    """Return the samples of fits that are by turns recorded and not.

    By hand and not by pyperf: what is wanted is the difference of two neighbours, so that a slow moment of the machine
    hits both. pyperf measures each by itself, and the difference of two medians of fits that vary by a tenth
    says nothing of a cost of a hundredth.
    """
    pairs: list[tuple[Cost, Cost]] = []
    for number in range(repeats):
        # The second of a pair finds warmer caches: each way round counts as often.
        if number % 2:
            second, first = recorded(), plain()
        else:
            first, second = plain(), recorded()
        pairs.append((first, second))
    return {
        "fit": [without.wall for without, _ in pairs],
        f"added{suffix}": [with_it.wall - without.wall for without, with_it in pairs],
        f"added_cpu{suffix}": [with_it.cpu - without.cpu for without, with_it in pairs],
    }
