"""What is recorded of a LightGBM training, and how its rounds are followed."""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.boosting import (
    Boosting,
    listed,
    prepend,
)
from autolog.integrations.boosting import begin_training as _begin_training

IMPORTANCES: Final = ("split", "gain")

_NO_SETTINGS: Final = frozenset(
    {"params", "train_set", "valid_sets", "valid_names", "init_model", "callbacks", "folds", "return_cvbooster"}
)


def begin_training(call: Call) -> Boosting | None:
    """Begin the record of a training; return None where the training around this one is recorded nowhere."""
    return _begin_training(call, None, call.argument("init_model"), _NO_SETTINGS, functools.partial(_log_data, call))


def watch_rounds(call: Call, boosting: Boosting) -> Rounds:
    """Have every round of a training recorded; return the callback that does it."""
    rounds = Rounds(boosting)
    # Without an order of their own, callbacks get one by their places counted from the end.
    callbacks = prepend(call.argument("callbacks"), rounds)
    if callbacks is not None:
        call.replace_argument("callbacks", callbacks)
    return rounds


def _log_data(call: Call, boosting: Boosting) -> None:
    from autolog.callers import variable_name
    from autolog.integrations.boosting_data import describe_dataset

    training = call.argument("train_set")
    if not call.is_nested:
        # Inside of an estimator's fit this holds the data that are recorded there.
        name = variable_name(training, sys._getframe(1)) or "dataset"  # noqa: SLF001  the documented way to the caller
        boosting.log_data(describe_dataset(training, name), "train")
    names = listed(call.argument("valid_names"))
    for place, dataset in enumerate(listed(call.argument("valid_sets"))):
        if dataset is not training:
            name = str(names[place]) if place < len(names) else f"valid_{place}"
            boosting.log_data(describe_dataset(dataset, name), "eval")


class Rounds:
    """The callback that logs every round; it comes before those that may end the training.

    Args:
        boosting: the training.
    """

    before_iteration = False

    def __init__(self, boosting: Boosting) -> None:
        self.order = float("-inf")
        self.model: Any = None
        self._boosting = boosting
        self._is_validation = False
        # Of the first metric on data other than the training's: its place among the results, and its values.
        self._watched: int | None = None
        self._scores: list[float] = []

    def __call__(self, env: Any) -> None:
        """Log what LightGBM has evaluated after a round."""
        with guard("recording a round of LightGBM"):
            boosting, results, step = self._boosting, env.evaluation_result_list or (), env.iteration
            if self.model is None:
                self.model = env.model
                boosting.first_round = env.begin_iteration
                self._is_validation = type(env.model).__name__ == "CVBooster"
                self._watched = _find_watched(env)
            boosting.last_round = step
            if self._is_validation:
                self._record_validation(step, results)
            else:
                for result in results:
                    boosting.record(step, result[0], result[1], result[2])
            if self._watched is not None:
                self._scores.append(results[self._watched][2])

    def _record_validation(self, step: int, results: Any) -> None:
        boosting = self._boosting
        for result in results:
            data, metric = _names(result)
            boosting.record(step, data, metric, result[2], "-mean")
            boosting.record(step, data, metric, result[4], "-std")
        for fold, scored in enumerate(boosting.folds):
            for result in scored:
                boosting.record(step, result[0], result[1], result[2], f"-fold_{fold}")
        boosting.folds = ()

    def log_stopping(self, best_iteration: int) -> None:
        """Log where early stopping has found the best round.

        Args:
            best_iteration: counted from 1, as LightGBM does; 0 or less where nothing was to stop early.
        """
        if best_iteration > 0:
            with guard("recording early stopping"):
                best = best_iteration - 1
                place = best - self._boosting.first_round
                self._boosting.log_stopping(best, self._scores[place] if place < len(self._scores) else None)


def _names(result: Any) -> tuple[str, str]:
    data, metric = result[0], result[1]
    if data == "cv_agg":
        # So do older versions of LightGBM name it.
        data, _, metric = metric.partition(" ")
    return data, metric


def _find_watched(env: Any) -> int | None:
    """Return the place of the first result that early stopping may go by, which the training data's are not."""
    training = vars(env.model).get("_train_data_name", "train")
    names = (_names(result)[0] for result in env.evaluation_result_list or ())
    return next((place for place, data in enumerate(names) if data != training), None)


def log_remote(boosting: Boosting, model: Any) -> None:
    """Log what has come of a training on a cluster.

    Args:
        boosting: the training, on the client's side.
        model: its result, an estimator.
    """
    with guard("recording the rounds of a cluster"):
        boosting.record_history(vars(model).get("_evals_result") or {})
    with guard("recording a booster"):
        log_booster(boosting, model.booster_)


def log_booster(boosting: Boosting, booster: Any) -> None:
    """Log what a trained booster is: its trees, its size and the importances of its features."""
    boosting.log_model(booster)
    boosting.log_results({"num_trees": booster.num_trees(), "model_size": boosting.model_size})
    names = booster.feature_name()
    for kind in IMPORTANCES:
        values = booster.feature_importance(kind, iteration=-1).tolist()
        boosting.log_importances(kind, dict(zip(names, values, strict=True)))
