"""A virtual environment for every peer: they must not share packages, with each other or with autolog."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from contenders import Tool

_FOLDER: Final = Path(__file__).parent.parent / ".venv-bench"
_LONGEST: Final = 600.0


class PeerMissing(Exception):
    """A peer cannot be measured, and why."""


def find_python(tool: Tool) -> Path:
    """Return the Python of a tool, in an environment that is made where there is none with the versions asked for.

    ``AUTOLOG_BENCH_<TOOL>_PYTHON`` names another Python that has it.

    Raises:
        PeerMissing: there is none, and none can be made.
    """
    if not tool.requirements:
        return Path(sys.executable)
    variable = f"AUTOLOG_BENCH_{tool.name.upper()}_PYTHON"
    if chosen := os.environ.get(variable):
        if not Path(chosen).is_file():
            raise PeerMissing(f"{tool.title} is not measured: {variable} names {chosen}, which is not there")
        return Path(chosen)
    folder = _FOLDER / tool.name
    stamp, wanted = folder / "installed.txt", "\n".join(tool.requirements)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        _install(tool, folder)
        stamp.write_text(wanted, encoding="utf-8")
    return _python_of(folder)


def list_packages(python: Path) -> dict[str, str]:
    """Return the versions of an interpreter's packages, its own first."""
    question = (
        "import platform\nfrom importlib.metadata import distributions\n"
        "print('python', platform.python_version())\n"
        "for each in distributions(): print(each.metadata['Name'].lower(), each.version)"
    )
    lines = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True).stdout.splitlines()
    words = (line.split() for line in lines)
    return {word[0]: word[1] for word in words if len(word) == 2}


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _install(tool: Tool, folder: Path) -> None:
    print(f"Installing {tool.requirements[0]} into {folder.parent.name}/{folder.name} …", file=sys.stderr)
    command = [_python_of(folder), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *tool.requirements]
    try:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LONGEST)
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr or error).strip().splitlines()
        raise PeerMissing(f"{tool.title} could not be installed ({tool.requirements[0]}): {lines[-1]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{tool.title} could not be installed ({tool.requirements[0]}): {error}") from error
