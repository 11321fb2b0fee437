"""A subject in a process of its own: clean of what other subjects import, cache and record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_SUBJECTS: Final = Path(__file__).parent / "subjects"
_REPOSITORY: Final = Path(__file__).parent.parent
# What the caller of the benchmarks has set must not decide the figures.
_DROPPED: Final = ("AUTOLOG_", "MLFLOW_", "PYTHON", "COV_CORE_", "COVERAGE_")
_LONGEST: Final = 600.0


class SubjectFailed(Exception):
    """A subject ended without figures, and its last words."""


def run_subject(subject: str, python: Path | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a subject, and return what it reports.

    Args:
        subject: the name of its script.
        python: the peer's; None for this process's own, which finds autolog in this repository.
        arguments: among them ``folder``, where all that it writes goes.

    Raises:
        SubjectFailed: it fails, or takes too long.
    """
    folder = Path(arguments["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    # One thread for the linear algebra: otherwise its threads and the writer's contend, differently each time.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if python is None:
        environment |= {"PYTHONPATH": str(_REPOSITORY), "AUTOLOG_SPOOL": str(folder / "spool")}
        environment |= {"AUTOLOG_BACKEND": f"file:{folder / 'autolog-runs'}"}
    else:
        environment |= {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        ended = subprocess.run(
            [python or sys.executable, _SUBJECTS / f"{subject}.py", json.dumps(arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired as error:
        raise SubjectFailed(f"{subject} took more than {_LONGEST:.0f} s") from error
    if ended.returncode:
        words = ended.stderr.strip().splitlines()
        raise SubjectFailed(f"{subject} failed: {words[-1] if words else ended.returncode}")
    result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return result
