"""What autolog keeps of the scripts that are compared with MLflow's capture, and how the comparison is drawn."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("xgboost")
pytest.importorskip("lightgbm")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.stem for path in (BENCHMARKS / "captured").glob("*.py"))


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All scripts in one process, which the comparison gives a process each."""
    folder = tmp_path_factory.mktemp("capture")
    arguments = {"folder": str(folder), "tool": "autolog", "store": "file", "scripts": SCRIPTS, "times": 0}
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "subjects" / "capture_autolog.py", json.dumps(arguments)],
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent), "AUTOLOG_SPOOL": str(folder / "spool")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["facts"]
    return found


def compare(ours: dict[str, Any], theirs: dict[str, Any], folder: Path) -> tuple[str, str, int]:
    """Return the page, what is printed of it, and the exit code, for what two tools have kept."""
    results = {
        "load": 0.1,
        "cores": 2,
        "versions": {"mlflow": "3", "scikit-learn": "1", "xgboost-cpu": "3", "lightgbm": "4"},
        "autolog": {"clustering": ours},
        "mlflow": {"clustering": theirs},
        "mlflow, without models": {},
    }
    (folder / "results.json").write_text(json.dumps(results))
    done = subprocess.run(
        [
            sys.executable,
            BENCHMARKS / "capture.py",
            "--render",
            folder / "results.json",
            "--output",
            folder / "page.md",
        ],
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return (folder / "page.md").read_text(encoding="utf-8"), done.stderr, done.returncode


def test_the_comparison_runs_every_script_that_there_is():
    text = (BENCHMARKS / "capture.py").read_text(encoding="utf-8")
    assert [script for script in SCRIPTS if f'"{script}"' not in text] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_leaves_a_run_with_params_metrics_and_its_data(captured, script):
    runs = captured[script]["runs"]
    assert runs
    assert all(run["params"] and run["metrics"] for run in runs)
    assert any(run["datasets"] for run in runs)


def test_what_is_computed_after_a_fit_has_the_names_that_mlflow_gives_it(captured):
    (run,) = captured["scores_after_the_fit"]["runs"]
    after = {"LogisticRegression_score", "accuracy_score", "log_loss", "roc_auc_score"}
    assert {f"{name}_X_test" for name in after} <= run["metrics"].keys()


def test_a_name_that_only_mlflow_has_is_a_fault(captured, tmp_path):
    ours = captured["clustering"] | {"added": 0.01}
    theirs = copy.deepcopy(ours)
    theirs["runs"][0]["metrics"]["silhouette"] = 0.5
    page, printed, code = compare(ours, theirs, tmp_path)
    assert "- **Missing**: MLflow's `silhouette` (metrics)." in page
    assert printed == "missing: clustering: metrics silhouette\n"
    assert code == 1


def test_a_picture_that_is_kept_as_data_is_no_fault_and_one_that_is_not_is(captured, tmp_path):
    ours = copy.deepcopy(captured["clustering"]) | {"added": 0.01}
    theirs = copy.deepcopy(ours)
    ours["runs"][0]["artifacts"].append("figures/training_roc_curve.json")
    theirs["runs"][0]["artifacts"] += ["training_roc_curve.png", "training_other.png"]
    page, printed, code = compare(ours, theirs, tmp_path)
    assert "- MLflow's `training_roc_curve.png` is `figures/training_roc_curve.json` here" in page
    assert printed == "missing: clustering: artifacts training_other.png\n"
    assert code == 1


def test_a_metric_of_one_name_and_two_values_is_shown(captured, tmp_path):
    ours = captured["clustering"] | {"added": 0.01}
    theirs = copy.deepcopy(ours)
    # K-means on several cores does not add up to the last digit.
    ours["runs"][0]["metrics"]["inertia"], theirs["runs"][0]["metrics"]["inertia"] = 78.851, 157.7
    page, printed, code = compare(ours, theirs, tmp_path)
    assert "- `inertia` is 78.851, by MLflow 157.7." in page
    assert (printed, code) == ("", 0)
