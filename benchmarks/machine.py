"""What the figures depend on: the machine and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("scikit-learn", "numpy", "pandas", "sqlalchemy")


def describe_machine() -> dict[str, Any]:
    """Return the machine, and how busy it is before the first measurement."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "system": _system(),
        "load": round(psutil.getloadavg()[0], 2),
    }


def describe_versions(peer: Path | None) -> dict[str, dict[str, str]]:
    """Return the versions of each contender's Python and packages."""
    import autolog

    own = {"autolog": autolog.__version__, "python": platform.python_version()}
    own |= {package: version(package) for package in _PACKAGES}
    return {"autolog": own} if peer is None else {"autolog": own, "mlflow": _versions_of(peer)}


def _versions_of(python: Path) -> dict[str, str]:
    question = (
        "import platform, sys; from importlib.metadata import version;"
        "print('python', platform.python_version(), *(word for name in sys.argv[1:] for word in (name, version(name))))"
    )
    words = subprocess.run(
        [python, "-c", question, "mlflow", *_PACKAGES], capture_output=True, text=True, check=True
    ).stdout.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    if sys.platform == "linux":
        try:
            return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"
        except (OSError, KeyError):
            pass
    return platform.platform(terse=True)
