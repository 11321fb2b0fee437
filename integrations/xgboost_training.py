"""What is recorded of an XGBoost training, and how its rounds are followed."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.boosting import (
    Boosting,
    is_called_by,
    listed,
    prepend,
)
from autolog.integrations.boosting import begin_training as _begin_training

IMPORTANCES: Final = ("weight", "gain", "cover", "total_gain", "total_cover")

_NO_SETTINGS: Final = frozenset(
    {"params", "dtrain", "evals", "evals_result", "xgb_model", "callbacks", "folds", "client", "coll_cfg", "as_pandas"}
)


def is_a_worker() -> bool:
    """Say whether this trains a part of what is recorded elsewhere: by a client, or by the first of several ranks."""
    collective: Any = importlib.import_module("xgboost.collective")
    if not collective.is_distributed():
        return False
    return collective.get_rank() != 0 or is_called_by("xgboost.dask", "xgboost.spark.core")


def begin_training(call: Call) -> Boosting | None:
    """Begin the record of a training; return None where the training around this one is recorded nowhere."""
    return _begin_training(
        call, call.argument("obj"), call.argument("xgb_model"), _NO_SETTINGS, functools.partial(_log_data, call)
    )


def watch_rounds(call: Call, boosting: Boosting) -> Any:
    """Have every round of a training recorded; return the callback that does it."""
    rounds = _rounds_class()(boosting, is_continued=call.argument("xgb_model") is not None)
    callbacks = prepend(call.argument("callbacks"), rounds)
    if callbacks is not None:
        call.replace_argument("callbacks", callbacks)
    return rounds


def _log_data(call: Call, boosting: Boosting) -> None:
    from autolog.callers import variable_name
    from autolog.integrations.boosting_data import describe_matrix

    training = call.argument("dtrain")
    if not call.is_nested:
        # Inside of an estimator's fit this holds the data that are recorded there.
        name = variable_name(training, sys._getframe(1)) or "dataset"  # noqa: SLF001  the documented way to the caller
        boosting.log_data(describe_matrix(training, name), "train")
    for matrix, name in listed(call.argument("evals")):
        if matrix is not training:
            boosting.log_data(describe_matrix(matrix, name), "eval")


@functools.lru_cache(maxsize=1)
def _rounds_class() -> Any:
    """Return the class of the callback that logs every round, which XGBoost wants to derive from one of its own."""
    from xgboost.callback import TrainingCallback

    class Rounds(TrainingCallback):
        def __init__(self, boosting: Boosting, *, is_continued: bool) -> None:
            super().__init__()
            self._boosting = boosting
            self._is_continued = is_continued
            self.best_round: int | None = None
            self.best_score: float | None = None
            self._best: tuple[Any, Any] = (None, None)

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            with guard("recording a round of XGBoost"):
                boosting = self._boosting
                if self._is_continued:
                    # XGBoost counts the rounds of every training from 0.
                    boosting.first_round = model.num_boosted_rounds() - 1 - epoch
                    self._is_continued = False
                boosting.last_round = step = boosting.first_round + epoch
                for data, metrics in evals_log.items():
                    for metric, values in metrics.items():
                        value = values[-1]
                        if type(value) is tuple:
                            boosting.record(step, data, metric, value[0], "-mean")
                            boosting.record(step, data, metric, value[1], "-std")
                        else:
                            boosting.record(step, data, metric, value)
            return False

        def before_training(self, model: Any) -> Any:
            with guard("reading XGBoost's early stopping"):
                self._best = _read_best(model)
            return model

        def after_training(self, model: Any) -> Any:
            with guard("reading XGBoost's early stopping"):
                # What a model that is continued brings along is not of this training.
                if (best := _read_best(model)) != self._best and best[0] is not None:
                    self.best_round, self.best_score = int(best[0]), float(best[1])
            return model

    return Rounds


def _read_best(model: Any) -> tuple[Any, Any]:
    return model.attr("best_iteration"), model.attr("best_score")


def log_stopping(boosting: Boosting, rounds: Any) -> None:
    """Log where early stopping has found the best round, if it was to look for it."""
    with guard("recording early stopping"):
        if rounds is not None and rounds.best_round is not None:
            boosting.log_stopping(rounds.best_round, rounds.best_score)


def log_remote(boosting: Boosting, booster: Any, history: Any, former: Any) -> None:
    """Log what has come of a training on a cluster.

    Args:
        boosting: the training, on the client's side.
        booster: its result.
        history: by evaluation set and metric the values of all rounds.
        former: the model that it has gone on from, or None.
    """
    with guard("recording the rounds of a cluster"):
        former = former.get_booster() if hasattr(former, "get_booster") else former
        is_booster = hasattr(former, "num_boosted_rounds")
        boosting.record_history(history, former.num_boosted_rounds() if is_booster else 0)
        best = _read_best(booster)
        # What a model that is continued brings along is not of this training.
        if best[0] is not None and not (is_booster and best == _read_best(former)):
            boosting.log_stopping(int(best[0]), float(best[1]))
    with guard("recording a booster"):
        log_booster(boosting, booster)


def log_booster(boosting: Boosting, booster: Any) -> None:
    """Log what a trained booster is: its trees, its size and the importances of its features."""
    boosting.log_model(booster)
    learner = json.loads(booster.save_config())["learner"]
    trees = next((int(found) for found in _find(learner["gradient_booster"], "num_trees")), None)
    boosting.log_results({"num_trees": trees, "model_size": len(booster.save_raw("ubj"))})
    # A linear model has no splits to count.
    for kind in IMPORTANCES if trees is not None else IMPORTANCES[:1]:
        boosting.log_importances(kind, booster.get_score(importance_type=kind))


def _find(config: Any, name: str) -> Iterator[Any]:
    if isinstance(config, dict):
        for key, value in config.items():
            if key == name:
                yield value
            else:
                yield from _find(value, name)
