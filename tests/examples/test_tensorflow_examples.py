"""The examples with TensorFlow and TensorBoard record what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autolog

REPOSITORY = Path(__file__).parents[2]


def run_example(name, folder):
    """Run an example as a person would; return what it has printed, and the run that it recorded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOLOG_")}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / name)],
        cwd=folder,
        env=environment
        | {"AUTOLOG_SPOOL": str(folder / ".spool"), "AUTOLOG_SYSTEM_METRICS": "0", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog failed" not in done.stderr
    autolog.set_tracking_uri(folder / "autolog-runs")
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    return done.stdout, run


def values(run, key):
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def test_a_loop_around_a_gradient_tape_is_complete(tmp_path):
    pytest.importorskip("tensorflow")
    pytest.importorskip("sklearn")
    printed, run = run_example("tensorflow_gradient_tape.py", tmp_path)
    steps_of_an_epoch = 1347 // 64
    losses = values(run, "loss")
    assert [step for step, _ in losses] == list(range(5 * steps_of_an_epoch))
    assert losses[-1][1] < losses[0][1] / 2
    expected = [line.split()[2:] for line in printed.splitlines() if line.startswith("epoch")]
    for place, name in enumerate(["train_accuracy", "val_accuracy"]):
        found = values(run, name)
        assert [step for step, _ in found] == [steps_of_an_epoch * epoch - 1 for epoch in range(1, 6)]
        assert [f"{value:.3f}" for _, value in found] == [row[place] for row in expected]
    rates = dict(values(run, "learning_rate"))
    assert rates[0] == pytest.approx(0.01)
    assert all(
        rate == pytest.approx(0.005 * (1 + np.cos(np.pi * step / 105)), abs=1e-6) for step, rate in rates.items()
    )
    assert run.data.params["total_params"] == str(64 * 32 + 32 + 32 * 10 + 10)
    assert run.data.params["optimizer"] == "Adam"
    assert run.data.tags["autolog.tensorflow.mode"] == "graph"
    paths = [one.path for one in autolog.Client().list_artifacts(run.info.run_id, "histograms/hidden weights")]
    assert len(paths) == 5


def test_what_is_written_for_tensorboard_is_in_the_run(tmp_path):
    pytest.importorskip("tensorboardX")
    _, run = run_example("tensorboard_writer.py", tmp_path)
    assert run.data.params == {"dimensions": "2", "seed": "0"}
    distances = values(run, "distance")
    x, y = (np.array([value for _, value in values(run, f"place/{name}")]) for name in "xy")
    assert len(distances) == 200
    assert np.hypot(x, y) == pytest.approx([value for _, value in distances], rel=1e-6)
    assert values(run, "final_distance") == [(0, distances[-1][1])]
    files = {one.path for folder in ("images", "histograms", "text") for one in walk(run, folder)}
    assert files == {"images/noise/200.png", "histograms/steps/200.json", "text/notes/200.txt"}


def walk(run, folder):
    for one in autolog.Client().list_artifacts(run.info.run_id, folder):
        yield from walk(run, one.path) if one.is_dir else [one]
