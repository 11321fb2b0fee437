"""The examples with XGBoost and LightGBM record what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import autolog

REPOSITORY = Path(__file__).parents[2]


def run_example(name, folder):
    """Run an example as a person would; return the runs that it recorded, the first one first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOLOG_")}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / name)],
        cwd=folder,
        env=environment
        | {"AUTOLOG_SPOOL": str(folder / ".spool"), "AUTOLOG_SYSTEM_METRICS": "0", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog failed" not in done.stderr
    autolog.set_tracking_uri(folder / "autolog-runs")
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def test_xgboost_stops_early_goes_on_and_cross_validates(tmp_path):
    pytest.importorskip("xgboost")
    first, later, validation = run_example("xgboost_training.py", tmp_path)
    assert first.data.metrics["stopped_iteration"] == first.data.metrics["best_iteration"] + 5
    assert later.data.tags["autolog.continued_from"] == first.info.run_id
    last = first.data.metrics["stopped_iteration"]
    history = autolog.get_metric_history(later.info.run_id, "validation-auc")
    assert [point.step for point in history] == [last + 1 + place for place in range(20)]
    assert {"test-auc-mean", "test-auc-std", "test-auc-fold_2"} <= set(validation.data.metrics)


def test_lightgbm_names_functions_of_ones_own(tmp_path):
    pytest.importorskip("lightgbm")
    own, pipeline, validation = run_example("lightgbm_training.py", tmp_path)
    assert own.data.params["objective"] == "__main__.absolute_error"
    assert 0 < own.data.metrics["validation-within_50"] < 1
    assert pipeline.info.run_name == "Pipeline(LGBMRegressor)"
    assert pipeline.data.metrics["num_trees"] == 30
    assert "valid-l2-fold_2" in validation.data.metrics


def test_a_training_on_a_cluster_is_one_run(tmp_path):
    pytest.importorskip("xgboost")
    pytest.importorskip("distributed")
    (run,) = run_example("boosting_on_dask.py", tmp_path)
    assert run.data.summaries["train-logloss"].count == 10
