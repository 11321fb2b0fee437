"""The machine that a process runs on: its name, operating system, processors, memory and GPUs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

T = TypeVar("T")

_TIMEOUT: Final = 10.0
_GPU_FIELDS: Final = "name,uuid,memory.total,driver_version"


class GPU(Struct, frozen=True, kw_only=True):
    """A GPU that the driver shows to this process."""

    name: str
    uuid: str = ""
    memory_bytes: int | None = None
    driver: str = ""


class Machine(Struct, frozen=True, kw_only=True):
    """A machine; what could not be found out is empty or None.

    ``usable_cpus`` is how many of the logical processors this process may run on.
    """

    host: str = ""
    operating_system: str = ""
    cpu_model: str = ""
    logical_cpus: int | None = None
    physical_cpus: int | None = None
    usable_cpus: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[GPU, ...] = ()
    container: str = ""


def describe_machine() -> Machine:
    """Return the machine; a probe that fails leaves its field empty."""
    return Machine(
        host=attempt(platform.node, ""),
        operating_system=attempt(_operating_system, ""),
        cpu_model=attempt(_cpu_model, ""),
        logical_cpus=attempt(os.cpu_count, None),
        physical_cpus=attempt(_physical_cpus, None),
        usable_cpus=attempt(_usable_cpus, None),
        memory_bytes=attempt(_memory_bytes, None),
        gpus=attempt(_gpus, ()),
        container=attempt(_container, ""),
    )


def attempt(probe: Callable[[], T], default: T) -> T:
    """Return what a probe finds out, or the default if it fails in any way."""
    with suppress(Exception):
        return probe()
    return default


def _operating_system() -> str:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    if sys.platform == "linux":
        with suppress(OSError):
            return f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({system})"
    return system


def _cpu_model() -> str:
    if sys.platform == "linux":
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() in {"model name", "Model"}:
                    return value.strip()
        return platform.machine()
    if sys.platform == "darwin":
        return _run("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string").strip()
    return platform.processor()


def _usable_cpus() -> int | None:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else None


def _physical_cpus() -> int | None:
    import psutil

    return psutil.cpu_count(logical=False)


def _memory_bytes() -> int:
    import psutil

    return psutil.virtual_memory().total


def _gpus() -> tuple[GPU, ...]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return _gpus_by_nvml() if "pynvml" in sys.modules else ()
    listed = _run(command, f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits")
    gpus = []
    for line in listed.splitlines():
        name, uuid, memory, driver = (word.strip() for word in line.split(","))
        # In MiB; a GPU that shares its memory with the host says [N/A].
        memory_bytes = int(memory) << 20 if memory.isdecimal() else None
        gpus.append(GPU(name=name, uuid=uuid, memory_bytes=memory_bytes, driver=driver))
    return tuple(gpus)


def _gpus_by_nvml() -> tuple[GPU, ...]:
    nvml = sys.modules["pynvml"]
    nvml.nvmlInit()
    driver = _text(nvml.nvmlSystemGetDriverVersion())
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    return tuple(
        GPU(
            name=_text(nvml.nvmlDeviceGetName(handle)),
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            memory_bytes=nvml.nvmlDeviceGetMemoryInfo(handle).total,
            driver=driver,
        )
        for handle in handles
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _container() -> str:
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if Path("/.dockerenv").exists():
        return "docker"
    if os.environ.get("SINGULARITY_NAME") or os.environ.get("APPTAINER_NAME"):
        return "apptainer"
    return os.environ.get("container", "")  # noqa: SIM112  podman and systemd-nspawn spell it so


def _run(*command: str) -> str:
    return subprocess.run(  # noqa: S603  every word is ours
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=_TIMEOUT,
        text=True,
        errors="replace",
    ).stdout
