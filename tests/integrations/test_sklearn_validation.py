"""A cross-validation is one run; its folds, sizes, values and permutations are steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import autolog
from autolog.entities import Run, RunStatus

FEATURES, TARGETS = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def only_run() -> Run:
    assert autolog.flush(60)
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    return run


def history(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def figure(run: Run, name: str) -> Any:
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return json.loads((folder / "figures" / f"{name}.json").read_text())["data"]


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_cross_validate_has_its_folds_as_steps_wherever_they_were_trained(backend: str) -> None:
    model = make_pipeline(StandardScaler(), TREE)
    with joblib.parallel_backend(backend, **({} if backend == "sequential" else {"n_jobs": 2})):
        scores = cross_validate(
            model, FEATURES, TARGETS, cv=KFold(4), scoring=["accuracy", "f1_macro"], return_train_score=True
        )
    run = only_run()
    assert run.info.run_name == "cross_validate(Pipeline(DecisionTreeClassifier))"
    assert run.info.status is RunStatus.FINISHED
    for key, values in scores.items():
        assert history(run, key) == list(enumerate(values))
        assert run.data.metrics[f"mean_{key}"] == pytest.approx(np.mean(values))
        assert run.data.metrics[f"std_{key}"] == pytest.approx(np.std(values))
    assert run.data.params["cv"] == "KFold(n_splits=4, random_state=None, shuffle=False)"
    assert run.data.params["scoring"] == "['accuracy', 'f1_macro']"
    assert run.data.params["decisiontreeclassifier__random_state"] == "0"
    assert run.inputs.dataset_inputs[0].dataset.name == "FEATURES"
    assert figure(run, "cross_validation")["scores"]["test_accuracy"] == list(scores["test_accuracy"])


def test_cross_val_score_is_recorded_once_though_it_calls_cross_validate() -> None:
    scores = cross_val_score(TREE, FEATURES, TARGETS, cv=3)
    run = only_run()
    assert run.info.run_name == "cross_val_score(DecisionTreeClassifier)"
    assert history(run, "test_score") == list(enumerate(scores))
    assert run.data.tags["estimator_name"] == "DecisionTreeClassifier"


def test_cross_val_predict_is_a_run_with_params_and_data() -> None:
    predicted = cross_val_predict(TREE, FEATURES, TARGETS, cv=3)
    run = only_run()
    assert (run.data.params["method"], run.data.params["cv"]) == ("predict", "3")
    assert len(run.inputs.dataset_inputs) == 1
    autolog.disable()
    np.testing.assert_array_equal(predicted, cross_val_predict(TREE, FEATURES, TARGETS, cv=3))


def test_a_learning_curve_has_its_sizes_as_steps() -> None:
    sizes, train, test = learning_curve(
        TREE, FEATURES, TARGETS, train_sizes=[0.5, 1.0], cv=3, shuffle=True, random_state=1
    )
    run = only_run()
    assert history(run, "mean_test_score") == list(zip(sizes, test.mean(axis=1), strict=True))
    assert history(run, "std_train_score") == list(zip(sizes, train.std(axis=1), strict=True))
    drawn = figure(run, "learning_curve")
    assert (drawn["sizes"], drawn["test_scores"]) == (sizes.tolist(), test.tolist())


def test_a_validation_curve_has_the_values_of_its_param_as_steps() -> None:
    _, test = validation_curve(TREE, FEATURES, TARGETS, param_name="max_depth", param_range=[1, 4], cv=3)
    run = only_run()
    assert history(run, "mean_test_score") == list(enumerate(test.mean(axis=1)))
    assert (run.data.params["param_name"], run.data.params["param_range"]) == ("max_depth", "[1, 4]")
    assert figure(run, "validation_curve")["values"] == [1, 4]


def test_a_permutation_test_has_its_permutations_as_steps() -> None:
    score, permuted, pvalue = permutation_test_score(TREE, FEATURES, TARGETS, n_permutations=3, cv=2, random_state=0)
    run = only_run()
    assert (run.data.metrics["score"], run.data.metrics["pvalue"]) == (score, pvalue)
    assert history(run, "permutation_score") == list(enumerate(permuted))


def test_a_param_of_the_estimator_and_an_argument_of_the_same_name_are_both_kept() -> None:
    cross_val_score(TREE, FEATURES, TARGETS, cv=2, params=None)
    assert only_run().data.params["random_state"] == "0"
    permutation_test_score(TREE, FEATURES, TARGETS, n_permutations=1, cv=2, random_state=7)
    params = autolog.last_active_run().data.params
    assert (params["random_state"], params["permutation_test_score.random_state"]) == ("0", "7")


def test_a_generator_of_splits_is_left_to_the_function() -> None:
    splits = ((train, test) for train, test in KFold(3).split(FEATURES))
    assert len(cross_val_score(TREE, FEATURES, TARGETS, cv=splits)) == 3
    assert only_run().data.params["cv"] == "builtins.generator"


class Unlucky(DecisionTreeClassifier):
    """A classifier that does not learn from some data."""

    def fit(self, X: Any, y: Any) -> Any:
        if y[0] != 0:
            raise ValueError("not these")
        return super().fit(X, y)


def test_a_validation_that_fails_is_a_failed_run_and_a_failed_fold_a_step_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="fits failed"):
        cross_val_score(GaussianNB(var_smoothing=-1), FEATURES, TARGETS, cv=2)
    assert only_run().info.status is RunStatus.FAILED
    with pytest.warns(FitFailedWarning):
        cross_val_score(Unlucky(), FEATURES, TARGETS, cv=KFold(3))
    last = autolog.last_active_run()
    values = [point.value for point in autolog.get_metric_history(last.info.run_id, "test_score")]
    assert [bool(np.isnan(value)) for value in values] == [True, False, False]
    assert last.info.status is RunStatus.FINISHED


def test_validations_in_a_users_run_are_recorded_as_fits_are() -> None:
    with autolog.start_run(run_name="mine"):
        cross_val_score(TREE, FEATURES, TARGETS, cv=2)
        cross_val_score(TREE, FEATURES, TARGETS, cv=2)
    runs = autolog.search_runs(search_all_experiments=True, output_format="list")
    assert sorted(run.info.run_name for run in runs) == ["cross_val_score(DecisionTreeClassifier)", "mine"]
    assert all(len(history(run, "test_score")) == 2 for run in runs)
