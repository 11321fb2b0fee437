"""What XGBoost's documentation shows does the same with autolog and without: models, results, output, objects."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("xgboost")

import xgboost
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import KFold

import autolog

FEATURES, TARGETS = load_breast_cancer(return_X_y=True)
PARAMS = {"max_depth": 2, "nthread": 1, "objective": "binary:logistic"}


def matrices() -> tuple[Any, Any]:
    return xgboost.DMatrix(FEATURES[:400], TARGETS[:400]), xgboost.DMatrix(FEATURES[400:], TARGETS[400:])


def content(booster: Any) -> tuple[Any, ...]:
    return bytes(booster.save_raw("json")), booster.attributes(), pickle.dumps(booster), sorted(vars(booster))


def squared_log(predictions: Any, data: Any) -> tuple[Any, Any]:
    predictions = np.maximum(predictions, -1 + 1e-6)
    labels = data.get_label()
    gradient = (np.log1p(predictions) - np.log1p(labels)) / (predictions + 1)
    hessian = (-np.log1p(predictions) + np.log1p(labels) + 1) / np.power(predictions + 1, 2)
    return gradient, hessian


def rmsle(predictions: Any, data: Any) -> tuple[str, float]:
    elements = np.power(np.log1p(data.get_label()) - np.log1p(np.maximum(predictions, -1 + 1e-6)), 2)
    return "PyRMSLE", float(np.sqrt(np.mean(elements)))


def a_custom_objective_and_metric() -> Any:
    training, held_out = matrices()
    results: dict[str, Any] = {}
    booster = xgboost.train(
        {"tree_method": "hist", "seed": 1994, "disable_default_eval_metric": 1, "nthread": 1},
        training,
        num_boost_round=6,
        obj=squared_log,
        custom_metric=rmsle,
        evals=[(training, "dtrain"), (held_out, "dtest")],
        evals_result=results,
    )
    return content(booster), results


def a_schedule_of_learning_rates_and_the_best_model() -> Any:
    training, held_out = matrices()
    callbacks = (
        xgboost.callback.LearningRateScheduler([0.9, 0.5] + [0.3] * 28),
        xgboost.callback.EarlyStopping(rounds=2, metric_name="error", data_name="Valid", save_best=True),
        xgboost.callback.EvaluationMonitor(period=2),
    )
    booster = xgboost.train(
        PARAMS | {"eval_metric": ["error", "rmse"]},
        training,
        30,
        evals=[(training, "Train"), (held_out, "Valid")],
        callbacks=callbacks,
    )
    return content(booster), booster.best_iteration, booster.best_score, vars(callbacks[1])


class StopAtThird(xgboost.callback.TrainingCallback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.seen.append((epoch, copy.deepcopy(evals_log), model.num_boosted_rounds()))
        return epoch == 2


def a_callback_that_stops_and_is_pickled() -> Any:
    training, _ = matrices()
    callback = StopAtThird()
    booster = xgboost.train(PARAMS, training, 30, evals=[(training, "Train")], callbacks=[callback])
    return content(booster), pickle.dumps(callback), vars(callback)


def cross_validations() -> Any:
    training, _ = matrices()

    def weigh(train: Any, test: Any, params: Any) -> Any:
        params["scale_pos_weight"] = float(np.sum(train.get_label() == 0)) / np.sum(train.get_label() == 1)
        return train, test, params

    folds = list(KFold(3).split(FEATURES[:400]))
    tables = [
        xgboost.cv(PARAMS, training, 4, nfold=3, metrics={"auc"}, seed=0, fpreproc=weigh),
        xgboost.cv(PARAMS, training, 4, folds=folds, custom_metric=rmsle, verbose_eval=True),
        xgboost.cv(PARAMS, training, 20, stratified=True, early_stopping_rounds=2, show_stdv=False),
    ]
    return [table.to_csv() for table in tables], np.random.get_state()[1].tolist()  # type: ignore[union-attr]


def other_boosters_and_a_refreshed_one() -> Any:
    training, held_out = matrices()
    boosters = [
        xgboost.train(PARAMS | extra, training, 4, evals=[(held_out, "test")])
        for extra in ({"booster": "dart", "rate_drop": 0.5}, {"booster": "gblinear"}, {"num_parallel_tree": 3})
    ]
    refreshing = PARAMS | {"process_type": "update", "updater": "refresh", "refresh_leaf": True}
    boosters.append(xgboost.train(refreshing, held_out, 4, evals=[(held_out, "test")], xgb_model=boosters[2]))
    return [content(booster) for booster in boosters]


class Batches(xgboost.DataIter):
    def __init__(self) -> None:
        self.place = 0
        super().__init__()

    def next(self, input_data: Any) -> bool:
        if self.place == 4:
            return False
        rows = slice(self.place * 100, self.place * 100 + 100)
        input_data(data=FEATURES[rows], label=TARGETS[rows])
        self.place += 1
        return True

    def reset(self) -> None:
        self.place = 0


def matrices_of_batches() -> Any:
    batches = Batches()
    training = xgboost.QuantileDMatrix(batches)
    held_out = xgboost.QuantileDMatrix(FEATURES[400:], TARGETS[400:], ref=training)
    booster = xgboost.train(PARAMS, training, 3, evals=[(held_out, "test")])
    return content(booster), batches.place


def the_scikit_learn_api() -> Any:
    features, targets = load_iris(return_X_y=True)
    stop = xgboost.callback.EarlyStopping(rounds=2)
    classifier = xgboost.XGBClassifier(n_estimators=8, n_jobs=1, callbacks=[stop], eval_metric="mlogloss")
    classifier.fit(features, targets, eval_set=[(features, targets)])
    forest = xgboost.XGBRFRegressor(n_estimators=5, n_jobs=1, random_state=0).fit(features, targets)
    ranker = xgboost.XGBRanker(n_estimators=3, n_jobs=1)
    ranker.fit(features, targets, qid=np.repeat(np.arange(15), 10), eval_set=None)
    fitted = [content(model.get_booster()) for model in (classifier, forest, ranker)]
    kept = (
        classifier.callbacks == [stop],
        classifier.evals_result(),
        sorted(vars(classifier)),
        clone(forest).get_params(),
    )
    return fitted, kept, pickle.dumps(forest), classifier.feature_importances_.tolist()


@pytest.mark.parametrize(
    "compute",
    [
        a_custom_objective_and_metric,
        a_schedule_of_learning_rates_and_the_best_model,
        a_callback_that_stops_and_is_pickled,
        cross_validations,
        other_boosters_and_a_refreshed_one,
        matrices_of_batches,
        the_scikit_learn_api,
    ],
    ids=lambda compute: compute.__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_it_is_the_same_with_autolog(compute: Callable[[], Any], capfd: pytest.CaptureFixture[str]) -> None:
    with autolog.enable(strict=True):
        with_it = compute()
        assert autolog.flush(60)
        assert len(autolog.search_runs(search_all_experiments=True, output_format="list")) >= 1
    printed = capfd.readouterr().out
    # A NaN is not equal to itself, and its text is.
    assert repr(compute()) == repr(with_it)
    assert capfd.readouterr().out == printed
