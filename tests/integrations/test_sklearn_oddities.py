"""Estimators that scikit-learn's tests train and few others do: their runs are whole, or they fail as before."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import autolog

X, y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def enabled():
    # Our own errors are raised, not logged.
    with autolog.enable(strict=True):
        yield


def last_run():
    autolog.flush(30)
    run = autolog.last_active_run()
    assert run is not None
    return run


@pytest.mark.parametrize("nothing", [None, "passthrough"])
def test_a_pipeline_that_ends_with_nothing_is_recorded(nothing):
    Pipeline([("pca", PCA(2)), ("nothing", nothing)]).fit(X)
    run = last_run()
    assert run.info.status == "FINISHED"
    assert run.data.params["pca__n_components"] == "2"
    assert run.data.params["nothing"] == str(nothing)


def test_a_class_in_place_of_an_estimator_fails_as_without_autolog():
    pipeline = Pipeline([("scale", StandardScaler), ("model", LogisticRegression())])
    with pytest.raises(TypeError, match="StandardScaler"):
        pipeline.fit(X, y)
    run = last_run()
    assert run.info.status == "FAILED"
    assert "StandardScaler" in run.data.params["steps"]


def test_an_estimator_that_fits_lists_and_cannot_score_them_has_no_score():
    several = [[int(target == 0), int(target == 1)] for target in y]
    MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(X.tolist(), several)
    run = last_run()
    assert run.info.status == "FINISHED"
    assert "training_score" not in run.data.metrics
