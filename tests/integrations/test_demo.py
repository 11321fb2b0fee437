"""The demo's trainings compute the same with autolog and without, and autolog says nothing on stdout."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import autolog
from autolog.demo import TRAININGS


def test_predictions_are_bit_identical_and_stdout_is_empty(capfd: pytest.CaptureFixture[str]) -> None:
    plain = [training() for training in TRAININGS]
    with autolog.enable(strict=True):
        recorded = [training() for training in TRAININGS]
        assert autolog.flush(60)
    for one, other in zip(plain, recorded, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    assert capfd.readouterr().out == ""
    runs = [run for run in autolog.search_runs(output_format="list") if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) == len(TRAININGS) >= 8
    assert {run.inputs.dataset_inputs[0].dataset.name for run in runs} == {
        "breast_cancer",
        "wine",
        "digits",
        "diabetes",
    }
    assert all(np.isfinite(list(run.data.metrics.values())).all() for run in runs)
