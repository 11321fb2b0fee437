"""Training metrics of scikit-learn estimators equal scikit-learn's own, and cost one pass where one suffices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

import autolog
from autolog.integrations.sklearn_metrics import is_trusted, training_metrics
from autolog.integrations.sklearn_predictions import predict

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSIFIERS: list[Any] = [
    LogisticRegression(max_iter=50),
    LogisticRegression(solver="liblinear", max_iter=50),
    LogisticRegressionCV(Cs=2, cv=2, max_iter=30, use_legacy_attributes=False, l1_ratios=(0.0,), scoring="accuracy"),
    SGDClassifier(loss="log_loss", random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0),
    RidgeClassifier(),
    LinearSVC(),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    GaussianNB(),
    BernoulliNB(),
    MLPClassifier((4,), max_iter=10, random_state=0),
    KNeighborsClassifier(4),
    KNeighborsClassifier(4, weights="distance"),
    KNeighborsClassifier(4, algorithm="brute"),
    RadiusNeighborsClassifier(100.0),
    DecisionTreeClassifier(max_depth=2, random_state=0),
    ExtraTreeClassifier(max_depth=2, random_state=0),
    RandomForestClassifier(4, max_depth=2, random_state=0),
    ExtraTreesClassifier(4, max_depth=2, random_state=0, verbose=1),
    BaggingClassifier(n_estimators=3, random_state=0),
    VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=1))], voting="soft"),
    VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=1))]),
    StackingClassifier([("a", GaussianNB())], LogisticRegression(max_iter=50), cv=2),
    AdaBoostClassifier(n_estimators=3, random_state=0),
    GradientBoostingClassifier(n_estimators=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, random_state=0),
    CalibratedClassifierCV(GaussianNB(), cv=2),
    LabelPropagation(),
    SVC(),
    GaussianProcessClassifier(max_iter_predict=2),
    OneVsRestClassifier(GaussianNB()),
    make_pipeline(StandardScaler(), "passthrough", LogisticRegression(max_iter=50)),
    Pipeline([("scale", StandardScaler()), ("rest", make_pipeline(StandardScaler(), GaussianNB()))]),
    GridSearchCV(make_pipeline(StandardScaler(), GaussianNB()), {"gaussiannb__var_smoothing": [1e-9, 1.0]}, cv=2),
]


def boosters() -> Iterator[Any]:
    try:
        from lightgbm import LGBMClassifier
        from xgboost import XGBClassifier
    except ImportError:
        return
    yield XGBClassifier(n_estimators=3, n_jobs=1)
    yield XGBClassifier(n_estimators=3, n_jobs=1, objective="multi:softmax", num_class=3)
    yield LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1)


def name_of(value: Any) -> str:
    return str(value) if not hasattr(value, "get_params") else type(value).__name__


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("classifier", [*CLASSIFIERS, *boosters()], ids=name_of)
def test_predictions_of_one_pass_are_those_of_the_class_bit_by_bit(classifier: Any, classes: int) -> None:
    features, targets = make_classification(
        90, 5, n_informative=4, n_redundant=0, n_classes=classes, random_state=classes
    )
    if getattr(classifier, "objective", None) == "multi:softmax" and classes == 2:
        pytest.skip("XGBoost has no probabilities for it")
    if getattr(classifier, "solver", None) == "liblinear" and classes == 3:
        pytest.skip("scikit-learn refuses it")
    # Rows that come twice, and a row of zeros, are where classes tie.
    features[:10], features[40] = features[10:20], 0
    fitted = clone(classifier).fit(features, targets)
    before = vars(fitted).copy()
    found = predict(fitted, features)
    assert all(vars(fitted)[key] is value for key, value in before.items())
    assert vars(fitted).keys() == before.keys()
    np.testing.assert_array_equal(found.predicted, fitted.predict(features))
    if not hasattr(fitted, "predict_proba"):
        assert found.probabilities is None
    else:
        np.testing.assert_array_equal(found.probabilities, fitted.predict_proba(features))


class Counting(KNeighborsClassifier):
    """A classifier that counts how often the training data are gone through."""

    searches = 0

    def kneighbors(self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True) -> Any:
        Counting.searches += 1
        return super().kneighbors(X, n_neighbors, return_distance)


def test_the_data_are_gone_through_once() -> None:
    features, targets = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), Counting(3)).fit(features, targets)
    Counting.searches = 0
    found = predict(pipeline, features)
    assert Counting.searches == 1
    np.testing.assert_array_equal(found.predicted, pipeline.predict(features))
    assert Counting.searches == 2


def by_scikit_learn(model: Any, features: Any, targets: Any, weights: Any) -> dict[str, float]:
    predicted = model.predict(features)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        targets, predicted, average="weighted", sample_weight=weights, zero_division=0
    )
    expected = {
        "training_precision_score": precision,
        "training_recall_score": recall,
        "training_f1_score": f1,
        "training_accuracy_score": metrics.accuracy_score(targets, predicted, sample_weight=weights),
        "training_score": metrics.accuracy_score(targets, predicted, sample_weight=weights),
    }
    probabilities = model.predict_proba(features)
    expected["training_log_loss"] = metrics.log_loss(
        targets, probabilities, sample_weight=weights, labels=model.classes_
    )
    if len(model.classes_) == 2:
        expected["training_roc_auc"] = metrics.roc_auc_score(targets, probabilities[:, 1], sample_weight=weights)
    elif weights is None:
        expected["training_roc_auc"] = metrics.roc_auc_score(
            targets, probabilities, average="weighted", multi_class="ovo", labels=model.classes_
        )
    return expected


@given(
    rows=st.integers(12, 60),
    classes=st.integers(2, 4),
    labels=st.sampled_from([int, str, float]),
    weighted=st.booleans(),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_classifiers_metrics_are_those_of_scikit_learn(
    rows: int, classes: int, labels: type, weighted: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    features = random.integers(0, 4, (rows, 3)).astype(float)
    targets = np.array([labels(code) for code in (*range(classes), *random.integers(0, classes, rows - classes))])
    weights = random.uniform(0.1, 3, rows) if weighted else None
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2, random_state=0)).fit(features, targets)
    computed = training_metrics(model, features, targets, weights, most_rows=1000).metrics
    expected = by_scikit_learn(model, features, targets, weights)
    assert computed == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_regressors_metrics_are_those_of_scikit_learn(outputs: int) -> None:
    random = np.random.default_rng(outputs)
    features, weights = random.normal(size=(50, 4)), random.uniform(0.1, 2, 50)
    targets = random.normal(size=(50, outputs)) if outputs > 1 else random.normal(size=50)
    model = Ridge().fit(features, targets, weights)
    predicted = model.predict(features)
    assert training_metrics(model, features, targets, weights, most_rows=1000).metrics == pytest.approx(
        {
            "training_mean_squared_error": metrics.mean_squared_error(targets, predicted, sample_weight=weights),
            "training_mean_absolute_error": metrics.mean_absolute_error(targets, predicted, sample_weight=weights),
            "training_root_mean_squared_error": metrics.root_mean_squared_error(
                targets, predicted, sample_weight=weights
            ),
            "training_r2_score": metrics.r2_score(targets, predicted, sample_weight=weights),
            "training_score": model.score(features, targets, weights),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize("scoring", [None, "f1", "neg_log_loss", "accuracy", {"a": "roc_auc", "b": "f1"}])
def test_the_training_score_of_a_search_is_what_its_score_method_returns(scoring: Any) -> None:
    features, targets = make_classification(60, 4, random_state=0)
    search = GridSearchCV(
        GaussianNB(), {"var_smoothing": [0.1]}, scoring=scoring, cv=2, refit="b" if type(scoring) is dict else True
    )
    search.fit(features, targets)
    computed = training_metrics(search, features, targets, most_rows=1000).metrics
    assert computed["training_score"] == pytest.approx(search.score(features, targets), rel=1e-12)
    assert computed["training_accuracy_score"] == pytest.approx(
        metrics.accuracy_score(targets, search.predict(features)), rel=1e-12
    )


def test_more_rows_than_the_setting_are_sampled_and_none_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = load_iris(return_X_y=True)
    recorded = []
    for rows in ("100", "0", "1000"):
        monkeypatch.setenv("AUTOLOG_TRAINING_METRICS_ROWS", rows)
        with autolog.enable(strict=True):
            GaussianNB().fit(features, targets)
            recorded.append(autolog.last_active_run().data)
    sampled, none, whole = recorded
    assert sampled.tags["autolog.training_metrics.rows"] == "100"
    rows = np.linspace(0, 149, 100).astype(int)
    model = GaussianNB().fit(features, targets)
    assert sampled.metrics["training_score"] == pytest.approx(model.score(features[rows], targets[rows]))
    assert not any(key.startswith("training_") for key in none.metrics)
    assert "autolog.training_metrics.rows" not in whole.tags
    assert whole.metrics["training_score"] == pytest.approx(model.score(features, targets))


class Mine(LogisticRegression):
    """A class of the user's own that derives from one of scikit-learn's."""

    calls = 0

    def decision_function(self, X: Any) -> Any:
        Mine.calls += 1
        return super().decision_function(X)


def test_code_of_the_users_own_is_not_called_for_metrics() -> None:
    features, targets = load_iris(return_X_y=True)
    with autolog.enable(strict=True):
        Mine(max_iter=500).fit(features, targets)
        VotingClassifier([("mine", Mine(max_iter=500))]).fit(features, targets)
        GridSearchCV(Mine(max_iter=500), {"C": [1.0]}, cv=2, scoring="accuracy").fit(features, targets)
        calls = Mine.calls
        assert "training_score" not in autolog.last_active_run().data.metrics
    autolog.disable()
    Mine.calls = 0
    GridSearchCV(Mine(max_iter=500), {"C": [1.0]}, cv=2, scoring="accuracy").fit(features, targets)
    assert calls == Mine.calls


@pytest.mark.parametrize(("verbose", "evaluated"), [(-1, True), (0, True), (1, False)])
def test_a_pipeline_is_evaluated_unless_its_last_step_reports_what_it_does(verbose: int, evaluated: bool) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    model = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=verbose))
    assert is_trusted(model) is evaluated


def test_what_an_estimator_scores_by_while_it_trains_does_not_change_its_score_and_costs_no_second_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, targets = load_iris(return_X_y=True)
    model = HistGradientBoostingClassifier(max_iter=3, early_stopping=True, scoring="loss", random_state=0)
    model.fit(features, targets)
    passes = []
    raw_predict = HistGradientBoostingClassifier._raw_predict
    monkeypatch.setattr(
        HistGradientBoostingClassifier,
        "_raw_predict",
        lambda self, *args, **kwargs: passes.append(1) or raw_predict(self, *args, **kwargs),
    )
    computed = training_metrics(model, features, targets, most_rows=1000)
    assert len(passes) == 1
    assert computed.metrics["training_score"] == pytest.approx(model.score(features, targets), abs=1e-12)
