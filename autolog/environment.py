"""What made a run: the script and its command, the code in git, Python and its packages, the machine.

Nothing here may cost a training anything or fail it: it is collected once a process, on a thread of its own;
every probe that fails leaves its field empty; every subprocess has a time limit.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from autolog.git import GitState, read_git_state
from autolog.machine import Machine, attempt, describe_machine
from autolog.redaction import redact_arguments, redact_text

# What schedulers, launchers and CI say about the job, by the variables in which they say it.
_JOB_VARIABLES: Final = (
    *("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "SLURM_NTASKS"),
    *("SLURM_NNODES", "SLURM_CLUSTER_NAME", "PBS_JOBID", "LSB_JOBID", "JOB_COMPLETION_INDEX", "RAY_JOB_ID"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "CUDA_VISIBLE_DEVICES"),
    *("KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_NAMESPACE", "AWS_BATCH_JOB_ID", "CLOUD_ML_JOB_ID"),
    *("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_WORKFLOW", "CI_PROJECT_PATH", "CI_JOB_ID"),
    *("CI_PIPELINE_ID", "CI_JOB_URL", "BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "TRAVIS_JOB_ID"),
)
# name-version.dist-info, as the packaging standards have it; a hyphen in either is written as an underscore.
_METADATA_FOLDER: Final = re.compile(r"([^-]+)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


class Environment(Struct, frozen=True, kw_only=True):
    """What made a run; what could not be found out is empty.

    ``command`` and ``job`` are free of secrets. ``git.diff`` is the user's own source and is kept whole,
    up to its limit: a secret that is written into source code is recorded with it.
    """

    command: tuple[str, ...] = ()
    script: str = ""
    notebook: bool = False
    working_directory: str = ""
    git: GitState | None = None
    python_version: str = ""
    python_implementation: str = ""
    python_executable: str = ""
    packages: dict[str, str] = {}
    user: str = ""
    machine: Machine = Machine()
    job: dict[str, str] = {}

    def tags(self) -> dict[str, str]:
        """Return the run's tags, under MLflow's names where it has one."""
        tags = {
            "mlflow.source.name": self.script or "<console>",
            "mlflow.source.type": "NOTEBOOK" if self.notebook else "LOCAL",
            "mlflow.user": self.user,
            "autolog.python": self.python_version,
            "autolog.host": self.machine.host,
        }
        if self.git is not None:
            tags |= {
                "mlflow.source.git.commit": self.git.commit,
                "mlflow.source.git.branch": self.git.branch,
                "mlflow.source.git.repoURL": self.git.remote,
                "autolog.git.dirty": str(self.git.dirty).lower(),
            }
        return {key: value for key, value in tags.items() if value}

    def artifacts(self) -> dict[str, str]:
        """Return the files that describe the environment, as text by path below the run's artifact folder."""
        described = msgspec.to_builtins(self)
        del described["packages"]
        if self.git is not None:
            del described["git"]["diff"]
        files = {
            "environment/environment.json": msgspec.json.format(msgspec.json.encode(described), indent=2).decode()
            + "\n",
            "environment/requirements.txt": "".join(f"{name}=={version}\n" for name, version in self.packages.items()),
        }
        if self.git is not None and self.git.dirty:
            files["environment/uncommitted.diff"] = self.git.diff
        return files


def environment() -> Environment:
    """Return what ``collect`` found when it was first asked in this process; safe to call from any thread."""
    with _Cache.lock:
        if _Cache.collected is None:
            _Cache.collected = collect()
        return _Cache.collected


def collect(script: str | None = None) -> Environment:
    """Find out what makes the runs of this process.

    It takes some tens of milliseconds, most of them waiting for git, and belongs on a background thread.

    Args:
        script: the file that is being run; by default that of ``__main__``.
    """
    notebook = attempt(_is_notebook, False)
    script = script or attempt(_find_notebook if notebook else _find_script, "")
    working_directory = attempt(os.getcwd, "")
    # A program that is installed, such as a test runner, works for what lies in the current folder.
    installed = not script or Path(script).is_relative_to(sys.prefix)
    folder = Path(working_directory) if installed else Path(script).parent
    return Environment(
        command=attempt(lambda: tuple(redact_arguments(sys.orig_argv)), ()),
        script=script,
        notebook=notebook,
        working_directory=working_directory,
        git=attempt(lambda: read_git_state(folder), None),
        python_version=platform.python_version(),
        python_implementation=platform.python_implementation(),
        python_executable=sys.executable or "",
        packages=attempt(installed_packages, {}),
        user=attempt(getpass.getuser, ""),
        machine=describe_machine(),
        job=attempt(_describe_job, {}),
    )


def installed_packages() -> dict[str, str]:
    """Return the version of every installed distribution by its normalised name, sorted by name.

    Names and versions are read from the names of the metadata folders, which is a hundred times faster than
    reading the metadata, and done instead only where a folder's name does not tell.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            for entry in entries:
                if not entry.name.endswith((".dist-info", ".egg-info")):
                    continue
                named = _METADATA_FOLDER.fullmatch(entry.name)
                name, version = named.group(1, 2) if named else _read_metadata(entry.path)
                if name and version:
                    # The first on the path is the one that is imported.
                    found.setdefault(_normalise(name), version)
    return dict(sorted(found.items()))


class _Cache:
    lock = threading.Lock()
    collected: Environment | None = None


def _renew_lock() -> None:
    # The thread that held it does not exist in a forked child.
    _Cache.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _describe_job() -> dict[str, str]:
    return {name: redact_text(os.environ[name]) for name in _JOB_VARIABLES if os.environ.get(name)}


def _read_metadata(path: str) -> tuple[str, str]:
    import importlib.metadata  # slow, and hardly ever needed

    with suppress(Exception):
        distribution = importlib.metadata.Distribution.at(path)
        return distribution.metadata["Name"], distribution.version
    return "", ""


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _find_script() -> str:
    path = getattr(sys.modules["__main__"], "__file__", None)
    # What is read from a pipe is called <stdin>, and lies nowhere.
    return str(Path(path).absolute()) if path and not path.startswith("<") else ""


def _is_notebook() -> bool:
    shell = _interactive_shell()
    return shell is not None and hasattr(shell, "kernel")


def _find_notebook() -> str:
    # Jupyter's servers tell the kernel by the first, Visual Studio Code by the second.
    told = os.environ.get("JPY_SESSION_NAME") or getattr(_interactive_shell(), "user_ns", {}).get("__vsc_ipynb_file__")
    return str(Path(told).absolute()) if told else ""


def _interactive_shell() -> object | None:
    interactive = sys.modules.get("IPython")
    return interactive.get_ipython() if interactive is not None else None
