"""The example with Optuna records what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna")
pytest.importorskip("sklearn")

import autolog

REPOSITORY = Path(__file__).parents[2]


def test_a_study_is_a_run_with_a_child_for_each_trial(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOLOG_")}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "optuna_study.py")],
        cwd=tmp_path,
        env=environment
        | {"AUTOLOG_SPOOL": str(tmp_path / ".spool"), "AUTOLOG_SYSTEM_METRICS": "0", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog failed" not in done.stderr
    autolog.set_tracking_uri(tmp_path / "autolog-runs")
    runs = autolog.search_runs(search_all_experiments=True, output_format="list")
    (search,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    trials = [run for run in runs if run is not search]
    assert len(trials) == search.data.metrics["n_trials"] == 15
    pruned = [run for run in trials if run.data.tags["autolog.trial.state"] == "PRUNED"]
    assert pruned
    assert len(pruned) == search.data.metrics["n_pruned"]
    # The batches of a trial are a stream, whose params stand in the trial's run.
    assert all(run.data.params["random_state"] == "0" for run in trials)
    best = max((run for run in trials if run not in pruned), key=lambda run: run.data.metrics["value"])
    assert search.data.metrics["best_value"] == best.data.metrics["value"]
