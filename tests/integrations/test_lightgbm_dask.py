"""LightGBM on a Dask cluster: one run on the client's side, whatever its workers are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("distributed")

import dask.array
import lightgbm
from distributed import Client, LocalCluster

import autolog
from autolog.entities import Run


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # The cluster's own business.
        warnings.simplefilter("ignore")
        yield


def train(*, processes: bool) -> Any:
    features = np.random.default_rng(0).normal(size=(400, 4))
    local = LocalCluster(n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None)
    with local, Client(local) as client:
        X = dask.array.from_array(features, chunks=(200, 4))
        y = dask.array.from_array((features[:, 0] > 0).astype(int), chunks=200)
        model = lightgbm.DaskLGBMClassifier(n_estimators=3, num_leaves=5, client=client, verbose=-1)
        model.fit(X, y, eval_X=(X,), eval_y=(y,))
    return model


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list")


@pytest.mark.parametrize("processes", [False, True])
def test_a_training_is_one_run_with_its_history(processes: bool) -> None:
    with autolog.enable(strict=True, exclude=["sklearn"]):
        model = train(processes=processes)
    (run,) = recorded()
    history = autolog.get_metric_history(run.info.run_id, "valid_0-binary_logloss")
    expected = model.evals_result_["valid_0"]["binary_logloss"]
    assert [(point.step, point.value) for point in history] == list(enumerate(expected))
    assert run.info.run_name == "DaskLGBMClassifier"
    assert run.data.params["num_leaves"] == "5"
    assert run.data.metrics["num_trees"] == 3


def test_the_workers_fits_make_no_runs_beside_the_clients() -> None:
    with autolog.enable(strict=True):
        train(processes=False)
    (run,) = recorded()
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert run.data.summaries["valid_0-binary_logloss"].count == 3
