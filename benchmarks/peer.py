"""The peer, MLflow, in a virtual environment of its own: it and autolog must not share packages, nor need to."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

VERSION: Final = "3.17.2"
VARIABLE: Final = "AUTOLOG_BENCH_MLFLOW_PYTHON"
_FOLDER: Final = Path(__file__).parent.parent / ".venv-mlflow"


class PeerMissing(Exception):
    """The peer cannot be measured, and why."""


def find_python() -> Path:
    """Return a Python that has the peer: the one that the variable names, or one that is made here, once.

    Raises:
        PeerMissing: there is none, and none can be made.
    """
    chosen = os.environ.get(VARIABLE)
    python = Path(chosen) if chosen else _own_python()
    if not chosen and not _has_peer(python):
        _install(python)
    if not _has_peer(python):
        raise PeerMissing(f"the Python that {VARIABLE} names has no MLflow {VERSION}")
    return python


def _own_python() -> Path:
    return _FOLDER / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _has_peer(python: Path) -> bool:
    question = (
        f"from importlib.metadata import version; assert version('mlflow') == {VERSION!r}; version('scikit-learn')"
    )
    try:
        return subprocess.run([python, "-c", question], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _install(python: Path) -> None:
    print(f"Installing MLflow {VERSION} into {_FOLDER.name} …", file=sys.stderr)
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    try:
        venv.create(_FOLDER, with_pip=True, clear=True)
        subprocess.run([*command, f"mlflow=={VERSION}", "scikit-learn"], check=True, stderr=subprocess.PIPE, text=True)
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr or error).strip().splitlines()
        raise PeerMissing(f"MLflow {VERSION} could not be installed: {lines[-1]}") from error
    except OSError as error:
        raise PeerMissing(f"MLflow {VERSION} could not be installed: {error}") from error
