"""The examples run as a person runs them, and MLflow's introduction records what MLflow records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

EXAMPLES = Path(__file__).parents[2] / "examples"

# Appended to a script: what the user logged, as the library itself reads it back.
REPORT = """
import json
stored = client.get_run(run.info.run_id)
print("REPORT", json.dumps({
    "name": stored.info.run_name,
    "status": str(getattr(stored.info.status, "value", stored.info.status)),
    "experiment": client.get_experiment(stored.info.experiment_id).name,
    "params": stored.data.params,
    "metrics": {key: value for key, value in stored.data.metrics.items() if not key.startswith("system/")},
    "tags": {key: value for key, value in stored.data.tags.items() if not key.startswith(("mlflow.", "autolog."))},
    "points": [(p.key, p.value, p.step) for p in client.get_metric_history(stored.info.run_id, "accuracy by C")],
    "columns": sorted(c for c in best.columns if not c.startswith(("tags.mlflow.", "tags.autolog."))),
}, sort_keys=True))
"""


def run_script(python, script, folder, **variables):
    return subprocess.run(
        [python, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "PYTHONWARNINGS": "ignore", **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def report(python, text, folder, **variables):
    script = folder / "quickstart.py"
    script.write_text(text + REPORT)
    done = run_script(python, script, folder, **variables)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("REPORT "))
    return json.loads(line.removeprefix("REPORT "))


def test_mlflows_introduction_runs_with_only_its_import_changed(tmp_path):
    done = run_script(sys.executable, EXAMPLES / "mlflow_quickstart.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "FINISHED" in done.stdout
    assert "['classes.txt', 'code', 'data']" in done.stdout


def test_mlflows_introduction_records_what_mlflow_records(tmp_path):
    python = os.environ.get("AUTOLOG_TEST_MLFLOW_PYTHON")
    if not python:
        pytest.skip("AUTOLOG_TEST_MLFLOW_PYTHON names no Python that has MLflow")
    text = (EXAMPLES / "mlflow_quickstart.py").read_text()
    assert text.count("import autolog as mlflow") == 1
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    real = report(
        python,
        text.replace("import autolog as mlflow", "import mlflow"),
        theirs,
        MLFLOW_TRACKING_URI=f"sqlite:///{theirs / 'mlflow.db'}",
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    assert report(sys.executable, text, ours) == real
    assert real["metrics"]["accuracy"] > 0.9
