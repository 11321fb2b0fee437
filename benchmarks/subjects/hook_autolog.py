"""What a call costs that is hooked and records nothing: inside another training, and after ``disable()``."""

import time
from collections.abc import Callable
from typing import Any

from autolog_store import make_store
from repeated import measure_loops
from sklearn.base import BaseEstimator
from subject import read_arguments, report

import autolog

arguments = read_arguments()


class Empty(BaseEstimator):
    def fit(self, X: Any = None, y: Any = None) -> "Empty":  # noqa: ARG002, N803  scikit-learn's names
        return self


class Outer(BaseEstimator):
    """Measures, in its own fit, the fits of another."""

    def fit(self, X: Any = None, y: Any = None) -> "Outer":  # noqa: ARG002, N803
        benchmarks["inside_a_training"] = measure_fits("inside_a_training")
        return self


inner = Empty()


def measure_fits(name: str) -> str:
    def time_fits(loops: int) -> float:
        started = time.perf_counter()
        for _ in range(loops):
            inner.fit()
        return time.perf_counter() - started

    return measure_loops(name, time_fits, arguments["values"])


def measure_kept(name: str, kept: Callable[[Empty], object]) -> str:
    def time_fits(loops: int) -> float:
        started = time.perf_counter()
        for _ in range(loops):
            kept(inner)
        return time.perf_counter() - started

    return measure_loops(name, time_fits, arguments["values"])


benchmarks = {"never_enabled": measure_fits("never_enabled")}
autolog.enable(make_store(arguments))
autolog.flush()
Outer().fit()
hooked: Callable[[Empty], object] = Empty.fit
autolog.disable()
benchmarks["after_disable"] = measure_fits("after_disable")
benchmarks["kept_after_disable"] = measure_kept("kept_after_disable", hooked)
benchmarks["kept_never_enabled"] = measure_kept("kept_never_enabled", Empty.fit)
autolog.flush()
report({}, {}, benchmarks)
