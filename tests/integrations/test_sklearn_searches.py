"""Searches are a run with a child for every candidate, wherever the folds were trained."""

from __future__ import annotations

import csv
import io
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  it is what makes them importable
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import autolog
from autolog.entities import Run, RunStatus

FEATURES, TARGETS = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)
DEPTHS = {"max_depth": [1, 2, 3]}


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def recorded() -> tuple[Run, list[Run]]:
    """Return the one outermost run, and its children in the order of their candidates."""
    assert autolog.flush(60)
    runs = autolog.search_runs(search_all_experiments=True, output_format="list", max_results=5000)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in children)
    return parent, children


def history(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def artifact(run: Run, path: str) -> str:
    return (Path(run.info.artifact_uri.removeprefix("file://")) / path).read_text()


def test_a_grid_search_has_a_child_with_params_scores_and_folds_for_every_candidate() -> None:
    before = int(time.time() * 1000)
    search = GridSearchCV(TREE, DEPTHS, cv=4, return_train_score=True).fit(FEATURES, TARGETS)
    after = int(time.time() * 1000) + 1
    results = search.cv_results_
    parent, children = recorded()
    assert parent.data.params["best_max_depth"] == str(search.best_params_["max_depth"])
    assert parent.data.metrics["best_cv_score"] == search.best_score_
    assert parent.data.metrics["best_index"] == search.best_index_
    assert len(children) == 3
    ends = []
    for child in sorted(children, key=lambda run: run.data.params["max_depth"]):
        index = int(child.data.params["max_depth"]) - 1
        assert child.info.run_name == f"DecisionTreeClassifier(max_depth={index + 1})"
        assert child.info.status is RunStatus.FINISHED
        assert child.data.tags["estimator_name"] == "DecisionTreeClassifier"
        assert child.data.tags["mlflow.autologging"] == "sklearn"
        assert child.data.params.keys() == TREE.get_params().keys()
        for name in ("mean_test_score", "std_test_score", "rank_test_score", "mean_train_score", "mean_fit_time"):
            assert child.data.metrics[name] == results[name][index]
        for kind in ("test", "train"):
            expected = [(step, results[f"split{step}_{kind}_score"][index]) for step in range(4)]
            assert history(child, f"split_{kind}_score") == expected
        assert before <= child.info.start_time <= (child.info.end_time or 0) <= after
        ends.append((child.info.start_time, child.info.end_time or 0))
    # One after the other, as they were trained.
    assert all(end <= start + 1 for (_, end), (start, _) in itertools.pairwise(ends))


def test_the_table_of_a_search_is_the_one_that_pandas_writes() -> None:
    pandas = pytest.importorskip("pandas")
    grid = [{"max_depth": [1, 2]}, {"criterion": ["gini", "entropy"], "max_features": [None]}]
    search = GridSearchCV(TREE, grid, cv=2).fit(FEATURES, TARGETS)
    written = artifact(recorded()[0], "cv_results.csv")
    table = list(csv.reader(io.StringIO(written)))
    expected = list(csv.reader(io.StringIO(pandas.DataFrame(search.cv_results_).to_csv(index=False))))
    assert table[0] == expected[0]
    for row, other in zip(table[1:], expected[1:], strict=True):
        for cell, same in zip(row, other, strict=True):
            # pandas writes the whole numbers of a column with gaps as 1.0.
            assert cell == same or float(cell) == float(same)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_no_fold_is_lost_and_no_run_is_stray_in_workers(backend: str) -> None:
    with joblib.parallel_backend(backend, n_jobs=2):
        search = GridSearchCV(TREE, DEPTHS, cv=3).fit(FEATURES, TARGETS)
    parent, children = recorded()
    assert parent.info.run_name == "GridSearchCV(DecisionTreeClassifier)"
    assert len(children) == 3
    for child in children:
        index = int(child.data.params["max_depth"]) - 1
        assert history(child, "split_test_score") == [
            (step, search.cv_results_[f"split{step}_test_score"][index]) for step in range(3)
        ]
        assert parent.info.start_time <= child.info.start_time <= (child.info.end_time or 0)


@pytest.mark.parametrize(
    "search",
    [
        RandomizedSearchCV(TREE, DEPTHS, n_iter=2, cv=2, random_state=0),
        HalvingGridSearchCV(TREE, {"max_depth": [1, 2, 3, 4]}, cv=2, factor=2, min_resources=30),
        HalvingRandomSearchCV(TREE, DEPTHS, n_candidates=3, cv=2, min_resources=30, random_state=0),
    ],
    ids=lambda search: type(search).__name__,
)
def test_every_search_of_scikit_learn_has_its_candidates_in_order(search: Any) -> None:
    search.fit(FEATURES, TARGETS)
    parent, children = recorded()
    results = search.cv_results_
    assert len(children) == len(results["params"])
    found = sorted(
        (run.data.params["max_depth"], run.data.metrics["mean_fit_time"], run.data.metrics.get("iter"))
        for run in children
    )
    rounds = results.get("iter", [None] * len(children))
    assert found == sorted(
        (str(params["max_depth"]), fit_time, iteration)
        for params, fit_time, iteration in zip(results["params"], results["mean_fit_time"], rounds, strict=True)
    )
    if "iter" in results:
        # The folds of a later round were trained later.
        first = max(run.info.end_time or 0 for run in children if run.data.metrics["iter"] == 0)
        later = min(run.info.start_time for run in children if run.data.metrics["iter"] == 1)
        assert first <= later + 1
        assert [value for _, value in history(parent, "n_resources")] == search.n_resources_


def test_several_scores_and_no_refit_are_recorded() -> None:
    GridSearchCV(TREE, DEPTHS, cv=2, scoring=["accuracy", "f1_macro"], refit=False).fit(FEATURES, TARGETS)
    parent, children = recorded()
    assert "best_max_depth" not in parent.data.params
    assert not any(key.startswith("training_") for key in parent.data.metrics)
    assert all(len(history(child, "split_test_f1_macro")) == 2 for child in children)
    assert all({"mean_test_accuracy", "rank_test_f1_macro"} <= child.data.metrics.keys() for child in children)


def test_a_candidate_that_fails_is_a_failed_child_with_its_exception() -> None:
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, -1.0]}, cv=2).fit(FEATURES, TARGETS)
    parent, children = recorded()
    assert parent.info.status is RunStatus.FINISHED
    failed = next(run for run in children if run.data.params["var_smoothing"] == "-1.0")
    well = next(run for run in children if run is not failed)
    assert (well.info.status, failed.info.status) == (RunStatus.FINISHED, RunStatus.FAILED)
    assert "InvalidParameterError" in failed.data.tags["autolog.exception"]
    assert len(history(failed, "split_test_score")) == 2
    assert np.isnan(failed.data.metrics["mean_test_score"])


def test_a_search_that_fails_is_a_failed_run() -> None:
    with pytest.raises(ValueError, match="var_smoothing"):
        GridSearchCV(GaussianNB(), {"var_smoothing": [-1.0]}, cv=2, error_score="raise").fit(FEATURES, TARGETS)
    parent, children = recorded()
    assert (parent.info.status, children) == (RunStatus.FAILED, [])


@pytest.mark.parametrize(("most", "depths"), [("1", {"3"}), ("0", set()), ("7", {"1", "2", "3"})])
def test_a_limit_keeps_the_children_that_are_ranked_best(
    monkeypatch: pytest.MonkeyPatch, most: str, depths: set[str]
) -> None:
    monkeypatch.setenv("AUTOLOG_SEARCH_CHILDREN", most)
    with autolog.enable(strict=True):
        search = GridSearchCV(TREE, DEPTHS, cv=4).fit(FEATURES, TARGETS)
        assert search.best_params_ == {"max_depth": 3}
        parent, children = recorded()
    assert {child.data.params["max_depth"] for child in children} == depths
    assert parent.data.tags.get("autolog.search_children") == (None if most == "7" else most)
    assert len(artifact(parent, "cv_results.csv").splitlines()) == 4


def test_a_candidate_that_replaces_a_step_has_the_params_of_its_own_step() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("tree", TREE)])
    grid = [{"scale": [MinMaxScaler((0, 2)), "passthrough"]}, {"scale": [None, StandardScaler(with_mean=False)]}]
    for candidates in grid:
        GridSearchCV(pipeline, candidates, cv=2).fit(FEATURES, TARGETS)
    assert autolog.flush(60)
    runs = autolog.search_runs(search_all_experiments=True, output_format="list")
    params = {run.data.params["scale"]: run.data.params for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert params["MinMaxScaler()"]["scale__feature_range"] == "(0, 2)"
    assert "scale__with_mean" not in params["MinMaxScaler()"]
    assert not any(key.startswith("scale__") for kind in ("passthrough", "None") for key in params[kind])
    assert params["StandardScaler()"]["scale__with_mean"] == "False"


def test_a_search_inside_a_pipeline_and_one_inside_a_users_run_have_children() -> None:
    with autolog.start_run(run_name="mine") as run:
        make_pipeline(StandardScaler(), GridSearchCV(TREE, DEPTHS, cv=2)).fit(FEATURES, TARGETS)
    parent, children = recorded()
    assert parent.info.run_id == run.info.run_id
    assert len(children) == 3
    assert "best_max_depth" not in parent.data.params


class Search(BaseEstimator):
    """A search of a third party's, which keeps its results as scikit-learn's do."""

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any) -> Search:
        self.best_estimator_ = self.estimator.fit(X, y)
        self.cv_results_ = {
            "params": [{"max_depth": 1}, {"max_depth": 2}],
            "param_max_depth": [1, 2],
            "mean_test_score": [0.5, 0.75],
            "split0_test_score": np.array([0.25, 0.5]),
            "split1_test_score": np.array([0.75, 1.0]),
            "objects": [object(), object()],
        }
        return self


def test_a_search_of_a_third_party_is_known_by_its_results() -> None:
    Search(DecisionTreeClassifier()).fit(FEATURES, TARGETS)
    _, children = recorded()
    assert {run.data.params["max_depth"]: run.data.metrics for run in children} == {
        "1": {"mean_test_score": 0.5, "split_test_score": 0.75},
        "2": {"mean_test_score": 0.75, "split_test_score": 1.0},
    }


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_boosters_inside_a_search_add_nothing_but_the_refit(n_jobs: int) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1)
    with joblib.parallel_backend("threading", n_jobs=n_jobs):
        search = GridSearchCV(model, {"max_depth": [1, 2]}, cv=2)
        search.fit(FEATURES, TARGETS, eval_set=[(FEATURES, TARGETS)], verbose=False)
    parent, children = recorded()
    assert [len(history(child, "split_test_score")) for child in children] == [2, 2]
    assert [step for step, _ in history(parent, "validation_0-mlogloss")] == [0, 1, 2]
    assert parent.data.metrics["training_score"] == search.score(FEATURES, TARGETS)


def test_boosters_in_an_ensemble_leave_the_run_to_it() -> None:
    xgboost = pytest.importorskip("xgboost")
    BaggingClassifier(xgboost.XGBClassifier(n_estimators=2, n_jobs=1), 2, n_jobs=2).fit(FEATURES, TARGETS)
    parent, children = recorded()
    assert (parent.info.run_name, children) == ("BaggingClassifier(XGBClassifier)", [])
    assert "num_trees" not in parent.data.metrics
