"""What a call costs that is hooked and records nothing: inside another training, and after ``disable()``."""

from collections.abc import Callable
from typing import Any

from autolog_store import make_store
from sklearn.base import BaseEstimator
from subject import read_arguments, report, time_batches

import autolog

arguments = read_arguments()


class Empty(BaseEstimator):
    def fit(self, X: Any = None, y: Any = None) -> "Empty":  # noqa: ARG002, N803  scikit-learn's names
        return self


class Outer(BaseEstimator):
    """Measures, in its own fit, the fits of another."""

    def fit(self, X: Any = None, y: Any = None) -> "Outer":  # noqa: ARG002, N803
        self.figures_ = time_fit()
        return self


inner = Empty()


def fit(_: int) -> None:
    inner.fit()


def time_fit() -> list[float]:
    return time_batches(fit, arguments["batches"], arguments["batch"])


samples = {"never_enabled": time_fit()}
autolog.enable(make_store(arguments))
autolog.flush()
samples["inside_a_training"] = Outer().fit().figures_
kept: Callable[[Empty], object] = Empty.fit
autolog.disable()
samples["after_disable"] = time_fit()
samples["kept_after_disable"] = time_batches(lambda _: kept(inner), arguments["batches"], arguments["batch"])
plain: Callable[[Empty], object] = Empty.fit
samples["kept_never_enabled"] = time_batches(lambda _: plain(inner), arguments["batches"], arguments["batch"])
autolog.flush()
report(samples)
