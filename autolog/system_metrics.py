"""The use of the machine by everyone and by this process, as metrics under MLflow's names."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

PREFIX: Final = "system/"
# MLflow's megabyte is a million bytes.
_MEGABYTE: Final = 1e6


class SystemSampler:
    """Reads the use of processors, memory, disk, network and GPUs without waiting for anything.

    Shares of time are those since the sample before, the first one since the sampler was made;
    network traffic counts from when the sampler was made. Each probe stands alone:
    one that fails takes its own metrics out of that sample, and nothing else.
    The sampler keeps its own counters, so that a program that uses ``psutil`` itself sees no difference.
    It belongs to one thread at a time, and to the process that made it.

    GPUs are numbered as ``nvidia-smi`` numbers them; with ``CUDA_VISIBLE_DEVICES`` set, only those are read.
    """

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        self._processors: tuple[float, float] | None = None
        self._traffic: Any = None
        with suppress(Exception):
            self._processors = _busy_and_total(psutil.cpu_times())
        with suppress(Exception):
            self._process.cpu_percent(interval=None)
        with suppress(Exception):
            self._traffic = psutil.net_io_counters()
        self._probes: list[Callable[[], dict[str, float]]] = [
            self._read_processors,
            self._read_memory,
            self._read_disk,
            self._read_network,
            self._read_process_processors,
            self._read_process_memory,
        ]
        with suppress(Exception):
            self._probes += _gpu_probes()

    def sample(self) -> dict[str, float]:
        """Return the values of this moment by metric name."""
        values: dict[str, float] = {}
        for probe in self._probes:
            with suppress(Exception):
                values |= probe()
        return {PREFIX + name: float(value) for name, value in values.items()}

    def _read_processors(self) -> dict[str, float]:
        before, self._processors = self._processors, _busy_and_total(self._psutil.cpu_times())
        if before is None:
            return {}
        busy, total = (now - then for now, then in zip(self._processors, before, strict=True))
        # The clock ticks a hundred times a second: between two quick samples it may not have moved.
        return {"cpu_utilization_percentage": min(max(100 * busy / total, 0.0), 100.0)} if total > 0 else {}

    def _read_memory(self) -> dict[str, float]:
        memory = self._psutil.virtual_memory()
        return {
            "system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system_memory_usage_percentage": 100 * memory.used / memory.total,
        }

    def _read_disk(self) -> dict[str, float]:
        disk = self._psutil.disk_usage(os.sep)
        return {
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / _MEGABYTE,
            "disk_available_megabytes": disk.free / _MEGABYTE,
        }

    def _read_network(self) -> dict[str, float]:
        traffic = self._psutil.net_io_counters()
        if self._traffic is None or traffic is None:
            return {}
        return {
            "network_receive_megabytes": (traffic.bytes_recv - self._traffic.bytes_recv) / _MEGABYTE,
            "network_transmit_megabytes": (traffic.bytes_sent - self._traffic.bytes_sent) / _MEGABYTE,
        }

    def _read_process_processors(self) -> dict[str, float]:
        # Of one processor: a process that keeps four of them busy is at 400.
        return {"process_cpu_percentage": self._process.cpu_percent(interval=None)}

    def _read_process_memory(self) -> dict[str, float]:
        return {"process_memory_megabytes": self._process.memory_info().rss / _MEGABYTE}


def _busy_and_total(times: Any) -> tuple[float, float]:
    seconds = times._asdict()
    # A guest's time is counted in its host's too.
    total = sum(seconds.values()) - seconds.get("guest", 0.0) - seconds.get("guest_nice", 0.0)
    return total - seconds["idle"] - seconds.get("iowait", 0.0), total


def _gpu_probes() -> list[Callable[[], dict[str, float]]]:
    # Not one of autolog's requirements: whoever has GPUs and this package gets their metrics.
    pynvml = import_module("pynvml")
    pynvml.nvmlInit()
    probes: list[Callable[[], dict[str, float]]] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        with suppress(pynvml.NVMLError):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            if _is_visible(index, pynvml.nvmlDeviceGetUUID(handle)):
                gpu = _GPU(pynvml, index, handle)
                probes += [gpu.read_memory, gpu.read_utilization, gpu.read_power, gpu.read_power_share]
    return probes


def _is_visible(index: int, uuid: str | bytes) -> bool:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    # A slice of a GPU is not a device of its own to the driver; then all are read.
    if chosen is None or "MIG" in chosen:
        return True
    uuid = uuid.decode() if isinstance(uuid, bytes) else uuid
    return any(
        word == str(index) or (word.startswith("GPU-") and uuid.startswith(word))
        for word in (part.strip() for part in chosen.split(","))
    )


class _GPU:
    """One GPU, and a probe for each of its sensors: some GPUs lack one or another."""

    def __init__(self, nvml: Any, index: int, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._prefix = f"gpu_{index}_"

    def read_memory(self) -> dict[str, float]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
        return {
            f"{self._prefix}memory_usage_percentage": 100 * memory.used / memory.total,
            f"{self._prefix}memory_usage_megabytes": memory.used / _MEGABYTE,
        }

    def read_utilization(self) -> dict[str, float]:
        rates = self._nvml.nvmlDeviceGetUtilizationRates(self._handle)
        return {f"{self._prefix}utilization_percentage": rates.gpu}

    def read_power(self) -> dict[str, float]:
        return {f"{self._prefix}power_usage_watts": self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000}

    def read_power_share(self) -> dict[str, float]:
        used = self._nvml.nvmlDeviceGetPowerUsage(self._handle)
        return {
            f"{self._prefix}power_usage_percentage": (
                100 * used / self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)
            )
        }
