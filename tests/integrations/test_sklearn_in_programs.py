"""What a program may do around a recorded training: it does what it does without autolog."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("sklearn")

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, d2_log_loss_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autolog
from autolog import predictions, scores
from autolog.attribution import run_of_model
from autolog.recovery import recover

chance = np.random.default_rng(0)
X = chance.normal(size=(300, 4))
y = (X[:, 0] + chance.normal(size=300) > 0).astype(int)


@pytest.fixture(autouse=True)
def enabled():
    # Our own errors are raised, not logged.
    with autolog.enable(strict=True):
        yield


def recorded() -> list[Any]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def test_a_dictionary_that_the_program_has_from_locals_stays_as_it_is():
    def build(alpha: float = 1.0, fit_intercept: bool = True) -> Any:
        settings = locals()
        features = X.copy()
        Ridge(**settings).fit(features, y)
        return settings

    assert build() == {"alpha": 1.0, "fit_intercept": True}


def test_a_warning_for_the_caller_of_a_users_fit_names_the_caller():
    class Warning_(BaseEstimator):
        def fit(self, X, y=None):
            warnings.warn("of the user", UserWarning, stacklevel=2)
            return self

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Warning_().fit(X)
    assert [one.filename for one in seen] == [__file__]


def test_a_users_fit_may_begin_a_run_of_its_own():
    class Own(BaseEstimator):
        def fit(self, X, y=None):
            with autolog.start_run(run_name="inner"):
                autolog.log_metric("loss", 1.0)
            return self

    Own().fit(X)
    outer, inner = recorded()
    assert (outer.info.run_name, inner.info.run_name) == ("Own", "inner")
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert inner.data.metrics == {"loss": 1.0}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_workers_that_train_in_the_users_run_have_a_child_each(tmp_path):
    with autolog.start_run(run_name="outer") as outer:
        for alpha in (1.0, 2.0):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    Ridge(alpha=alpha).fit(X, y)
                    autolog.flush(30)
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
    assert autolog.flush(60)
    recover(tmp_path / "spool")
    children = [run for run in recorded() if run.data.tags.get("mlflow.parentRunId") == outer.run_id]
    assert sorted(run.data.params["alpha"] for run in children) == ["1.0", "2.0"]
    assert "alpha" not in autolog.get_run(outer.run_id).data.params


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_a_prediction_is_noted_goes_on():
    model = LogisticRegression().fit(X, y)
    noted, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with predictions._turns[0]:
            noted.set()
            forked.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert noted.wait(30)
    with warnings.catch_warnings():
        # Of a fork beside a thread, which is what is tested.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        threading.Timer(20, os._exit, (1,)).start()
        model.predict(X)
        os._exit(0)
    forked.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0


def test_metrics_of_probabilities_are_logged_though_they_have_a_deprecated_argument_for_labels():
    model = LogisticRegression().fit(X, y)
    probabilities = model.predict_proba(X)
    loss, explained = log_loss(y, probabilities), d2_log_loss_score(y, probabilities)
    (run,) = recorded()
    assert run.data.metrics["log_loss_X"] == loss
    assert run.data.metrics["d2_log_loss_score_X"] == explained


def test_classes_that_the_program_has_swapped_are_no_predictions_of_the_model():
    model = LogisticRegression().fit(X, y)
    accuracy_score(y, 1 - model.predict(X))
    (run,) = recorded()
    assert not [key for key in run.data.metrics if key.startswith("accuracy_score")]


def test_a_pipeline_that_passes_everything_through_has_importances():
    make_pipeline("passthrough", LogisticRegression()).fit(X, y)
    (run,) = recorded()
    assert "figures/feature_importance_coefficient.json" in {
        found.path for found in autolog.Client().list_artifacts(run.info.run_id, "figures")
    }


def test_a_large_matrix_of_coordinates_is_trained_on_without_metrics():
    many = np.random.default_rng(1).normal(size=(3000, 4))
    LogisticRegression().fit(scipy.sparse.coo_matrix(many), many[:, 0] > 0)
    (run,) = recorded()
    assert run.info.status == "FINISHED"
    assert "training_score" not in run.data.metrics


def test_weights_for_a_pipelines_last_step_weigh_its_metrics():
    weights = np.random.default_rng(2).random(300) + 0.1
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(X, y, logisticregression__sample_weight=weights)
    (run,) = recorded()
    weighted = accuracy_score(y, model.predict(X), sample_weight=weights)
    assert run.data.metrics["training_accuracy_score"] == pytest.approx(weighted, abs=1e-12)
    assert weighted != accuracy_score(y, model.predict(X))


LETTING_GO = """
import gc
import autolog
autolog.enable()
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from autolog.run import ActiveRun
X, y = load_diabetes(return_X_y=True)
for _ in range(40):
    model = Ridge().fit(X, y)
    for _ in range(3):
        model.score(X, y)
    del model
assert autolog.flush(60)
gc.collect()
print(sum(type(one) is ActiveRun for one in gc.get_objects()))
"""


def test_runs_whose_models_are_gone_are_let_go_of(tmp_path):
    # In a process of its own: frameworks that other tests have imported keep what they have seen.
    done = subprocess.run(
        [sys.executable, "-c", LETTING_GO], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=True
    )
    assert int(done.stdout) <= scores._MOST_WAITING + 4


class Pooled(BaseEstimator):
    """Trains its members in a pool of threads that was there before."""

    def __init__(self, pool: Any = None) -> None:
        self.pool = pool

    def fit(self, X: Any, y: Any = None) -> Any:
        list(self.pool.map(lambda alpha: Ridge(alpha=alpha).fit(X, y), (1.0, 2.0, 3.0)))
        return self


def test_members_that_are_trained_by_threads_from_before_open_no_runs():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(abs, (1, 2)))
        Pooled(pool).fit(X, y)
        list(pool.map(lambda alpha: Ridge(alpha=alpha).fit(X, y), (1.0, 2.0)))
    assert [run.info.run_name for run in recorded()] == ["Pooled", "Ridge", "Ridge"]


def test_a_signal_handler_that_computes_a_metric_while_one_is_recorded_goes_on():
    model = LogisticRegression().fit(X, y)
    accuracy_score(y, model.predict(X))
    (evaluations,) = [one for run, one in scores._of_runs.items() if run is run_of_model(model)]
    done = threading.Event()

    def strike() -> None:
        # A handler runs in the thread that it has struck, with the locks that this holds.
        with evaluations.turn:
            accuracy_score(y, model.predict(X))
        done.set()

    threading.Thread(target=strike, daemon=True).start()
    assert done.wait(30)
