"""What a fit leaves in an estimator: numbers, curves, importances, and how it is put together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import autolog

FEATURES, TARGETS = load_iris(return_X_y=True)
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def last() -> Any:
    assert autolog.flush(60)
    return autolog.last_active_run()


def history(key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(last().info.run_id, key)]


def artifact(path: str) -> Any:
    return json.loads((Path(last().info.artifact_uri.removeprefix("file://")) / path).read_text())


def test_a_pipelines_structure_is_stored_with_what_differs_from_the_defaults() -> None:
    columns = ColumnTransformer([("scale", MinMaxScaler((0, 2)), [0, 1]), ("rest", "passthrough", [2, 3])])
    make_pipeline(columns, None, LogisticRegression(C=0.5, max_iter=500)).fit(FEATURES, TARGETS)
    assert artifact("estimator.json") == {
        "class": "sklearn.pipeline.Pipeline",
        "params": {},
        "parts": [
            {
                "name": "columntransformer",
                "class": "sklearn.compose._column_transformer.ColumnTransformer",
                "params": {},
                "parts": [
                    {
                        "name": "scale",
                        "columns": "[0, 1]",
                        "class": "sklearn.preprocessing._data.MinMaxScaler",
                        "params": {"feature_range": "(0, 2)"},
                    },
                    {"name": "rest", "columns": "[2, 3]", "class": "passthrough", "params": {}},
                ],
            },
            {"name": "nonetype", "class": "None", "params": {}},
            {
                "name": "logisticregression",
                "class": "sklearn.linear_model._logistic.LogisticRegression",
                "params": {"C": "0.5", "max_iter": "500"},
            },
        ],
    }


def test_curves_over_the_iterations_are_metrics_with_steps() -> None:
    model = MLPClassifier((4,), max_iter=300, random_state=0, tol=0.1, n_iter_no_change=2).fit(FEATURES, TARGETS)
    assert history("loss") == list(enumerate(model.loss_curve_))
    assert last().data.metrics["n_iter"] == model.n_iter_
    boosted = GradientBoostingClassifier(n_estimators=4, random_state=0).fit(FEATURES, TARGETS)
    assert history("train_score") == list(enumerate(boosted.train_score_))


def test_transformers_and_clusterers_keep_what_they_have_found() -> None:
    model = make_pipeline(StandardScaler(), PCA(2)).fit(FEATURES)
    assert history("explained_variance_ratio") == list(enumerate(model[-1].explained_variance_ratio_))
    clusterer = KMeans(3, n_init=1, random_state=0).fit(FEATURES)
    assert {key: last().data.metrics[key] for key in ("inertia", "n_iter")} == {
        "inertia": clusterer.inertia_,
        "n_iter": clusterer.n_iter_,
    }


def test_importances_and_coefficients_have_the_names_of_the_features() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FEATURES, columns=NAMES)
    forest = RandomForestClassifier(4, random_state=0).fit(frame, TARGETS)
    drawn = artifact("figures/feature_importance_model.json")["data"]
    assert dict(zip(drawn["features"], drawn["values"], strict=True)) == pytest.approx(
        dict(zip(NAMES, forest.feature_importances_, strict=True))
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, TARGETS)
    drawn = artifact("figures/feature_importance_coefficient.json")["data"]
    expected = np.abs(linear[-1].coef_)
    assert dict(zip(drawn["features"], drawn["values"], strict=True)) == pytest.approx(
        dict(zip(NAMES, expected.mean(axis=0), strict=True))
    )
    Ridge().fit(FEATURES, TARGETS)
    assert set(artifact("figures/feature_importance_coefficient.json")["data"]["features"]) == {"x0", "x1", "x2", "x3"}


def test_permutation_importances_are_computed_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOLOG_PERMUTATION_IMPORTANCES", "1")
    with autolog.enable(strict=True):
        np.random.seed(4)
        model = RandomForestClassifier(3, random_state=0).fit(FEATURES, TARGETS)
        drawn = artifact("figures/permutation_importance.json")["data"]
    after = np.random.rand()
    np.random.seed(4)
    assert after == np.random.rand()
    expected = permutation_importance(model, FEATURES, TARGETS, random_state=0)
    assert dict(zip(drawn["features"], drawn["means"], strict=True)) == pytest.approx(
        {f"x{index}": mean for index, mean in enumerate(expected.importances_mean)}
    )
