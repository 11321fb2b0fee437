"""The examples with Lightning, transformers and Ignite record what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import autolog

pytest.importorskip("torch")
pytest.importorskip("sklearn")

REPOSITORY = Path(__file__).parents[2]


def run_example(name, folder):
    """Run an example as a person would; return its one run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOLOG_")}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / name)],
        cwd=folder,
        env=environment
        | {"AUTOLOG_SPOOL": str(folder / ".spool"), "AUTOLOG_SYSTEM_METRICS": "0", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog failed" not in done.stderr
    autolog.set_tracking_uri(folder / "autolog-runs")
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    return run


def series(run, key):
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def listed_checkpoints(run):
    path = autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="checkpoints.json")
    return json.loads(Path(path).read_text())


def test_a_lightning_module_stops_early_and_its_best_checkpoint_is_tested(tmp_path):
    pytest.importorskip("lightning")
    run = run_example("lightning_module.py", tmp_path)
    values = [value for _, value in series(run, "val_loss")]
    assert run.data.metrics["stopped_epoch"] == len(values) - 1
    assert run.data.metrics["best_model_score"] == run.data.metrics["best_score"] == min(values)
    # Of 1,797 digits seven tenths are trained on, in batches of 64.
    assert len(series(run, "train_loss_step")) == 20 * len(values)
    (checkpoint,) = listed_checkpoints(run)
    assert checkpoint["is_best"]
    assert checkpoint["path"] == run.data.tags["best_model_path"]
    assert (checkpoint["epoch"], Path(checkpoint["path"]).exists()) == (values.index(min(values)), True)
    assert run.data.metrics["test_accuracy"] > 0.9
    assert run.data.params["total_params"] == str(64 * 32 + 32 + 32 * 10 + 10)


def test_a_tiny_model_of_transformers_is_trained_and_evaluated(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    run = run_example("transformers_tiny.py", tmp_path)
    losses = [value for _, value in series(run, "eval_loss")]
    assert len(losses) == 3
    assert run.data.metrics["best_loss"] == pytest.approx(min(losses))
    assert run.data.params["n_layer"] == "2"
    assert (tmp_path / "checkpoints").is_dir()
    assert all(Path(one["path"]).is_dir() for one in listed_checkpoints(run))


def test_an_engine_of_ignite_is_recorded_by_the_hooks_of_plain_pytorch(tmp_path):
    pytest.importorskip("ignite")
    run = run_example("ignite_engine.py", tmp_path)
    # Of 1,797 digits four fifths are trained on, in batches of 64.
    assert len(series(run, "loss")) == 4 * 23
    assert [step for step, _ in series(run, "train_loss")] == [0, 1, 2, 3]
    assert [step for step, _ in series(run, "val_accuracy")] == [0, 1, 2, 3]
    assert run.data.params["optimizer_name"] == "Adam"
