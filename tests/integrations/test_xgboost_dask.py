"""XGBoost on a Dask cluster: one run on the client's side, whatever its workers are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("distributed")

import dask.array
import xgboost.dask
from distributed import Client, LocalCluster

import autolog
from autolog.entities import Run, RunStatus

PARAMS = {"objective": "binary:logistic", "max_depth": 2}


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with warnings.catch_warnings():
        # The cluster's own business.
        warnings.simplefilter("ignore")
        with autolog.enable(strict=True, exclude=["sklearn"]):
            yield


def cluster(*, processes: bool) -> Any:
    return LocalCluster(n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None)


def data() -> tuple[Any, Any]:
    features = np.random.default_rng(0).normal(size=(400, 4))
    return dask.array.from_array(features, chunks=(200, 4)), dask.array.from_array(
        (features[:, 0] > 0).astype(int), chunks=200
    )


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def series(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def test_trainings_on_threads_are_a_run_each_with_their_history() -> None:
    with cluster(processes=False) as local, Client(local) as client:
        features, targets = data()
        matrix = xgboost.dask.DaskDMatrix(client, features, targets)
        arguments: dict[str, Any] = {"evals": [(matrix, "train")], "verbose_eval": False}
        first = xgboost.dask.train(client, PARAMS, matrix, 4, early_stopping_rounds=3, **arguments)
        xgboost.dask.train(client, PARAMS, matrix, 2, xgb_model=first["booster"], **arguments)
        model = xgboost.dask.DaskXGBClassifier(n_estimators=3, max_depth=2)
        model.client = client
        model.fit(features, targets, eval_set=[(features, targets)], verbose=False)
        model.predict(features).compute()
    one, later, estimator = recorded()
    assert [run.info.status for run in (one, later, estimator)] == [RunStatus.FINISHED] * 3
    assert series(one, "train-logloss") == list(enumerate(first["history"]["train"]["logloss"]))
    assert one.data.params["max_depth"] == "2"
    assert one.data.metrics["num_trees"] == 4
    assert (one.data.metrics["best_iteration"], one.data.metrics["stopped_iteration"]) == (3, 3)
    assert [entry.dataset.name for entry in one.inputs.dataset_inputs] == ["matrix"]
    assert later.data.tags["autolog.continued_from"] == one.info.run_id
    assert [step for step, _ in series(later, "train-logloss")] == [4, 5]
    assert "best_iteration" not in later.data.metrics
    assert estimator.info.run_name == "DaskXGBClassifier"
    assert series(estimator, "validation_0-logloss") == list(enumerate(model.evals_result()["validation_0"]["logloss"]))
    assert estimator.data.params["num_boost_round"] == "3"


def test_a_training_on_processes_is_one_run_with_its_history() -> None:
    with cluster(processes=True) as local, Client(local) as client:
        matrix = xgboost.dask.DaskDMatrix(client, *data())
        output = xgboost.dask.train(client, PARAMS, matrix, 3, evals=[(matrix, "train")], verbose_eval=False)
    (run,) = recorded()
    assert series(run, "train-logloss") == list(enumerate(output["history"]["train"]["logloss"]))
