"""Jobs of several processes, with gloo: one run for a training, with the use of the machine by every process in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")

import autolog
from autolog.entities import Run, RunStatus
from autolog.integrations import torch_distributed
from autolog.recovery import recover
from autolog.tracking import using

PROGRAM = Path(__file__).with_name("torch_ranks.py")
STRATEGIES = ["DistributedDataParallel", "FSDPModule", "FullyShardedDataParallel"]
OWN = ["process_cpu_percentage", "process_memory_megabytes"]


class Job(NamedTuple):
    """What a job has left.

    Attributes:
        folder: where its processes have written down what they know.
        runs: what is in the store, the oldest first.
        histories: by the runs' ids, the values of their metrics.
        output: what the processes have printed to stderr.
        code: the launcher's exit code.
        seconds: how long it all took.
    """

    folder: Path
    runs: list[Run]
    histories: dict[str, dict[str, list[float]]]
    output: str
    code: int
    seconds: float

    def known(self, name: str, rank: int = 0) -> Any:
        return json.loads((self.folder / f"{name}-{rank}.json").read_text())

    def ranks(self, run: Run) -> set[str]:
        """Return whose use of the machine is in a run, by their names in those of the metrics."""
        return {key.split("/")[1] for key in self.histories[run.info.run_id] if key.count("/") == 2}


def launch(folder: Path, commands: list[list[str]], variables: Sequence[Mapping[str, str]]) -> Job:
    began = time.monotonic()
    settings = {
        "AUTOLOG_BACKEND": f"file:{folder / 'runs'}",
        "AUTOLOG_SPOOL": str(folder / "spool"),
        "PYTHONPATH": os.pathsep.join([str(PROGRAM.parents[2]), *sys.path]),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *command, str(folder)], env=os.environ | settings | own, stderr=subprocess.PIPE, text=True
        )
        for command, own in zip(commands, variables, strict=True)
    ]
    outputs = [process.communicate(timeout=180)[1] for process in processes]
    seconds = time.monotonic() - began
    recover(folder / "spool")
    with using(f"file:{folder / 'runs'}"):
        runs = autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])
        histories = {
            run.info.run_id: {
                key: [point.value for point in autolog.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            }
            for run in runs
        }
    return Job(folder, runs, histories, "\n".join(outputs), max(abs(one.returncode) for one in processes), seconds)


@pytest.fixture(scope="module")
def torchrun(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Return a job of two processes that trains with DDP and with both kinds of FSDP, one after the other."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(PROGRAM), "torchrun"]
    return launch(tmp_path_factory.mktemp("torchrun"), [launcher], [{}])


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Return a job of four processes, of which one is killed."""
    return launch(tmp_path_factory.mktemp("spawn"), [[str(PROGRAM), "spawn"]], [{}])


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Return a job of two tasks, as SLURM starts them: trained without a process group first, and then with one."""
    job = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2"}
    tasks = [{**job, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(2)]
    return launch(tmp_path_factory.mktemp("slurm"), [[str(PROGRAM), "slurm"]] * 2, tasks)


def run_of(job: Job, strategy: str) -> Run:
    (run,) = (run for run in job.runs if run.data.params.get("strategy") == strategy)
    return run


def test_a_job_is_one_run_for_each_training(torchrun: Job) -> None:
    assert torchrun.code == 0, torchrun.output
    assert [run.data.params["strategy"] for run in torchrun.runs] == STRATEGIES
    assert {run.info.status for run in torchrun.runs} == {RunStatus.FINISHED}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_losses_are_those_of_rank_0(torchrun: Job, strategy: str) -> None:
    recorded = torchrun.histories[run_of(torchrun, strategy).info.run_id]
    known = torchrun.known(strategy)
    assert recorded["loss"] == known["losses"]
    assert recorded["val_loss"] == pytest.approx(known["val_losses"], rel=1e-12)
    assert known["losses"] != torchrun.known(strategy, rank=1)["losses"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_other_ranks_add_their_use_of_the_machine_and_nothing_else(torchrun: Job, strategy: str) -> None:
    recorded = torchrun.histories[run_of(torchrun, strategy).info.run_id]
    others = [key for key in recorded if "rank_" in key]
    assert sorted(others) == [f"system/rank_1/{name}" for name in OWN]
    assert min(recorded["system/rank_1/process_memory_megabytes"]) > 50
    assert {f"system/{name}" for name in OWN} < set(recorded)
    assert len(recorded["loss"]) == len(torchrun.known(strategy)["losses"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_job_and_the_whole_model_are_described(torchrun: Job, strategy: str) -> None:
    run = run_of(torchrun, strategy)
    expected = {
        "model_class": "Net",
        "total_params": "41",
        "trainable_params": "41",
        "distributed_backend": "gloo",
        "world_size": "2",
        "sampler": "DistributedSampler",
        "shuffle": "True",
        "dataset_size": "64",
    }
    assert {key: run.data.params.get(key) for key in expected} == expected
    assert run.data.tags["mlflow.runName"] == "Net"
    assert run.data.tags["autolog.torchelastic_restart_count"] == "0"
    assert run.data.tags["autolog.torchelastic_run_id"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_job_computes_and_draws_what_it_does_unrecorded(torchrun: Job, rank: int) -> None:
    assert torchrun.known("DistributedDataParallel", rank) == torchrun.known("plain", rank)
    assert torchrun.known("plain", rank)["collectives"] > 0


def test_other_ranks_say_once_who_records(torchrun: Job) -> None:
    assert torchrun.output.count("rank 1 of 2: the training is recorded by rank 0") == 1
    assert "autolog failed" not in torchrun.output


def test_a_rank_that_is_killed_leaves_one_failed_run_and_hangs_nobody(lost: Job) -> None:
    assert lost.code != 0
    assert "SIGKILL" in lost.output
    assert lost.seconds < 120
    (run,) = lost.runs
    # Rank 0 sees that the other is gone, or is ended by the launcher before it does.
    assert run.info.status in {RunStatus.FAILED, RunStatus.KILLED}
    assert run.data.params["world_size"] == "4"


def test_what_was_recorded_before_a_rank_was_killed_is_there(lost: Job) -> None:
    (run,) = lost.runs
    recorded = lost.histories[run.info.run_id]
    known = lost.known("losses")
    assert len(known) >= 21
    assert recorded["loss"][: len(known)] == known
    assert lost.ranks(run) == {"rank_1", "rank_2", "rank_3"}


def test_under_slurm_rank_0_records(slurm: Job) -> None:
    assert slurm.code == 0, slurm.output
    run = run_of(slurm, "DistributedDataParallel")
    assert slurm.histories[run.info.run_id]["loss"] == slurm.known("slurm")["losses"]
    assert slurm.ranks(run) == {"rank_1"}
    assert run.data.tags["autolog.slurm_job_id"] == "4711"
    assert run.data.params["world_size"] == "2"


def test_without_a_process_group_only_rank_0_records_and_the_others_say_so(slurm: Job) -> None:
    (run,) = (run for run in slurm.runs if run.data.params.get("lr") == "0.01")
    assert "distributed_backend" not in run.data.params
    assert run.data.params["world_size"] == "2"
    assert "rank 1 of 2, as the environment says" in slurm.output


def test_without_a_process_group_a_run_of_the_users_own_takes_the_training_of_any_rank(slurm: Job) -> None:
    runs = [run for run in slurm.runs if run.data.params.get("lr") == "0.02"]
    assert {run.info.run_name for run in runs} == {"my run 0", "my run 1"}


def test_a_program_that_a_rank_starts_records_its_own_training(slurm: Job) -> None:
    assert len([run for run in slurm.runs if run.data.params.get("lr") == "0.03"]) == 1
    assert len(slurm.runs) == 5


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
        {"SLURM_PROCID": "3"},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"RANK": "", "WORLD_SIZE": "two"},
        # Of a task of SLURM's that has started two processes with torchrun, this is the first.
        {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "RANK": "0", "WORLD_SIZE": "2"},
    ],
)
def test_a_lone_process_and_the_first_record(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not torch_distributed.follows_another_rank(object())


@pytest.mark.parametrize(
    ("host", "variables", "expected"),
    [
        (True, {}, {"process_x"}),
        (True, {"CUDA_VISIBLE_DEVICES": "1"}, {"process_x", "gpu_1_x"}),
        (True, {"CUDA_VISIBLE_DEVICES": "0,1"}, {"process_x"}),
        (False, {"LOCAL_RANK": "0"}, {"process_x", "gpu_1_x", "cpu_x"}),
        (False, {"LOCAL_RANK": "1"}, {"process_x"}),
    ],
)
def test_what_the_processes_of_a_machine_see_alike_is_recorded_once(
    host: bool, variables: dict[str, str], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    here = torch_distributed.platform.node()
    beginnings = torch_distributed._stands_for(here if host else f"not {here}")
    metrics: dict[str, float] = {"system/process_x": 1, "system/gpu_1_x": 2, "system/cpu_x": 3}
    selected = torch_distributed._select("system/rank_5/", beginnings, metrics)
    assert set(selected) == {f"system/rank_5/{name}" for name in expected}
