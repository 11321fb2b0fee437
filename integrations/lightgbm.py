"""Record LightGBM: train, cv and the Dask API, with every metric of every round as it comes."""

from __future__ import annotations

import sys
from typing import Any, Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.integrations.boosting import (
    Boosting,
    begin,
    current_boosting,
    listed,
    prepend,
    read_arguments,
    read_params,
)
from autolog.training import silence

lightgbm: Final = Integration("lightgbm", requires="lightgbm>=4.3")

IMPORTANCES: Final = ("split", "gain")

_NO_SETTINGS: Final = frozenset(
    {"params", "train_set", "valid_sets", "valid_names", "init_model", "callbacks", "folds", "return_cvbooster"}
)


@lightgbm.around("lightgbm.engine:train", within=True)
def train(call: Call) -> Hook:
    """Record a training."""
    params = read_params(call.argument("params"))
    boosting = begin(call, params.get("objective"))
    if boosting is None:
        yield
        return
    rounds = _prepare(call, boosting, params)
    with boosting.current():
        yield
    if call.error is None:
        with guard("recording early stopping"):
            rounds.log_stopping(call.result.best_iteration)
        with guard("recording a booster"):
            log_booster(boosting, call.result)


@lightgbm.around("lightgbm.engine:cv", within=True)
def cv(call: Call) -> Hook:
    """Record a cross-validation: mean, standard deviation and every fold's value, per round."""
    params = read_params(call.argument("params"))
    boosting = begin(call, params.get("objective"))
    if boosting is None:
        yield
        return
    rounds = _prepare(call, boosting, params)
    with boosting.current():
        yield
    if call.error is None:
        with guard("recording early stopping"):
            rounds.log_stopping(rounds.model.best_iteration)


@lightgbm.observe("lightgbm.engine:_agg_cv_result", within=True)
def take_folds(call: Call) -> Hook:
    """Keep what each fold of a cross-validation has scored until the round is recorded."""
    boosting = current_boosting()
    if boosting is not None:
        boosting.folds = call.argument("raw_results")
    yield


@lightgbm.observe("lightgbm.basic:Booster.model_from_string", within=True)
def measure(call: Call) -> Hook:
    """Take the size of a model when its training makes a text of it, which is slow to make again."""
    boosting = current_boosting()
    if boosting is not None:
        boosting.model_size = len(call.argument("model_str", "").encode())
    yield


@lightgbm.around("lightgbm.dask:_train", within=True)
def dask_train(call: Call) -> Hook:
    """Record a training on a cluster, on the client's side."""
    params = read_params(call.argument("params"))
    boosting = begin(call, None, f"Dask{call.argument('model_factory').__name__}")
    if boosting is None:
        yield
        return
    with guard("recording params"):
        boosting.log_params(params)
    yield
    if call.error is None:
        model = call.result
        with guard("recording the rounds of a cluster"):
            boosting.record_history(vars(model).get("_evals_result") or {})
        with guard("recording a booster"):
            log_booster(boosting, model.booster_)


@lightgbm.around("lightgbm.dask:_train_part", within=True)
def dask_train_part(_: Call) -> Hook:
    """Keep a worker's part of a training from being recorded as one."""
    with silence():
        yield


def _prepare(call: Call, boosting: Boosting, params: dict[str, Any]) -> Rounds:
    """Record what a training is given, and have its rounds recorded; return what records them."""
    with guard("recording params"):
        boosting.log_params({**read_arguments(call, _NO_SETTINGS), **params})
    with guard("recording the model that a training goes on from"):
        boosting.log_former_model(call.argument("init_model"))
    if boosting.run.tracking.settings.log_datasets and boosting.is_first:
        with guard("describing a data set"):
            _log_data(call, boosting)
    rounds = Rounds(boosting)
    # Without an order of their own, callbacks get one by their places counted from the end.
    callbacks = prepend(call.argument("callbacks"), rounds)
    if callbacks is not None:
        call.replace_argument("callbacks", callbacks)
    return rounds


def _log_data(call: Call, boosting: Boosting) -> None:
    from autolog.datasets import variable_name
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
        # Of the first metric on data other than the training's: its place among the results, and its values.
        self._watched: int | None = None
        self._scores: list[float] = []

    def __call__(self, env: Any) -> None:
        """Log what LightGBM has evaluated after a round."""
        with guard("recording a round of LightGBM"):
            boosting, results, step = self._boosting, env.evaluation_result_list, env.iteration
            if self.model is None:
                self.model = env.model
                boosting.first_round = env.begin_iteration
                self._watched = _find_watched(env)
            boosting.last_round = step
            for result in results or ():
                data, metric = _names(result)
                if len(result) == _SIZE_IN_VALIDATION:
                    boosting.record(step, data, metric, result[2], "-mean")
                    boosting.record(step, data, metric, result[4], "-std")
                else:
                    boosting.record(step, data, metric, result[2])
            if self._watched is not None:
                self._scores.append(results[self._watched][2])
            for fold, scored in enumerate(boosting.folds):
                for result in scored:
                    boosting.record(step, *_names(result), result[2], f"-fold_{fold}")
            boosting.folds = ()

    def log_stopping(self, best_iteration: int) -> None:
        """Log where early stopping has found the best round.

        Args:
            best_iteration: counted from 1, as LightGBM does; 0 or less where nothing was to stop early.
        """
        if best_iteration > 0:
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


# In a cross-validation a result has the standard deviation beside it.
_SIZE_IN_VALIDATION: Final = 5


def log_booster(boosting: Boosting, booster: Any) -> None:
    """Log what a trained booster is: its trees, its size and the importances of its features."""
    boosting.log_model(booster)
    boosting.log_results({"num_trees": booster.num_trees(), "model_size": boosting.model_size})
    names = booster.feature_name()
    for kind in IMPORTANCES:
        values = booster.feature_importance(kind, iteration=-1).tolist()
        boosting.log_importances(kind, dict(zip(names, values, strict=True)))
