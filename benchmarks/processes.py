"""A subject in a process of its own: clean of what other subjects import, cache and record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from contenders import Tool

_SUBJECTS: Final = Path(__file__).parent / "subjects"
_REPOSITORY: Final = Path(__file__).parent.parent
# What the caller of the benchmarks has set must not decide the figures.
_DROPPED: Final = ("AUTOLOG_", "MLFLOW_", "WANDB_", "TRACKIO_", "AIM_", "CLEARML_", "HF_", "PYTHON", "COV_CORE_")
# The discard port of this machine: whatever asks for the network in spite of its settings is refused at once.
_NOWHERE: Final = "http://127.0.0.1:9"


class SubjectFailed(Exception):
    """A subject ended without figures, and its last words."""


def run_subject(subject: str, tool: Tool, python: Path, arguments: dict[str, Any], longest: float) -> dict[str, Any]:
    """Run a subject, and return what it reports, and in ``exit`` the nanoseconds from its last line to its end.

    Args:
        subject: the name of its script.
        tool: whose environment it runs in.
        python: the tool's.
        arguments: among them ``folder``, where all that it writes goes, and ``variables`` of its own.
        longest: the seconds that it may take.

    Raises:
        SubjectFailed: it fails, or takes too long.
    """
    folder = Path(arguments["folder"])
    (folder / "home").mkdir(parents=True, exist_ok=True)
    command = [python, _SUBJECTS / f"{subject}.py", json.dumps(arguments)]
    # Into files: a process that the tool leaves behind would hold a pipe open.
    with (folder / "output").open("w+") as output, (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(tool, folder, arguments),
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = process.wait(longest)
        except subprocess.TimeoutExpired as error:
            raise SubjectFailed(f"{subject} took more than {longest:.0f} s") from error
        finally:
            ended = time.monotonic_ns()
            if process.returncode is None:
                # With whatever it has started.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for file in (output, errors):
            file.seek(0)
        if code:
            words = errors.read().strip().splitlines()
            raise SubjectFailed(f"{subject} failed: {words[-1] if words else code}")
        reported = [line for line in output if line.startswith('{"samples"')]
    if not reported:
        raise SubjectFailed(f"{subject} reported nothing")
    result: dict[str, Any] = json.loads(reported[-1])
    result["exit"] = ended - result["last_line"]
    return result


def _environment(tool: Tool, folder: Path, arguments: dict[str, Any]) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), _NOWHERE)
    environment |= {"NO_PROXY": "127.0.0.1,localhost", "HOME": str(folder / "home"), "DO_NOT_TRACK": "1"}
    # One thread for the linear algebra: otherwise its threads and the writer's contend, differently each time.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if tool.name in {"none", "autolog", "torch"}:
        environment |= {"PYTHONPATH": str(_REPOSITORY), "AUTOLOG_ARTIFACT_ROOT": str(folder / "artifacts")}
        environment |= {"AUTOLOG_SPOOL": str(folder / "spool"), "AUTOLOG_BACKEND": f"file:{folder / 'autolog-runs'}"}
    environment |= {name: value.format(folder=folder) for name, value in tool.variables.items()}
    return environment | arguments.get("variables", {})
