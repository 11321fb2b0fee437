"""Record XGBoost: train, cv and the Dask API, with every metric of every round as it comes.

What is recorded is the business of ``xgboost_training`` and ``boosting``, which are imported with the first training.
"""

from __future__ import annotations

import sys
from typing import Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.predictions import note_predictions

xgboost: Final = Integration("xgboost", requires="xgboost>=2.1")


@xgboost.around("xgboost.training:train", within=True)
def train(call: Call) -> Hook:
    """Record a training; of a distributed one, its first worker's, unless the client's side is recorded."""
    from autolog.integrations import xgboost_training as training

    boosting = None if training.is_a_worker() else training.begin_training(call)
    rounds = None if boosting is None else training.watch_rounds(call, boosting)
    yield
    if boosting is not None and call.error is None:
        with guard("recording a booster"):
            training.log_booster(boosting, call.result)
        training.log_stopping(boosting, rounds)


@xgboost.around("xgboost.training:cv", within=True)
def cv(call: Call) -> Hook:
    """Record a cross-validation: mean, standard deviation and every fold's value, per round."""
    from autolog.integrations import xgboost_training as training

    boosting = training.begin_training(call)
    if boosting is None:
        yield
        return
    rounds = training.watch_rounds(call, boosting)
    with boosting.current():
        yield
    if call.error is None:
        training.log_stopping(boosting, rounds)


@xgboost.observe("xgboost.training:_PackedBooster.eval", within=True)
def evaluate_folds(call: Call) -> Hook:
    """Log what each fold of a cross-validation has scored."""
    yield
    from autolog.integrations.boosting import current_boosting

    boosting = current_boosting()
    if call.error is None and boosting is not None:
        for fold, line in enumerate(call.result):
            for item in line.split()[1:]:
                name, _, value = item.rpartition(":")
                data, _, metric = name.partition("-")
                boosting.record(call.argument("iteration"), data, metric, float(value), f"-fold_{fold}")


@xgboost.around("xgboost.dask:train", within=True)
def dask_train(call: Call) -> Hook:
    """Record a training on a cluster, on the client's side."""
    from autolog.integrations import xgboost_training as training

    boosting = training.begin_training(call)
    yield
    # With an asynchronous client the result is yet to come.
    if boosting is not None and isinstance(call.result, dict):
        training.log_remote(boosting, call.result["booster"], call.result["history"], call.argument("xgb_model"))


@xgboost.around("xgboost.dask:DaskScikitLearnBase._client_sync", within=True)
def dask_fit(call: Call) -> Hook:
    """Record the fit of a Dask estimator; what else it asks of the cluster is no training."""
    from autolog.integrations import xgboost_training as training
    from autolog.integrations.boosting import begin

    model = call.instance
    is_fit = getattr(call.argument("func"), "__name__", "") == "_fit_async"
    boosting = begin(call, None, type(model).__name__) if is_fit else None
    if boosting is not None:
        with guard("recording params"):
            boosting.log_params({**model.get_xgb_params(), "num_boost_round": model.get_num_boosting_rounds()})
    yield
    if boosting is not None and call.error is None and "_Booster" in vars(model):
        history = vars(model).get("evals_result_", {})
        training.log_remote(boosting, model.get_booster(), history, call.kwargs.get("xgb_model"))


@xgboost.observe("xgboost.core:Booster.predict", "xgboost.core:Booster.inplace_predict")
def predict(call: Call) -> Hook:
    """Note what a booster has predicted, so that metrics of it are attributed to its run."""
    yield
    if call.error is None:
        note_predictions(call.instance, call.argument("data"), call.result, sys._getframe())  # noqa: SLF001  the documented way to the caller
