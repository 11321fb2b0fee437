"""What a scikit-learn training with autolog must do as it does without."""

from __future__ import annotations

import inspect
import pickle
import random
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

import autolog
from autolog.attribution import run_of_model
from autolog.entities import Run

FEATURES, TARGETS = load_iris(return_X_y=True)
LOGISTIC = LogisticRegression(max_iter=300)


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def outermost() -> list[Run]:
    assert autolog.flush(60)
    runs = autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])
    return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]


def both(train: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what a training gives with autolog and without."""
    with_autolog = train()
    autolog.disable()
    return with_autolog, train()


MODELS: list[Any] = [
    make_pipeline(StandardScaler(), LOGISTIC),
    RandomForestClassifier(4, random_state=np.random.RandomState(3)),
    StackingClassifier([("tree", DecisionTreeClassifier(random_state=0))], LOGISTIC, cv=2),
    VotingClassifier([("tree", DecisionTreeClassifier(random_state=0)), ("bayes", GaussianNB())], n_jobs=2),
    CalibratedClassifierCV(GaussianNB(), cv=2),
    KMeans(3, n_init=1, random_state=0),
    FeatureUnion([("pca", PCA(1)), ("scale", StandardScaler())]),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_fitted_model_has_the_same_bytes_and_is_one_run(model: Any) -> None:
    with_autolog, without = both(lambda: pickle.dumps(clone(model).fit(FEATURES, TARGETS)))
    assert with_autolog == without
    (run,) = outermost()
    assert run.data.tags["estimator_name"] == type(model).__name__


def test_a_search_finds_the_same_and_has_the_same_bytes_but_for_its_times() -> None:
    def search() -> dict[str, Any]:
        found = GridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=2).fit(FEATURES, TARGETS)
        state = vars(found)
        state["refit_time_"] = 0
        state["cv_results_"] = {key: value for key, value in state["cv_results_"].items() if "time" not in key}
        return {key: pickle.dumps(value) for key, value in state.items()}

    with_autolog, without = both(search)
    assert with_autolog == without


def test_no_stream_of_random_numbers_is_drawn_from() -> None:
    def draw() -> list[Any]:
        np.random.seed(5)
        random.seed(5)
        generator, state = np.random.default_rng(5), np.random.RandomState(5)
        RandomForestClassifier(3).fit(FEATURES, TARGETS)
        RandomForestClassifier(3, random_state=state).fit(FEATURES, TARGETS)
        RandomizedSearchCV(SGDClassifier(random_state=state), {"alpha": [1e-3, 1e-2]}, n_iter=1, cv=2).fit(
            FEATURES, TARGETS
        )
        SGDClassifier().partial_fit(FEATURES, TARGETS, classes=[0, 1, 2])
        cross_val_score(DecisionTreeClassifier(), FEATURES, TARGETS, cv=2)
        left = [np.random.get_state()[1].tolist(), random.getstate(), state.get_state()[1].tolist()]
        return [*left, generator.bit_generator.state]

    with_autolog, without = both(draw)
    assert with_autolog == without


def test_cloning_setting_params_and_signatures_are_as_they_were() -> None:
    def look() -> list[Any]:
        model = make_pipeline(StandardScaler(), LogisticRegression())
        copied = clone(model).set_params(logisticregression__C=3.0)
        names = ("fit", "partial_fit", "fit_predict", "fit_transform")
        classes = (SGDClassifier, KMeans, PCA, type(model), GridSearchCV)
        return [
            repr(copied),
            str(copied.get_params()),
            [str(inspect.signature(getattr(cls, name))) for cls in classes for name in names if hasattr(cls, name)],
            str(inspect.signature(cross_val_score)),
            str(SGDClassifier().get_metadata_routing()),
        ]

    with_autolog, without = both(look)
    assert with_autolog == without


def test_metadata_routing_reaches_the_steps() -> None:
    def train() -> bytes:
        with sklearn.config_context(enable_metadata_routing=True):
            model = make_pipeline(
                StandardScaler().set_fit_request(sample_weight=False),
                LogisticRegression(max_iter=300)
                .set_fit_request(sample_weight=True)
                .set_score_request(sample_weight=True),
            )
            weights = np.linspace(0.1, 1, len(TARGETS))
            search = GridSearchCV(model, {"logisticregression__C": [0.5]}, cv=2)
            return pickle.dumps(search.fit(FEATURES, TARGETS, sample_weight=weights).best_estimator_)

    with_autolog, without = both(train)
    assert with_autolog == without
    assert "training_score" in outermost()[0].data.metrics


def test_pandas_output_is_kept() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FEATURES, columns=["a", "b", "c", "d"])
    model = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas")
    assert list(model.fit_transform(frame).columns) == ["pca0", "pca1"]
    classifier = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).set_output(transform="pandas")
    with sklearn.config_context(transform_output="pandas"):
        classifier.fit(frame, TARGETS)
    assert outermost()[1].data.metrics["training_score"] == 1.0


def test_array_api_dispatch_is_left_alone() -> None:
    pytest.importorskip("array_api_compat")
    with sklearn.config_context(array_api_dispatch=True):
        PCA(2, svd_solver="full").fit(FEATURES)
    assert len(outermost()) == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning", "ignore::UserWarning")
def test_scikit_learns_own_checks_of_estimators_pass_as_they_do_without() -> None:
    def check() -> list[str]:
        return [
            f"{type(estimator).__name__} {check['check_name']} {check['status']} {check['exception']!r}"
            for estimator in (Ridge(), GaussianNB())
            for check in check_estimator(estimator, on_fail=None)
        ]

    with_autolog, without = both(check)
    assert with_autolog == without


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_ensembles_in_workers_are_one_run_each(backend: str) -> None:
    import joblib

    two = np.column_stack([TARGETS, TARGETS])
    with joblib.parallel_backend(backend, n_jobs=2):
        MultiOutputClassifier(GaussianNB(), n_jobs=2).fit(FEATURES, two)
        MultiOutputRegressor(Ridge(), n_jobs=2).fit(FEATURES, two)
        StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier())], cv=2, n_jobs=2).fit(
            FEATURES, TARGETS
        )
    assert [run.data.tags["estimator_name"] for run in outermost()] == [
        *("MultiOutputClassifier", "MultiOutputRegressor", "StackingClassifier")
    ]


def test_a_pipeline_of_imbalanced_learn_is_one_run_with_its_metrics() -> None:
    pytest.importorskip("imblearn")
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline

    features, targets = FEATURES[:120], TARGETS[:120]
    model = make_imbalanced_pipeline(StandardScaler(), SMOTE(random_state=0), DecisionTreeClassifier(max_depth=1))
    model.fit(features, targets)
    (run,) = outermost()
    assert run.data.metrics["training_score"] == model.score(features, targets)
    assert run.data.params["smote__k_neighbors"] == "5"


class Nearest(ClassifierMixin, BaseEstimator):
    """An estimator of the user's own, made of ones that scikit-learn has."""

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def fit(self, X: Any, y: Any) -> Nearest:
        self.inner_ = DecisionTreeClassifier(max_depth=self.depth, random_state=0).fit(X, y)
        self.classes_ = self.inner_.classes_
        self.loss_ = 0.25
        return self

    def predict(self, X: Any) -> Any:
        raise SystemExit("the user's own predict has been called")


def test_an_estimator_of_the_users_own_in_a_pipeline_is_one_run_with_what_it_keeps() -> None:
    make_pipeline(StandardScaler(), Nearest(2)).fit(FEATURES, TARGETS)
    Nearest(3).fit(FEATURES, TARGETS)
    pipeline, alone = outermost()
    assert pipeline.data.params["nearest__depth"] == "2"
    assert (alone.data.params["depth"], alone.data.metrics) == ("3", {"loss": 0.25})


def test_nothing_that_a_search_or_validation_was_given_is_kept_alive() -> None:
    def train() -> list[weakref.ref[Any]]:
        features, targets = FEATURES.copy(), TARGETS.copy()
        search = GridSearchCV(GaussianNB(), {"var_smoothing": [0.1]}, cv=2).fit(features, targets)
        cross_val_score(GaussianNB(), features, targets, cv=2)
        return [weakref.ref(one) for one in (features, targets, search, search.best_estimator_)]

    import gc

    references = train()
    gc.collect()
    assert [reference() for reference in references] == [None] * 4


def test_a_model_and_the_best_of_a_search_are_attributed_to_their_runs() -> None:
    model = GaussianNB().fit(FEATURES, TARGETS)
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [0.1]}, cv=2).fit(FEATURES, TARGETS)
    of_model, of_search, of_best = (run_of_model(one) for one in (model, search, search.best_estimator_))
    assert of_model is not None
    assert of_search is not None
    assert of_search is of_best
    assert [run.info.run_id for run in outermost()] == [of_model.run_id, of_search.run_id]
