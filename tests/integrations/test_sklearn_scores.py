"""What is computed with a recorded model's predictions goes to the model's run, under MLflow's names."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
import pandas as pd
import polars as pl
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.ensemble import IsolationForest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.metrics import accuracy_score, f1_score, get_scorer, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import autolog
from autolog import predictions
from autolog.client import Client
from autolog.entities import Run

X, y = load_breast_cancer(return_X_y=True)
Xtr, Xte, ytr, yte = train_test_split(X, y, random_state=0)


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    predictions._recent.clear()
    with autolog.enable(strict=True):
        yield


def train(**params: Any) -> Any:
    return DecisionTreeClassifier(max_depth=3, random_state=0, **params).fit(Xtr, ytr)


def logged() -> list[dict[str, float]]:
    """Return what each run has beside its training's own metrics, the oldest first."""
    assert autolog.flush(60)
    runs = autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])
    return [
        {
            key: value
            for key, value in run.data.metrics.items()
            if not key.startswith(("training_", "n_iter", "inertia", "best_", "refit_"))
        }
        for run in runs
        if "mlflow.parentRunId" not in run.data.tags
    ]


def only_run() -> Run:
    assert autolog.flush(60)
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    return run


# -- names -------------------------------------------------------------------------------------------------------------


def test_metrics_and_scores_go_to_the_finished_run_under_mlflows_names() -> None:
    model = train()
    pred, proba = model.predict(Xte), model.predict_proba(Xte)
    expected = {
        "accuracy_score_Xte": accuracy_score(yte, pred),
        "f1_score_Xte": f1_score(yte, pred),
        "f1_score-2_Xte": f1_score(yte, y_pred=pred, average="macro"),
        "roc_auc_score_Xte": metrics.roc_auc_score(yte, proba[:, 1]),
        "accuracy_score_Xtr": accuracy_score(ytr, model.predict(Xtr)),
        "DecisionTreeClassifier_score_Xte": model.score(Xte, yte),
        "DecisionTreeClassifier_score_Xtr": model.score(Xtr, y=ytr),
    }
    assert logged() == [expected]
    assert only_run().info.status == "FINISHED"


def test_another_object_of_the_same_name_has_a_number_and_one_without_a_name_is_unknown() -> None:
    model = train()

    def evaluate(Xte: Any) -> None:
        accuracy_score(yte, model.predict(Xte))

    evaluate(Xte)
    evaluate(Xte.copy())
    evaluate(Xte)
    accuracy_score(yte, model.predict(Xte.copy()))
    assert set(logged()[0]) == {
        "accuracy_score_Xte",
        "accuracy_score_Xte-2",
        "accuracy_score-2_Xte",
        "accuracy_score_unknown_dataset",
    }


def test_the_data_are_described_once_as_an_input_for_evaluation() -> None:
    model = train()
    pred = model.predict(Xte)
    accuracy_score(yte, pred)
    f1_score(yte, pred)
    model.score(Xte, yte)
    inputs = {
        (one.dataset.name, *(tag.value for tag in one.tags)): one.dataset for one in only_run().inputs.dataset_inputs
    }
    assert inputs.keys() == {("Xtr", "train"), ("Xte", "eval")}
    assert "[143, 30]" in (inputs["Xte", "eval"].profile or "")


def test_the_calls_are_kept_as_mlflow_keeps_them() -> None:
    pred = train().predict(Xte)
    f1_score(yte, pred, average="macro", sample_weight=[1.0] * len(yte))
    for _ in range(5):
        metrics.zero_one_loss(yte, y_pred=pred, normalize=True)
    run = only_run()
    calls = json.loads(Path(Client().download_artifacts(run.info.run_id, "metric_info.json")).read_bytes())
    assert calls["f1_score_Xte"] == "f1_score(y_true=yte, y_pred=pred, average='macro', sample_weight=<list>)"
    assert calls["zero_one_loss-3_Xte"] == "zero_one_loss(y_true=yte, y_pred=pred, normalize=True)"


def test_a_model_that_is_trained_again_has_its_metrics_in_the_later_run() -> None:
    model = train()
    early = model.predict(Xte)
    model.fit(Xtr, ytr)
    accuracy_score(yte, early)
    f1_score(yte, model.predict(Xte))
    assert [set(one) for one in logged()] == [{"accuracy_score_Xte"}, {"f1_score_Xte"}]


@pytest.mark.parametrize(
    ("compute", "names"),
    [
        (lambda pred: metrics.confusion_matrix(yte, pred), set()),
        (lambda pred: metrics.classification_report(yte, pred, output_dict=True), set()),
        (lambda pred: f1_score(yte, pred, average=None), set()),
        (lambda pred: accuracy_score(yte, pred, normalize=False), {"accuracy_score_Xte"}),
        (lambda pred: f1_score(yte, pred, pos_label=0, sample_weight=np.ones(len(yte))), {"f1_score_Xte"}),
        (lambda pred: metrics.cohen_kappa_score(yte, pred), {"cohen_kappa_score_Xte"}),
        (lambda pred: metrics.adjusted_rand_score(yte, pred), {"adjusted_rand_score_Xte"}),
        (lambda pred: metrics.r2_score(yte, pred, multioutput="raw_values"), set()),
        (lambda pred: metrics.auc(np.arange(9), np.arange(9)), set()),
        (lambda pred: metrics.euclidean_distances(Xte[:3]), set()),
    ],
)
def test_single_numbers_are_logged_and_other_results_are_not(compute: Callable[[Any], Any], names: set[str]) -> None:
    compute(train().predict(Xte))
    assert set(logged()[0]) == names


# -- following predictions ---------------------------------------------------------------------------------------------

NAMES = np.array(["benign", "malignant"])

DERIVED: dict[str, Callable[[Any, Any], Any]] = {
    "the array itself": lambda model, X: model.predict(X),
    "a slice": lambda model, X: model.predict(X)[:100],
    "every other row, backwards": lambda model, X: model.predict(X)[::-2],
    "a column": lambda model, X: model.predict_proba(X)[:, 1],
    "a slice of a column": lambda model, X: model.predict_proba(X)[10:90, 1],
    "a reshaped array": lambda model, X: model.predict(X).reshape(-1, 1),
    "a copy": lambda model, X: model.predict(X).copy(),
    "a list": lambda model, X: model.predict(X).tolist(),
    "a series": lambda model, X: pd.Series(model.predict(X)),
    "a series with another index": lambda model, X: pd.Series(model.predict(X), index=np.arange(len(X)) * 2),
    "a column of a frame": lambda model, X: pd.DataFrame(model.predict_proba(X), columns=["no", "yes"])["yes"],
    "a series of polars": lambda model, X: pl.Series(model.predict(X)),
    "the largest column": lambda model, X: np.argmax(model.predict_proba(X), axis=1),
    "the largest column's class": lambda model, X: model.classes_[model.predict_proba(X).argmax(axis=1)],
    "what is over a half": lambda model, X: model.predict_proba(X)[:, 1] > 0.5,
    "what is over a half, as integers": lambda model, X: (model.predict_proba(X)[:, 1] >= 0.5).astype(int),
    "a copy of a column": lambda model, X: model.predict_proba(X)[:, 1].copy(),
    "a column in single precision": lambda model, X: model.predict_proba(X)[:, 1].astype(np.float32),
    "labels as floats": lambda model, X: model.predict(X).astype(float),
    "labels by name": lambda model, X: NAMES[model.predict(X)],
    "a series of labels by name": lambda model, X: pd.Series(model.predict(X)).map({0: "no", 1: "yes"}),
}


@pytest.mark.parametrize("how", DERIVED)
def test_a_prediction_is_followed_as(how: str) -> None:
    model = train()
    other = DecisionTreeClassifier(max_depth=1).fit(Xtr, ytr)
    other.predict(Xte)
    other.predict_proba(Xte)
    derived = DERIVED[how](model, Xte)
    other.predict(Xte)
    truth = NAMES[yte] if "by name" in how else yte
    if "no" in list(derived):
        truth = np.array(["no", "yes"])[yte]
    truth = {100: truth[:100], 80: truth[10:90], 72: truth[::-2]}.get(len(derived), truth)
    if np.asarray(derived).dtype.kind == "f" and "labels" not in how:
        assert roc_auc_score(truth, derived) > 0.5
        assert [set(one) for one in logged()] == [{"roc_auc_score_X"}, set()]
    else:
        assert accuracy_score(truth, derived) > 0.5
        assert [set(one) for one in logged()] == [{"accuracy_score_X"}, set()]


def test_labels_made_of_a_decision_function_are_followed() -> None:
    model = Perceptron().fit(Xtr, ytr)
    accuracy_score(yte, model.decision_function(Xte) > 0)
    assert "accuracy_score_Xte" in logged()[0]


def test_outliers_that_are_given_other_labels_are_followed() -> None:
    model = IsolationForest(n_estimators=10, random_state=0).fit(Xtr)
    f1_score(1 - yte, (model.predict(Xte) == -1).astype(int))
    assert set(logged()[0]) == {"f1_score_Xte"}


def test_a_clusterers_labels_are_followed_however_they_are_had() -> None:
    model = KMeans(2, n_init=1, random_state=0)
    labels = model.fit_predict(Xtr)
    metrics.adjusted_rand_score(ytr, labels)
    metrics.silhouette_score(Xtr, model.labels_)
    DecisionTreeClassifier(max_depth=2).fit(Xtr, ytr)
    assert [set(one) for one in logged()] == [{"adjusted_rand_score_Xtr", "silhouette_score_Xtr"}, set()]


def test_large_predictions_are_followed_by_a_sample() -> None:
    big, targets = make_classification(100_000, 5, random_state=0)
    model = LogisticRegression().fit(big[:1000], targets[:1000])
    accuracy_score(targets, model.predict_proba(big).argmax(axis=1))
    assert set(logged()[0]) == {"accuracy_score_big"}


def test_where_only_a_sample_was_compared_and_two_runs_agree_in_it_neither_has_the_metric() -> None:
    big, targets = make_classification(100_000, 5, random_state=0)
    first = LogisticRegression().fit(big[:1000], targets[:1000])
    second = LogisticRegression(C=1.0).fit(big[:1000], targets[:1000])
    derived = first.predict_proba(big).argmax(axis=1)
    second.predict_proba(big)
    accuracy_score(targets, derived)
    assert logged() == [{}, {}]


def test_of_two_runs_with_the_very_same_predictions_the_latest_has_the_metric_of_a_copy() -> None:
    first, second = train(), train()
    kept = first.predict(Xte)
    second.predict(Xte)
    accuracy_score(yte, kept.tolist())
    f1_score(yte, kept)
    assert [set(one) for one in logged()] == [{"f1_score_Xte"}, {"accuracy_score_Xte"}]


def test_what_no_recorded_model_has_predicted_is_nobodys() -> None:
    model = train()
    pred = model.predict(Xte)
    accuracy_score(yte, 1 - yte)
    accuracy_score(yte, np.roll(pred, 1))
    accuracy_score(yte, np.ones_like(yte))
    accuracy_score(yte[:5], pred.copy()[:5])
    metrics.mean_squared_error(yte, np.linspace(0, 1, len(yte)))
    assert logged() == [{}]


def test_true_values_are_no_predictions() -> None:
    pred = train().predict(Xte)
    accuracy_score(pred, np.roll(yte, 1))
    assert logged() == [{}]


def test_a_constant_says_nothing_of_where_it_comes_from() -> None:
    model = DecisionTreeRegressor().fit(Xtr, np.ones_like(ytr))
    model.predict(Xte)
    accuracy_score(yte, np.ones_like(yte))
    assert logged() == [{}]


def test_two_regressions_are_not_taken_for_each_other() -> None:
    first = LinearRegression().fit(Xtr[:, :1], ytr)
    second = LinearRegression().fit(Xtr[:, :2], ytr)
    derived = first.predict(Xte[:, :1]).tolist()
    second.predict(Xte[:, :2])
    metrics.mean_squared_error(yte, derived)
    metrics.mean_squared_error(yte, Xte[:, 0] * 2)
    assert [set(one) for one in logged()] == [{"mean_squared_error_unknown_dataset"}, set()]


def test_ids_that_are_used_again_attribute_nothing() -> None:
    model = train()
    for _ in range(200):
        pred = model.predict(Xte)
        del pred
        other = np.roll(yte, 1)
        accuracy_score(yte, other)
        del other
    assert logged() == [{}]


def test_a_transformer_that_returns_its_data_makes_no_prediction_of_them() -> None:
    class Passing(BaseEstimator):
        def fit(self, X: Any, y: Any = None) -> Passing:
            return self

        def transform(self, X: Any) -> Any:
            return X[:, 0]

    Passing().fit(Xtr).transform(Xte)
    metrics.r2_score(yte, Xte[:, 1])
    assert logged() == [{}]


# -- scores and scorers ------------------------------------------------------------------------------------------------


def test_scorers_log_under_their_functions_names_with_the_functions_sign() -> None:
    model = train()

    def cost(y_true: Any, y_pred: Any) -> float:
        return float(np.mean(y_true != y_pred))

    f1 = get_scorer("f1")(model, Xte, yte)
    loss = get_scorer("neg_log_loss")(model, X=Xte, y_true=yte)
    spent = make_scorer(cost, greater_is_better=False)(model, Xte, yte)
    several = metrics.check_scoring(model, scoring=["accuracy", "recall"])(model, Xte, yte)
    passed = metrics.check_scoring(model)(model, Xte, yte)
    assert logged() == [
        {
            "f1_score_Xte": f1,
            "log_loss_Xte": -loss,
            "cost_Xte": -spent,
            "accuracy_Xte": several["accuracy"],
            "recall_Xte": several["recall"],
            "DecisionTreeClassifier_score_Xte": passed,
        }
    ]


def test_searches_and_pipelines_are_scored_under_their_own_names() -> None:
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]})
    search.fit(Xtr, ytr)
    score = search.score(Xte, yte)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(Xtr, ytr)
    accuracy_score(yte, pipeline.predict(Xte))
    pipeline.score(Xte, yte)
    first, second = logged()
    assert first["GridSearchCV_score_Xte"] == score
    assert set(second) == {"accuracy_score_Xte", "Pipeline_score_Xte"}


class Odd(ClassifierMixin, BaseEstimator):
    """An estimator of the user's own."""

    def fit(self, X: Any, y: Any) -> Odd:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return (X[:, 0] > 15).astype(int)


def test_an_estimator_of_the_users_own_is_followed() -> None:
    model = Odd().fit(Xtr, ytr)
    accuracy_score(yte, model.predict(Xte))
    model.score(Xte, yte)
    assert set(logged()[0]) == {"accuracy_score_Xte", "Odd_score_Xte"}


def test_predictions_in_lists_are_followed() -> None:
    class Listing(Odd):
        def predict(self, X: Any) -> Any:
            return [int(value > 15) for value in X[:, 0]]

    listing = Listing().fit(Xtr, ytr)
    accuracy_score(yte, listing.predict(Xte))
    several = DecisionTreeClassifier(max_depth=2).fit(Xtr, np.column_stack([ytr, 1 - ytr]))
    roc_auc_score(1 - yte, several.predict_proba(Xte)[1][:, 1])
    accuracy_score(yte, several.predict(Xte)[:, 0])
    assert [set(one) for one in logged()] == [
        {"accuracy_score_Xte"},
        {"roc_auc_score_Xte", "accuracy_score_Xte"},
    ]


def test_what_frameworks_compute_along_the_way_is_not_logged() -> None:
    model = train()
    cross_val_score(model, Xtr, ytr, scoring="f1")
    permutation_importance(model, Xte, yte, n_repeats=1)
    with joblib.parallel_backend("threading"):
        permutation_importance(model, Xte[:50], yte[:50], scoring="f1", n_repeats=1, n_jobs=2)
    assert [set(one) for one in logged()] == [set(), {"test_score", "mean_test_score", "std_test_score"}]


def test_in_the_users_own_run_metrics_go_where_the_training_went() -> None:
    with autolog.start_run():
        pred = train().predict(Xte)
        accuracy_score(yte, pred)
    f1_score(yte, pred)
    assert set(logged()[0]) == {"accuracy_score_Xte", "f1_score_Xte"}


def test_who_evaluates_in_a_loop_gets_a_bounded_number_of_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autolog.scores.MOST_METRICS", 20)
    pred = train().predict(Xte)
    for _ in range(30):
        accuracy_score(yte, pred)
    assert len(logged()[0]) == 20


# -- no harm -----------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_alive() -> None:
    def evaluate() -> list[weakref.ref[Any]]:
        model, features = train(), Xte.copy()
        pred, proba = model.predict(features), model.predict_proba(features)
        accuracy_score(yte, pred)
        accuracy_score(yte, proba.argmax(axis=1))
        return [weakref.ref(one) for one in (features, pred, proba, model)]

    references = evaluate()
    gc.collect()
    assert all(reference() is None for reference in references)
    assert not predictions._owners


def test_only_the_latest_predictions_are_remembered_and_few_rows_of_them() -> None:
    model = train()
    many = np.repeat(Xte, 200, axis=0)
    for _ in range(predictions.REMEMBERED + 5):
        model.predict_proba(many)
    assert len(predictions._recent) == predictions.REMEMBERED
    assert sum(one.sample.nbytes for one in predictions._recent if one.sample is not None) <= 32 * (64 << 10)


def test_threads_attribute_to_their_own_models() -> None:
    features, targets = load_iris(return_X_y=True)

    def evaluate(depth: int) -> None:
        model = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(features, targets)
        for _ in range(20):
            pred = model.predict(features)
            metrics.balanced_accuracy_score(targets, pred)
        model.score(features, targets)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(evaluate, (1, 2, 3, 4)))
    assert autolog.flush(60)
    for run in autolog.search_runs(search_all_experiments=True, output_format="list"):
        assert len([key for key in run.data.metrics if key.startswith("balanced_accuracy_score")]) == 20
        values = [value for key, value in run.data.metrics.items() if key.endswith("_features")]
        assert values == pytest.approx([values[0]] * 21), "the metrics of another model are among them"


def test_a_metric_that_fails_raises_what_it_would_and_logs_nothing() -> None:
    pred = train().predict(Xte)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        accuracy_score(yte[:5], pred)
    assert logged() == [{}]


def test_functions_keep_their_identity_and_disable_gives_them_their_code_back() -> None:
    function = f1_score
    code = function.__code__
    autolog.disable()
    assert metrics.f1_score is function
    assert function.__code__ is not code
    assert pickle.loads(pickle.dumps(function)) is function
    autolog.enable(strict=True)
    assert metrics.f1_score is function
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.usefixtures("untraced")
def test_what_a_metric_was_given_is_let_go_at_once_and_not_by_the_collector() -> None:
    model = train()
    features = Xte.copy()
    gc.collect()
    gc.disable()
    try:
        pred = model.predict(features)
        accuracy_score(yte, pred)
        model.score(features, yte)
        references = [weakref.ref(pred), weakref.ref(features)]
        del pred, features
        assert [reference() is None for reference in references] == [True, True]
    finally:
        gc.enable()
