"""What LightGBM's documentation shows does the same with autolog and without: models, results, output, objects."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightgbm")

import lightgbm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GroupKFold, KFold

import autolog

FEATURES, TARGETS = load_breast_cancer(return_X_y=True)
PARAMS = {"objective": "binary", "num_leaves": 5, "num_threads": 1, "verbose": -1, "deterministic": True}


def data(**arguments: Any) -> Any:
    return lightgbm.Dataset(FEATURES[:400], TARGETS[:400], **arguments)


def content(booster: Any) -> tuple[Any, ...]:
    return booster.model_to_string(), booster.best_iteration, dict(booster.best_score), pickle.dumps(booster)


def loglikelihood(predictions: Any, training: Any) -> tuple[Any, Any]:
    probabilities = 1.0 / (1.0 + np.exp(-predictions))
    return probabilities - training.get_label(), probabilities * (1.0 - probabilities)


def binary_error(predictions: Any, evaluated: Any) -> list[tuple[str, float, bool]]:
    wrong = evaluated.get_label() != (predictions > 0)
    return [("error", float(np.mean(wrong)), False), ("wrong", float(np.sum(wrong)), False)]


def a_custom_objective_and_metrics() -> Any:
    training = data(free_raw_data=False)
    params = PARAMS | {"objective": loglikelihood, "metric": "auc"}
    booster = lightgbm.train(params, training, 6, valid_sets=[training], feval=[binary_error])
    return content(booster), params["objective"] is loglikelihood, sorted(vars(training))


def callbacks_of_every_kind() -> Any:
    training = data()
    results: dict[str, Any] = {}

    def last(env: Any) -> None:
        results.setdefault("rounds", []).append((env.iteration, env.begin_iteration, env.end_iteration))

    callbacks = [
        lightgbm.reset_parameter(learning_rate=lambda place: 0.3 * (0.9**place)),
        lightgbm.log_evaluation(period=2),
        lightgbm.early_stopping(3, min_delta=[0.001]),
        last,
    ]
    before = list(callbacks)
    booster = lightgbm.train(
        PARAMS | {"verbose": 1},
        training,
        40,
        valid_sets=[training.create_valid(FEATURES[400:], TARGETS[400:])],
        callbacks=callbacks,
    )
    return content(booster), results, vars(last), callbacks == before, callbacks[2].best_iter


def a_callback_that_stops() -> Any:
    def stop(env: Any) -> None:
        if env.iteration == 4:
            raise lightgbm.callback.EarlyStopException(2, env.evaluation_result_list)

    training = data()
    return content(lightgbm.train(PARAMS, training, 40, valid_sets=[training], callbacks=(stop,)))


def cross_validations() -> Any:
    groups = np.repeat(np.arange(40), 10)
    results = [
        lightgbm.cv(PARAMS, data(), 4, nfold=3, metrics=["auc", "binary_logloss"], return_cvbooster=True),
        lightgbm.cv(PARAMS, data(), 4, folds=KFold(3), eval_train_metric=True, feval=binary_error),
        lightgbm.cv(PARAMS, data(), 4, folds=GroupKFold(4).split(FEATURES[:400], groups=groups)),
        lightgbm.cv(PARAMS, data(), 30, callbacks=[lightgbm.early_stopping(2), lightgbm.log_evaluation(3)]),
    ]
    boosters = results[0].pop("cvbooster")
    return results, boosters.model_to_string(), boosters.best_iteration


def other_boosters_and_continued_ones() -> Any:
    boosters = [
        lightgbm.train(PARAMS | extra, data(free_raw_data=False), 4)
        for extra in ({"boosting": "dart"}, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5})
    ]
    boosters.append(lightgbm.train(PARAMS, data(free_raw_data=False), 3, init_model=boosters[0]))
    kept = lightgbm.train(PARAMS, data(), 3, keep_training_booster=True)
    kept.update()
    boosters.append(kept.refit(FEATURES[400:], TARGETS[400:]))
    return [content(booster) for booster in boosters]


def data_in_files_and_parts() -> Any:
    path = Path("training.bin").absolute()
    path.unlink(missing_ok=True)
    data().save_binary(path)
    stored = lightgbm.Dataset(path)
    whole = data(free_raw_data=False).construct()
    boosters = [lightgbm.train(PARAMS, one, 3) for one in (stored, whole.subset(list(range(200))))]
    return [content(booster) for booster in boosters], whole.get_data() is whole.data


def the_scikit_learn_api() -> Any:
    features, targets = load_iris(return_X_y=True)
    results: dict[str, Any] = {}
    callbacks = [lightgbm.record_evaluation(results)]
    common = {"n_estimators": 5, "num_leaves": 5, "n_jobs": 1, "verbose": -1}
    classifier = lightgbm.LGBMClassifier(**common)
    classifier.fit(features, targets, eval_X=features[::2], eval_y=targets[::2], callbacks=callbacks)
    regressor = lightgbm.LGBMRegressor(**common).fit(features, targets, init_model=None)
    ranker = lightgbm.LGBMRanker(**common).fit(features, targets, group=[10] * 15)
    fitted = [content(model.booster_) for model in (classifier, regressor, ranker)]
    return (
        fitted,
        results,
        len(callbacks),
        sorted(vars(classifier)),
        clone(ranker).get_params(),
        pickle.dumps(regressor),
    )


def without_times(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().out.splitlines() if "seconds" not in line]


@pytest.mark.parametrize(
    "compute",
    [
        a_custom_objective_and_metrics,
        callbacks_of_every_kind,
        a_callback_that_stops,
        cross_validations,
        other_boosters_and_continued_ones,
        data_in_files_and_parts,
        the_scikit_learn_api,
    ],
    ids=lambda compute: compute.__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_it_is_the_same_with_autolog(
    compute: Callable[[], Any], capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with autolog.enable(strict=True):
        with_it = compute()
        assert autolog.flush(60)
        assert len(autolog.search_runs(search_all_experiments=True, output_format="list")) >= 1
    printed = without_times(capfd)
    # A NaN is not equal to itself, and its text is.
    assert repr(compute()) == repr(with_it)
    assert without_times(capfd) == printed
