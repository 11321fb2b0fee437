"""Record XGBoost: train, cv and the Dask API, with every metric of every round as it comes."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.integrations.boosting import (
    Boosting,
    begin,
    current_boosting,
    is_called_by,
    listed,
    prepend,
    read_arguments,
    read_params,
)

xgboost: Final = Integration("xgboost", requires="xgboost>=2.1")

IMPORTANCES: Final = ("weight", "gain", "cover", "total_gain", "total_cover")

_NO_SETTINGS: Final = frozenset(
    {"params", "dtrain", "evals", "evals_result", "xgb_model", "callbacks", "folds", "client", "coll_cfg", "as_pandas"}
)


@xgboost.around("xgboost.training:train", within=True)
def train(call: Call) -> Hook:
    """Record a training; of a distributed one, its first worker's, unless the client's side is recorded."""
    params = read_params(call.argument("params"))
    boosting = None if _is_a_worker() else begin(call, call.argument("obj") or params.get("objective"))
    if boosting is None:
        yield
        return
    rounds = _prepare(call, boosting, params)
    yield
    if call.error is None:
        with guard("recording a booster"):
            log_booster(boosting, call.result)
        _log_stopping(boosting, rounds)


@xgboost.around("xgboost.training:cv", within=True)
def cv(call: Call) -> Hook:
    """Record a cross-validation: mean, standard deviation and every fold's value, per round."""
    params = read_params(call.argument("params"))
    boosting = begin(call, call.argument("obj") or params.get("objective"))
    if boosting is None:
        yield
        return
    rounds = _prepare(call, boosting, params)
    with boosting.current():
        yield
    if call.error is None:
        _log_stopping(boosting, rounds)


@xgboost.observe("xgboost.training:_PackedBooster.eval", within=True)
def evaluate_folds(call: Call) -> Hook:
    """Log what each fold of a cross-validation has scored."""
    yield
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
    params = read_params(call.argument("params"))
    boosting = begin(call, call.argument("obj") or params.get("objective"))
    if boosting is None:
        yield
        return
    _prepare(call, boosting, params)
    yield
    if isinstance(call.result, dict):
        _log_remote(boosting, call.result["booster"], call.result["history"], call.argument("xgb_model"))


@xgboost.around("xgboost.dask:DaskScikitLearnBase._client_sync", within=True)
def dask_fit(call: Call) -> Hook:
    """Record the fit of a Dask estimator; what else it asks of the cluster is no training."""
    model = call.instance
    is_fit = getattr(call.argument("func"), "__name__", "") == "_fit_async"
    boosting = begin(call, None, type(model).__name__) if is_fit else None
    if boosting is None:
        yield
        return
    with guard("recording params"):
        boosting.log_params({**model.get_xgb_params(), "num_boost_round": model.get_num_boosting_rounds()})
    yield
    if call.error is None and "_Booster" in vars(model):
        _log_remote(boosting, model.get_booster(), vars(model).get("evals_result_", {}), call.kwargs.get("xgb_model"))


def _is_a_worker() -> bool:
    """Say whether this trains a part of what is recorded elsewhere: by a client, or by the first of several ranks."""
    collective: Any = importlib.import_module("xgboost.collective")
    if not collective.is_distributed():
        return False
    return collective.get_rank() != 0 or is_called_by("xgboost.dask", "xgboost.spark.core")


def _prepare(call: Call, boosting: Boosting, params: dict[str, Any]) -> Any:
    """Record what a training is given, and have its rounds recorded; return what records them."""
    with guard("recording params"):
        boosting.log_params({**read_arguments(call, _NO_SETTINGS), **params})
    former = call.argument("xgb_model")
    with guard("recording the model that a training goes on from"):
        boosting.log_former_model(former)
    if boosting.run.tracking.settings.log_datasets and boosting.is_first:
        with guard("describing a data set"):
            _log_data(call, boosting)
    if "dask" in call.function.__module__:
        return None
    rounds = _rounds_class()(boosting, is_continued=former is not None)
    callbacks = prepend(call.argument("callbacks"), rounds)
    if callbacks is not None:
        call.replace_argument("callbacks", callbacks)
    return rounds


def _log_data(call: Call, boosting: Boosting) -> None:
    from autolog.datasets import variable_name
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


def _log_stopping(boosting: Boosting, rounds: Any) -> None:
    with guard("recording early stopping"):
        if rounds is not None and rounds.best_round is not None:
            boosting.log_stopping(rounds.best_round, rounds.best_score)


def _log_remote(boosting: Boosting, booster: Any, history: Any, former: Any) -> None:
    with guard("recording the rounds of a cluster"):
        first_round = former.num_boosted_rounds() if hasattr(former, "num_boosted_rounds") else 0
        boosting.record_history(history, first_round)
        best = _read_best(booster)
        if best[0] is not None:
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
