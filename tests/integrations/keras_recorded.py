"""Programs with Keras that are run once, and what they leave in a store: for several tests to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run

SCENARIOS = Path(__file__).with_name("keras_scenarios.py")
TIMEOUT = 300


def run_scenarios(folder: Path, backend: str, how: str, *names: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCENARIOS), how, *names],
        cwd=folder,
        env=os.environ
        | {
            "KERAS_BACKEND": backend,
            "AUTOLOG_BACKEND": f"file:{folder / 'runs'}",
            "AUTOLOG_SPOOL": str(folder / "spool"),
            "AUTOLOG_SYSTEM_METRICS": "0",
            "AUTOLOG_LOG_ENVIRONMENT": "0",
        }
        | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog failed" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Recorded:
    """What the scenarios have shown in the program, and what is in the store."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder = folder
        self.backend = backend
        self.scenarios = run_scenarios(folder, backend, "recorded")
        self.reader = open_reader(f"file:{folder / 'runs'}")
        self.runs = {run.info.run_id: run for run in self.reader.search_runs(RunQuery(max_results=1000)).items}

    def seen(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.scenarios[name]["observed"]
        return found

    def run(self, name: str) -> Run:
        return self.runs[self.scenarios[name]["run"]]

    def series(self, run: Run | str, key: str) -> list[tuple[int, float]]:
        run_id = run if isinstance(run, str) else run.info.run_id
        return [(point.step, point.value) for point in self.reader.metric_history(run_id, key).metrics()]

    def values(self, run: Run | str, key: str) -> list[float]:
        return [value for _, value in self.series(run, key)]

    def artifact(self, run: Run, path: str) -> str:
        (found,) = (self.folder / "runs").glob(f"**/{run.info.run_id}/artifacts/{path}")
        return found.read_text()

    def inputs(self, run: Run) -> dict[str, tuple[str, dict[str, Any]]]:
        return {
            one.dataset.name: (one.tags[0].value, json.loads(one.dataset.profile or "{}"))
            for one in run.inputs.dataset_inputs
        }
