"""The Keras integration keeps every promise of the suite, and what else needs a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")
pytest.importorskip("jax")

from keras_recorded import Recorded, run_scenarios

from autolog.backends import open_reader
from autolog.testing.integration_suite import IntegrationSuite

MODEL = "keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])"
COMPILED = f"[model for model in [{MODEL}] if model.compile('sgd', 'mse') is None][0]"
TRAINER = "keras.src.models.model.Trainer"


class TestKeras(IntegrationSuite):
    integration = "keras"
    imports = "import keras, numpy, sys"
    training = f"{COMPILED}.fit(numpy.eye(2), numpy.ones(2), epochs=2, verbose=0)"
    failing = f"{COMPILED}.fit(numpy.eye(2), numpy.ones(3), verbose=0)"
    patched = (f"{TRAINER}.fit", f"{TRAINER}.evaluate", f"{TRAINER}.predict", f"{TRAINER}.train_on_batch")
    bound = (f"{COMPILED}.fit", f"{COMPILED}.evaluate")

    @pytest.fixture(autouse=True)
    def _backend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The backend that is imported in the least time.
        monkeypatch.setenv("KERAS_BACKEND", "jax")


def test_every_nth_batch_is_recorded_where_that_is_asked_for(tmp_path: Path) -> None:
    scenarios = run_scenarios(tmp_path, "jax", "recorded", "continued", AUTOLOG_LOG_EVERY_N_STEPS="2")
    recorded = Recorded.__new__(Recorded)
    recorded.reader = open_reader(f"file:{tmp_path / 'runs'}")
    run = scenarios["continued"]["observed"]["runs"][0]
    points = recorded.series(run, "batch_loss")
    # 96 rows: three batches of 32 in each of two epochs, then six of 16 in each of three.
    assert [step for step, _ in points] == list(range(2, 6 + 18 + 1, 2))
    # After the last batch of an epoch the mean over the batches is the epoch's loss.
    batches, epochs = dict(points), dict(recorded.series(run, "loss"))
    assert batches[6] == pytest.approx(epochs[1])
    assert batches[24] == pytest.approx(epochs[4])
    recorded.reader.close()


ORDERS = {
    "autolog first": ("import autolog; autolog.enable(strict=True)", "import keras", "import tensorflow"),
    "autolog last": ("import keras", "import tensorflow", "import autolog; autolog.enable(strict=True)"),
    "tensorflow first": (
        "import tensorflow",
        "import autolog; autolog.enable(strict=True)",
        "keras = tensorflow.keras",
    ),
}
PROGRAM = """
import numpy
keras.utils.set_random_seed(1)
X, y = numpy.eye(8, dtype="float32"), numpy.arange(8) % 2
model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=2, verbose=0)
model.evaluate(X, y, verbose=0)
assert autolog.flush(60)
"""


def test_a_script_leaves_the_same_record_whatever_is_imported_first(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    found: list[Any] = []
    for name, order in ORDERS.items():
        folder = tmp_path / name.replace(" ", "_")
        folder.mkdir()
        environment = {"KERAS_BACKEND": "tensorflow", "AUTOLOG_SPOOL": str(folder / "spool")}
        subprocess.run(
            [sys.executable, "-c", "\n".join(order) + PROGRAM],
            env=os.environ | environment | {"AUTOLOG_BACKEND": f"file:{folder / 'runs'}"},
            check=True,
            timeout=120,
            capture_output=True,
        )
        found.append(run_of(folder))
    assert found[0] == found[1] == found[2]
    params, metrics, inputs, artifacts = found[0]
    assert params["total_params"] == "18"
    assert metrics["loss"] > 0
    # Once for the training, once for the evaluation.
    assert [name for name, _ in inputs] == ["X", "X"]
    assert artifacts == ["metric_info.json", "model_architecture.json", "model_summary.txt"]


def run_of(folder: Path) -> tuple[dict[str, str], dict[str, float], list[tuple[str, str]], list[str]]:
    """Return what the one run of a store holds that does not depend on when and where it was made."""
    from autolog.backend import RunQuery

    reader = open_reader(f"file:{folder / 'runs'}")
    (run,) = reader.search_runs(RunQuery()).items
    inputs = [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs]
    artifacts = sorted(one.path for one in reader.artifacts(run.info.run_id))
    reader.close()
    return dict(run.data.params), dict(run.data.metrics), inputs, artifacts


SCHEDULES = """
import json
from keras.optimizers import schedules
from autolog.integrations.keras_schedules import evaluate
told = [
    schedules.ExponentialDecay(0.1, 5, 0.7), schedules.ExponentialDecay(0.1, 5, 0.7, staircase=True),
    schedules.InverseTimeDecay(0.1, 5, 0.7), schedules.InverseTimeDecay(0.1, 5, 0.7, staircase=True),
    schedules.PiecewiseConstantDecay([3, 8], [0.3, 0.2, 0.1]),
    schedules.PolynomialDecay(0.1, 6, 0.01, power=2.0), schedules.PolynomialDecay(0.1, 6, 0.01, cycle=True),
    schedules.CosineDecay(0.1, 12, alpha=0.1), schedules.CosineDecay(0.0, 6, warmup_target=0.2, warmup_steps=4),
    schedules.CosineDecayRestarts(0.1, 5, t_mul=2.0, m_mul=0.5), schedules.CosineDecayRestarts(0.1, 5, t_mul=1.0),
]
print(json.dumps([[[evaluate(one, step), float(one(step))] for step in range(14)] for one in told]))
"""


def test_a_schedule_is_computed_as_keras_computes_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCHEDULES],
        env=os.environ | {"KERAS_BACKEND": "torch"},
        check=True,
        timeout=120,
        capture_output=True,
    )
    for values in json.loads(done.stdout):
        for ours, theirs in values:
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7)
