"""The example of several processes records one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import autolog
from autolog.entities import RunStatus

pytest.importorskip("torch")

REPOSITORY = Path(__file__).parents[2]


def test_two_processes_record_one_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "pytorch_ddp.py")],
        cwd=tmp_path,
        env=os.environ | {"AUTOLOG_BACKEND": f"file:{tmp_path / 'runs'}", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog" not in done.stderr
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status is RunStatus.FINISHED
    # Of 512 rows each process has half, in batches of 32, five times.
    assert len(autolog.get_metric_history(run.info.run_id, "loss")) == 5 * 512 // 2 // 32
    assert run.data.params["strategy"] == "DistributedDataParallel"
    assert run.data.params["world_size"] == "2"
