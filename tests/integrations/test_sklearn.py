"""What a scikit-learn training leaves in the store, and what it must not change."""

from __future__ import annotations

import gc
import random
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_squared_error, precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import autolog
from autolog.entities import Run, RunStatus
from autolog.run import active_runs


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def only_run() -> Run:
    (run,) = outermost()
    return run


def outermost() -> list[Run]:
    return [run for run in recorded() if "mlflow.parentRunId" not in run.data.tags]


def test_a_classifier_has_its_params_and_training_metrics_under_mlflows_names() -> None:
    features, targets = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(features, targets)
    run = only_run()
    predicted, probabilities = model.predict(features), model.predict_proba(features)
    assert run.data.metrics == pytest.approx(
        {
            "training_precision_score": precision_score(targets, predicted, average="weighted"),
            "training_recall_score": accuracy_score(targets, predicted),
            "training_f1_score": f1_score(targets, predicted, average="weighted"),
            "training_accuracy_score": accuracy_score(targets, predicted),
            "training_score": model.score(features, targets),
            "training_log_loss": log_loss(targets, probabilities),
            "training_roc_auc": roc_auc_score(targets, probabilities[:, 1]),
            "n_iter": model[-1].n_iter_[0],
        }
    )
    assert run.data.params["logisticregression__C"] == "0.5"
    assert run.data.params.keys() == model.get_params(deep=True).keys()
    assert run.data.tags["estimator_name"] == "Pipeline"
    assert run.data.tags["estimator_class"] == "sklearn.pipeline.Pipeline"
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert run.info.run_name == "Pipeline(LogisticRegression)"
    assert run.info.status is RunStatus.FINISHED


def test_a_regressor_has_its_training_metrics_with_weights() -> None:
    features, targets = load_diabetes(return_X_y=True)
    weights = np.linspace(0.1, 2, len(targets))
    model = Ridge(alpha=0.3).fit(features, targets, sample_weight=weights)
    metrics = only_run().data.metrics
    expected = mean_squared_error(targets, model.predict(features), sample_weight=weights)
    assert metrics["training_mean_squared_error"] == pytest.approx(expected)
    assert metrics["training_root_mean_squared_error"] == pytest.approx(expected**0.5)
    assert metrics["training_score"] == pytest.approx(model.score(features, targets, weights))


def test_the_data_set_has_the_callers_name_a_shape_and_a_digest() -> None:
    iris_features, iris_targets = load_iris(return_X_y=True)
    LogisticRegression(max_iter=500).fit(iris_features, iris_targets)
    LogisticRegression(max_iter=500).fit(iris_features.copy(), iris_targets)
    LogisticRegression(max_iter=500).fit(iris_features + 1, iris_targets)
    inputs = [run.inputs.dataset_inputs[0] for run in recorded()]
    assert inputs[0].dataset.name == "iris_features"
    assert inputs[0].dataset.digest == inputs[1].dataset.digest != inputs[2].dataset.digest
    assert "[150, 4]" in (inputs[0].dataset.profile or "")
    assert [(tag.key, tag.value) for tag in inputs[0].tags] == [("mlflow.data.context", "train")]


def test_only_the_outermost_fit_makes_a_run() -> None:
    features, targets = load_iris(return_X_y=True)
    GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=3).fit(features, targets)
    run = only_run()
    assert run.data.tags["estimator_name"] == "GridSearchCV"
    assert run.data.params["best_C"] in {"0.1", "1.0"}
    assert run.data.metrics["best_cv_score"] > 0.9


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_in_workers_make_no_runs_of_their_own(backend: str) -> None:
    import joblib

    features, targets = load_iris(return_X_y=True)
    with joblib.parallel_backend(backend, n_jobs=2):
        GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=3).fit(features, targets)
        BaggingClassifier(LogisticRegression(max_iter=500), n_estimators=4, n_jobs=2).fit(features, targets)
    assert [run.info.run_name for run in outermost()] == [
        "GridSearchCV(LogisticRegression)",
        "BaggingClassifier(LogisticRegression)",
    ]


def test_preparing_data_makes_no_run() -> None:
    features, targets = load_iris(return_X_y=True)
    StandardScaler().fit_transform(features)
    ColumnTransformer([("pca", PCA(1), [0, 1]), ("scale", StandardScaler(), [2])]).fit(features)
    SelectFromModel(RandomForestClassifier(3)).fit(features, targets)
    StandardScaler().partial_fit(features)
    assert recorded() == []


def test_a_clusterer_and_a_projection_are_trainings() -> None:
    features, _ = load_iris(return_X_y=True)
    KMeans(3, n_init=2, random_state=0).fit_predict(features)
    PCA(2).fit_transform(features)
    clusterer, projection = recorded()
    assert clusterer.data.metrics["inertia"] > 0
    assert (clusterer.info.run_name, projection.info.run_name) == ("KMeans", "PCA")


class Printing(ClassifierMixin, BaseEstimator):
    """An estimator of the user's own, whose predictions have side effects."""

    predictions = 0

    def __init__(self, classes: Any = None) -> None:
        self.classes = classes

    def fit(self, X: Any, y: Any) -> Printing:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        Printing.predictions += 1
        print("predicting")
        return np.full(len(X), self.classes_[0])


def test_an_estimator_of_the_users_own_is_recorded_and_never_called(capsys: pytest.CaptureFixture[str]) -> None:
    features, targets = load_iris(return_X_y=True)
    make_pipeline(FunctionTransformer(), Printing()).fit(features, targets)
    Printing().fit(features, targets)
    assert [run.info.run_name for run in recorded()] == ["Pipeline(Printing)", "Printing"]
    assert Printing.predictions == 0
    assert capsys.readouterr().out == ""


def test_verbose_estimators_print_no_more_than_without(capfd: pytest.CaptureFixture[str]) -> None:
    features, targets = load_iris(return_X_y=True)
    model = RandomForestClassifier(5, verbose=2, random_state=0)
    autolog.disable()
    clone(model).fit(features, targets)
    plain = capfd.readouterr()
    autolog.enable(strict=True)
    clone(model).fit(features, targets)
    hooked = capfd.readouterr()
    assert (hooked.out.count("\n"), hooked.err.count("\n")) == (plain.out.count("\n"), plain.err.count("\n"))
    assert "training_score" in only_run().data.metrics


def test_the_global_random_state_is_where_it_would_be() -> None:
    features, targets = load_iris(return_X_y=True)

    def draw() -> tuple[float, float, list[Any]]:
        np.random.seed(3)
        random.seed(3)
        forest = RandomForestClassifier(3).fit(features, targets)
        dummy = DummyClassifier(strategy="stratified").fit(features, targets)
        return np.random.rand(), random.random(), [forest.predict(features), dummy.predict(features)]

    with_autolog = draw()
    autolog.disable()
    without = draw()
    assert with_autolog[:2] == without[:2]
    np.testing.assert_array_equal(with_autolog[2], without[2])


def test_an_estimator_has_no_attribute_that_the_fit_did_not_leave() -> None:
    features, targets = load_iris(return_X_y=True)
    model = SVC().fit(features, targets)
    autolog.disable()
    assert vars(model).keys() == vars(SVC().fit(features, targets)).keys()


def test_a_param_that_the_user_logged_keeps_the_users_value() -> None:
    features, targets = load_iris(return_X_y=True)
    with autolog.start_run():
        autolog.log_param("C", "my own")
        LogisticRegression(C=0.25, max_iter=500).fit(features, targets)
    run = only_run()
    assert run.data.params["C"] == "my own"
    assert run.data.params["LogisticRegression.C"] == "0.25"


def test_params_of_any_length_are_kept_whole() -> None:
    features, targets = load_iris(return_X_y=True)
    DummyClassifier(constant=list(range(20_000))).fit(features, targets)
    assert len(only_run().data.params["constant"]) > 100_000


def test_neither_the_data_nor_the_estimator_is_kept_alive() -> None:
    def train() -> list[weakref.ref[Any]]:
        features, targets = load_iris(return_X_y=True)
        model = LogisticRegression(max_iter=500).fit(features, targets)
        return [weakref.ref(features), weakref.ref(targets), weakref.ref(model)]

    gc.disable()
    try:
        assert sum(reference() is not None for reference in train()) == 0
    finally:
        gc.enable()


def test_a_class_that_nobody_uses_any_more_is_not_kept_alive() -> None:
    def train() -> weakref.ref[Any]:
        class Later(LogisticRegression):
            def fit(self, X: Any, y: Any) -> Any:
                return super().fit(X, y)

        Later(max_iter=500).fit(*load_iris(return_X_y=True))
        return weakref.ref(Later)

    reference = train()
    gc.collect()
    assert reference() is None
    assert only_run().info.run_name == "Later"


def test_several_outputs_and_missing_targets_are_no_error() -> None:
    features, targets = load_diabetes(return_X_y=True)
    Ridge().fit(features, np.column_stack([targets, targets]))
    Ridge().fit(features.tolist(), targets.tolist())
    runs = recorded()
    assert [run.info.status for run in runs] == [RunStatus.FINISHED] * 2
    assert "training_score" in runs[1].data.metrics


def test_threads_that_train_at_once_do_not_mix() -> None:
    features, targets = load_iris(return_X_y=True)

    def train(strength: float) -> None:
        for _ in range(3):
            LogisticRegression(C=strength, max_iter=500).fit(features, targets)

    threads = [threading.Thread(target=train, args=(strength,)) for strength in (0.1, 0.2, 0.3, 0.4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.data.params["C"] for run in recorded()) == sorted(["0.1", "0.2", "0.3", "0.4"] * 3)


def test_thread_start_is_put_back() -> None:
    wrapped = vars(threading.Thread)["start"]
    autolog.disable()
    assert vars(threading.Thread)["start"] is not wrapped
    assert type(vars(threading.Thread)["start"]).__name__ == "function"


def test_a_training_goes_into_the_run_that_its_launcher_names_and_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launcher = autolog.start_run(run_name="launcher")
    autolog.flush(30)
    active_runs.set(())
    monkeypatch.setenv("AUTOLOG_RUN_ID", launcher.info.run_id)
    LogisticRegression(max_iter=500, C=0.3).fit(*load_iris(return_X_y=True))
    LogisticRegression(max_iter=500, C=0.4).fit(*load_iris(return_X_y=True))
    first, second = recorded()
    assert (first.info.run_name, first.info.status, first.data.params["C"]) == ("launcher", RunStatus.RUNNING, "0.3")
    assert second.data.params["C"] == "0.4"
    assert second.data.tags["mlflow.parentRunId"] == launcher.info.run_id
    launcher.end()


class Talkative:
    """An object of the user's own whose representation has side effects."""

    def __repr__(self) -> str:
        print("being looked at")
        raise SystemExit(3)


class Reluctant(BaseEstimator):
    """An estimator whose params are not to be asked for."""

    def __init__(self, extra: Any = None) -> None:
        self.extra = extra

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        print("being asked")
        raise SystemExit(4)

    def fit(self, X: Any, y: Any = None) -> Reluctant:
        self.fitted_ = True
        return self


def test_code_of_the_users_own_is_not_run_to_describe_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    features, _ = load_iris(return_X_y=True)
    assert Reluctant(extra=[Talkative(), {"deep": Talkative()}]).fit(features).fitted_
    assert capsys.readouterr().out == ""
    assert "Talkative" in only_run().data.params["extra"]


def test_nested_estimators_that_report_print_no_more_than_without(capfd: pytest.CaptureFixture[str]) -> None:
    features, targets = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(5, verbose=60, random_state=0))
    autolog.disable()
    clone(model).fit(features, targets)
    plain = capfd.readouterr()
    autolog.enable(strict=True)
    clone(model).fit(features, targets)
    hooked = capfd.readouterr()
    assert (hooked.out.count("\n"), hooked.err.count("\n")) == (plain.out.count("\n"), plain.err.count("\n"))


def test_trainings_in_threads_leave_warnings_and_random_numbers_to_the_program() -> None:
    features, targets = load_iris(return_X_y=True)
    np.random.seed(11)
    expected = [np.random.rand() for _ in range(200)]
    np.random.seed(11)

    def train() -> None:
        for _ in range(5):
            RandomForestClassifier(5, random_state=0).fit(features, targets)

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    drawn = []
    for _ in range(200):
        drawn.append(np.random.rand())
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    assert drawn == expected
    assert ("ignore", None, Warning, None, 0) not in warnings.filters


def test_a_class_that_cannot_be_hooked_keeps_no_other_from_being_recorded() -> None:
    autolog.disable()

    class Frozen(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise TypeError("frozen")

    def train() -> None:
        class Stubborn(BaseEstimator, metaclass=Frozen):
            def fit(self, X: Any, y: Any = None) -> Stubborn:
                return self

        autolog.enable()
        features, targets = load_iris(return_X_y=True)
        assert isinstance(Stubborn().fit(features), Stubborn)
        LogisticRegression(max_iter=500).fit(features, targets)

    train()
    assert only_run().info.run_name == "LogisticRegression"
    autolog.disable()
    assert "__init_subclass__" not in vars(BaseEstimator)
    # The class is not to be met by the tests that follow.
    gc.collect()


def test_a_fit_that_cannot_be_called_so_says_it_itself_and_autolog_nothing(caplog: pytest.LogCaptureFixture) -> None:
    autolog.enable()
    with pytest.raises(TypeError, match="unheard_of"):
        LogisticRegression().fit(*load_iris(return_X_y=True), unheard_of=1)
    with pytest.raises(ValueError, match="empty"):
        Pipeline([]).fit(*load_iris(return_X_y=True))
    assert caplog.text == ""
    assert [run.info.status for run in recorded()] == [RunStatus.FAILED] * 2


def test_objects_of_the_users_own_are_not_asked_for_their_looks_wherever_they_hide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hidden = np.array([Talkative(), "text"], dtype=object)
    extra = [hidden, partial(print, Talkative()), {Talkative(): (Talkative(),)}]
    Reluctant(extra=extra).fit(load_iris().data)
    assert capsys.readouterr().out == ""
    assert "text" in only_run().data.params["extra"]
