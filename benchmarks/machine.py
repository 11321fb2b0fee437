"""What the figures depend on: the machine and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from contenders import TOOLS
from environments import list_packages

_PACKAGES = ("scikit-learn", "numpy", "pandas", "sqlalchemy", "torch", "keras", "lightning")


def describe_machine() -> dict[str, Any]:
    """Return the machine, and how busy it is before the first measurement."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "system": _system(),
        "load": round(psutil.getloadavg()[0], 2),
    }


def describe_versions(pythons: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Return the versions of each tool, by its name: its own, its Python's, and those of what decides its figures."""
    import autolog

    versions = {}
    for name, python in pythons.items():
        packages = list_packages(python)
        if name == "autolog":
            packages["autolog"] = autolog.__version__
        asked = [requirement.partition("==")[0].lower() for requirement in TOOLS[name].requirements[:1]]
        wanted = ("autolog", *asked, "python", *_PACKAGES)
        versions[name] = {package: packages[package] for package in wanted if package in packages}
    return versions


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
