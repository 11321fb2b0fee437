"""All calls of ``partial_fit`` on one estimator are one run."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import IncrementalPCA
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

import autolog
from autolog.attribution import run_of_model
from autolog.entities import Run, RunStatus

FEATURES, TARGETS = load_iris(return_X_y=True)
FEATURES = FEATURES[::7]
TARGETS = TARGETS[::7]
CLASSES = [0, 1, 2]


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def history(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


@pytest.mark.usefixtures("untraced")
def test_a_stream_is_one_run_with_a_step_for_each_call_and_ends_with_its_estimator() -> None:
    model = SGDClassifier(random_state=0)
    for batch in range(3):
        model.partial_fit(FEATURES, TARGETS, classes=CLASSES)
        assert autolog.active_run() is None
        assert model.t_ == 1 + len(FEATURES) * (batch + 1)
    (run,) = recorded()
    assert run.info.status is RunStatus.RUNNING
    assert (run.info.run_name, run.data.params["loss"]) == ("SGDClassifier", "hinge")
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert history(run, "rows_seen") == [(1, 22.0), (2, 44.0), (3, 66.0)]
    assert history(run, "t") == [(1, 23.0), (2, 45.0), (3, 67.0)]
    assert history(run, "training_score")[0][0] == 1
    assert len(run.inputs.dataset_inputs) == 1
    handle = run_of_model(model)
    assert handle is not None
    assert handle.run_id == run.info.run_id
    del model
    (run,) = recorded()
    assert run.info.status is RunStatus.FINISHED


def test_the_score_of_a_batch_is_that_of_scikit_learn() -> None:
    for model in (GaussianNB(), SGDRegressor(random_state=0), MLPRegressor(hidden_layer_sizes=(3,), random_state=0)):
        arguments: dict[str, Any] = {"classes": CLASSES} if isinstance(model, GaussianNB) else {}
        model.partial_fit(FEATURES, TARGETS, **arguments)
        run = recorded()[-1]
        assert run.data.metrics["training_score"] == pytest.approx(model.score(FEATURES, TARGETS), rel=1e-12)
        assert run.data.metrics.get("loss") == getattr(model, "loss_", None)
    assert len(recorded()) == 3


def test_streams_without_targets_are_recorded_and_preparation_is_not() -> None:
    clusterer, projection = MiniBatchKMeans(2, random_state=0, n_init=1), IncrementalPCA(2)
    for _ in range(2):
        clusterer.partial_fit(FEATURES)
        projection.partial_fit(FEATURES)
        StandardScaler().partial_fit(FEATURES)
    assert [run.info.run_name for run in recorded()] == ["MiniBatchKMeans", "IncrementalPCA"]
    assert all(history(run, "rows_seen")[-1] == (2, 44.0) for run in recorded())


def test_a_fit_ends_the_stream_and_begins_a_run_of_its_own() -> None:
    model = SGDClassifier(random_state=0).partial_fit(FEATURES, TARGETS, classes=CLASSES)
    model.fit(FEATURES, TARGETS)
    model.partial_fit(FEATURES, TARGETS)
    runs = recorded()
    assert [run.info.status for run in runs] == [RunStatus.FINISHED, RunStatus.FINISHED, RunStatus.RUNNING]
    assert history(runs[2], "rows_seen") == [(1, 22.0)]


def test_a_call_that_raises_fails_the_stream_and_the_next_one_begins_another() -> None:
    model = SGDClassifier(random_state=0).partial_fit(FEATURES, TARGETS, classes=CLASSES)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(FEATURES[:, :2], TARGETS)
    model.partial_fit(FEATURES, TARGETS)
    failed, running = recorded()
    assert (failed.info.status, running.info.status) == (RunStatus.FAILED, RunStatus.RUNNING)
    assert "ValueError" in failed.data.tags["autolog.exception"]


def test_a_stream_in_the_users_run_goes_into_it_and_leaves_its_end_to_the_user() -> None:
    model, other = SGDClassifier(random_state=0), GaussianNB()
    with autolog.start_run(run_name="mine") as mine:
        for _ in range(2):
            model.partial_fit(FEATURES, TARGETS, classes=CLASSES)
            other.partial_fit(FEATURES, TARGETS, classes=CLASSES)
            assert autolog.active_run() is mine
        handle = autolog.get_run(mine.info.run_id)
        assert handle.info.status is RunStatus.RUNNING
    # The run is over, and so a new one goes on counting.
    model.partial_fit(FEATURES, TARGETS)
    runs = {run.info.run_name: run for run in recorded()}
    assert runs.keys() == {"mine", "GaussianNB", "SGDClassifier"}
    assert runs["mine"].info.status is RunStatus.FINISHED
    assert runs["mine"].data.params["loss"] == "hinge"
    assert history(runs["mine"], "rows_seen") == [(1, 22.0), (2, 44.0)]
    assert runs["GaussianNB"].data.tags["mlflow.parentRunId"] == mine.info.run_id
    assert history(runs["SGDClassifier"], "rows_seen") == [(3, 66.0)]


def test_a_copy_of_an_estimator_is_a_stream_of_its_own() -> None:
    model = SGDClassifier(random_state=0).partial_fit(FEATURES, TARGETS, classes=CLASSES)
    copies = [clone(model), pickle.loads(pickle.dumps(model))]
    for copied in copies:
        copied.partial_fit(FEATURES, TARGETS, classes=CLASSES)
    assert [history(run, "rows_seen") for run in recorded()] == [[(1, 22.0)]] * 3


class Mine(BaseEstimator):
    """An estimator of the user's own, which learns in its own way."""

    def __init__(self, logged: Any = None) -> None:
        self.logged = logged

    def partial_fit(self, X: Any, y: Any = None) -> Mine:
        self.seen_ = getattr(self, "seen_", 0) + len(X)
        autolog.log_metric("inside", self.seen_)
        return self

    def predict(self, X: Any) -> Any:
        raise SystemExit(3)


def test_what_the_users_own_estimator_logs_is_in_the_streams_run() -> None:
    model = Mine()
    for _ in range(2):
        model.partial_fit(FEATURES, TARGETS)
    (run,) = recorded()
    assert [value for _, value in history(run, "inside")] == [22.0, 44.0]
    assert history(run, "seen") == [(1, 22.0), (2, 44.0)]


def test_neither_the_batches_nor_the_estimator_is_kept_alive() -> None:
    import weakref

    def train() -> list[weakref.ref[Any]]:
        features, targets = FEATURES.copy(), TARGETS.copy()
        model = SGDClassifier(random_state=0).partial_fit(features, targets, classes=CLASSES)
        return [weakref.ref(features), weakref.ref(targets), weakref.ref(model)]

    gc.disable()
    try:
        assert [reference() for reference in train()] == [None] * 3
    finally:
        gc.enable()


def test_a_stream_computes_what_it_computes_without_autolog() -> None:
    def train() -> bytes:
        model = SGDClassifier(random_state=0, average=True)
        for part in np.array_split(np.arange(len(FEATURES)), 3):
            model.partial_fit(FEATURES[part], TARGETS[part], classes=CLASSES)
        return pickle.dumps(model)

    recorded_bytes = train()
    autolog.disable()
    assert train() == recorded_bytes


def test_the_end_of_a_program_finishes_its_streams(tmp_path: Path) -> None:
    program = """
    import autolog
    autolog.enable(strict=True)
    import numpy
    from sklearn.naive_bayes import GaussianNB
    model = GaussianNB()
    for _ in range(3):
        model.partial_fit(numpy.eye(4), [0, 1, 0, 1], classes=[0, 1])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, cwd=tmp_path, timeout=120)
    (run,) = recorded()
    assert (run.info.run_name, run.info.status) == ("GaussianNB", RunStatus.FINISHED)
    assert history(run, "rows_seen")[-1] == (3, 12.0)
