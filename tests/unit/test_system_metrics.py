"""The machine's use is sampled under MLflow's names, without waiting, and one broken sensor costs no other."""

from __future__ import annotations

import math
import sys
import threading
import time
import types

import psutil
import pytest

from autolog.system_metrics import SystemSampler

MLFLOW_NAMES = {
    "system/cpu_utilization_percentage",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
    "system/disk_usage_percentage",
    "system/disk_usage_megabytes",
    "system/disk_available_megabytes",
    "system/network_receive_megabytes",
    "system/network_transmit_megabytes",
}
OWN_NAMES = {"system/process_cpu_percentage", "system/process_memory_megabytes"}


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)


def spend_processor_time(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_sample_has_mlflows_names_and_those_of_the_process():
    sampler = SystemSampler()
    spend_processor_time(0.05)
    sample = sampler.sample()
    assert set(sample) == MLFLOW_NAMES | OWN_NAMES
    assert all(type(value) is float and math.isfinite(value) and value >= 0 for value in sample.values())
    assert all(value <= 100 for name, value in sample.items() if name.endswith(("zation_percentage", "age_percentage")))


def test_a_busy_process_is_seen_as_one():
    sampler = SystemSampler()
    spend_processor_time(0.3)
    sample = sampler.sample()
    assert sample["system/process_cpu_percentage"] > 10
    assert sample["system/cpu_utilization_percentage"] > 0


def test_memory_that_the_process_takes_is_counted_in_millions_of_bytes():
    sampler = SystemSampler()
    before = sampler.sample()["system/process_memory_megabytes"]
    taken = bytearray(b"x") * 100_000_000
    after = sampler.sample()["system/process_memory_megabytes"]
    assert 90 < after - before < 130
    assert len(taken) == 100_000_000


def test_network_traffic_counts_from_the_samplers_beginning(monkeypatch):
    traffic = [(5_000_000, 7_000_000), (6_000_000, 10_000_000), (8_000_000, 10_000_000)]
    counters = iter([types.SimpleNamespace(bytes_sent=sent, bytes_recv=received) for sent, received in traffic])
    monkeypatch.setattr(psutil, "net_io_counters", lambda: next(counters))
    sampler = SystemSampler()
    first, second = sampler.sample(), sampler.sample()
    assert (first["system/network_transmit_megabytes"], first["system/network_receive_megabytes"]) == (1, 3)
    assert (second["system/network_transmit_megabytes"], second["system/network_receive_megabytes"]) == (3, 3)


@pytest.mark.parametrize(
    ("probe", "lost"),
    [
        ("cpu_times", {"system/cpu_utilization_percentage"}),
        ("virtual_memory", {"system/system_memory_usage_megabytes", "system/system_memory_usage_percentage"}),
        ("disk_usage", {name for name in MLFLOW_NAMES if "disk" in name}),
        ("net_io_counters", {name for name in MLFLOW_NAMES if "network" in name}),
    ],
)
def test_a_probe_that_fails_loses_its_own_metrics_only(monkeypatch, probe, lost):
    def fail(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(psutil, probe, fail)
    sampler = SystemSampler()
    spend_processor_time(0.05)
    assert set(sampler.sample()) == (MLFLOW_NAMES | OWN_NAMES) - lost


def test_a_machine_without_a_network_has_no_network_metrics(monkeypatch):
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    assert not any("network" in name for name in SystemSampler().sample())


def test_the_first_sample_tells_the_truth_on_another_thread_than_the_samplers():
    sampler = SystemSampler()
    spend_processor_time(0.3)
    samples: list[dict[str, float]] = []
    thread = threading.Thread(target=lambda: samples.append(sampler.sample()))
    thread.start()
    thread.join()
    assert samples[0]["system/cpu_utilization_percentage"] > 0


def test_a_program_that_measures_with_psutil_itself_sees_no_difference(monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(psutil, "cpu_percent", lambda *_, **__: calls.append("cpu_percent"))
    SystemSampler().sample()
    assert not calls


class Nvml(types.ModuleType):
    """Three GPUs, of which the second has no power sensor; there is none on the machines that run the tests."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}{handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> types.SimpleNamespace:
        return types.SimpleNamespace(used=20_000_000, total=80_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> types.SimpleNamespace:
        return types.SimpleNamespace(gpu=75)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if handle == 1:
            raise self.NVMLError("not supported")
        return 350_000

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:
        return 700_000


def test_a_gpu_that_lacks_a_sensor_keeps_its_other_metrics_and_costs_no_other_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml("pynvml"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    sample = SystemSampler().sample()
    for gpu in (0, 1, 2):
        assert sample[f"system/gpu_{gpu}_memory_usage_percentage"] == 25
        assert sample[f"system/gpu_{gpu}_memory_usage_megabytes"] == 20
        assert sample[f"system/gpu_{gpu}_utilization_percentage"] == 75
    for gpu in (0, 2):
        assert sample[f"system/gpu_{gpu}_power_usage_watts"] == 350
        assert sample[f"system/gpu_{gpu}_power_usage_percentage"] == 50
    assert not any(name.startswith("system/gpu_1_power") for name in sample)


@pytest.mark.parametrize(("chosen", "read"), [("2,0", "02"), ("GPU-11", "1"), ("", ""), ("-1", ""), ("MIG-7", "012")])
def test_only_the_gpus_of_this_process_are_read(monkeypatch, chosen, read):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml("pynvml"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    sample = SystemSampler().sample()
    assert "".join(gpu for gpu in "012" if f"system/gpu_{gpu}_utilization_percentage" in sample) == read
