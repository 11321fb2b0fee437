"""Record LightGBM: train, cv and the Dask API, with every metric of every round as it comes.

What is recorded is the business of ``lightgbm_training`` and ``boosting``, which are imported with the first training.
"""

from __future__ import annotations

import sys
from typing import Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.predictions import note_predictions
from autolog.training import silence

lightgbm: Final = Integration("lightgbm", requires="lightgbm>=4.3")


@lightgbm.around("lightgbm.engine:train", within=True)
def train(call: Call) -> Hook:
    """Record a training."""
    from autolog.integrations import lightgbm_training as training

    boosting = training.begin_training(call)
    if boosting is None:
        yield
        return
    rounds = training.watch_rounds(call, boosting)
    with boosting.current():
        yield
    if call.error is None:
        with guard("recording a booster"):
            training.log_booster(boosting, call.result)
        rounds.log_stopping(call.result.best_iteration)


@lightgbm.around("lightgbm.engine:cv", within=True)
def cv(call: Call) -> Hook:
    """Record a cross-validation: mean, standard deviation and every fold's value, per round."""
    from autolog.integrations import lightgbm_training as training

    boosting = training.begin_training(call)
    if boosting is None:
        yield
        return
    rounds = training.watch_rounds(call, boosting)
    with boosting.current():
        yield
    if call.error is None and rounds.model is not None:
        rounds.log_stopping(rounds.model.best_iteration)


@lightgbm.observe("lightgbm.engine:_agg_cv_result", within=True)
def take_folds(call: Call) -> Hook:
    """Keep what each fold of a cross-validation has scored until the round is recorded."""
    from autolog.integrations.boosting import current_boosting

    boosting = current_boosting()
    if boosting is not None:
        boosting.folds = call.argument("raw_results")
    yield


@lightgbm.observe("lightgbm.basic:Booster.model_from_string", within=True)
def measure(call: Call) -> Hook:
    """Take the size of a model when its training makes a text of it, which is slow to make again."""
    from autolog.integrations.boosting import current_boosting

    boosting = current_boosting()
    if boosting is not None:
        boosting.model_size = len(call.argument("model_str", "").encode())
    yield


@lightgbm.around("lightgbm.dask:_train", within=True)
def dask_train(call: Call) -> Hook:
    """Record a training on a cluster, on the client's side."""
    from autolog.integrations import lightgbm_training as training
    from autolog.integrations.boosting import begin

    boosting = begin(call, None, f"Dask{call.argument('model_factory').__name__}")
    if boosting is not None:
        with guard("recording params"):
            boosting.log_params(call.argument("params"))
    yield
    if boosting is not None and call.error is None:
        training.log_remote(boosting, call.result)


@lightgbm.around("lightgbm.dask:_train_part", within=True)
def dask_train_part(_: Call) -> Hook:
    """Keep a worker's part of a training from being recorded as one."""
    with silence():
        yield


@lightgbm.observe("lightgbm.basic:Booster.predict")
def predict(call: Call) -> Hook:
    """Note what a booster has predicted, so that metrics of it are attributed to its run."""
    yield
    if call.error is None:
        note_predictions(call.instance, call.argument("data"), call.result, sys._getframe())  # noqa: SLF001  the documented way to the caller
