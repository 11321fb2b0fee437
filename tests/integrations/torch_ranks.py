"""What a process of a job trains that the tests of distributed PyTorch start: ``torch_ranks.py HOW FOLDER``.

Each writes down what it has computed by itself, in a file ``NAME-RANK.json`` of the folder.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.functional import mse_loss
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import autolog
from autolog import surroundings
from autolog.integrations import torch_distributed

EPOCHS = 2
FATAL_STEP = 20


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))

    def forward(self, rows: Any) -> Any:
        return self.layers(rows)


def enable() -> None:
    surroundings.SAMPLING_INTERVAL = 0.05  # type: ignore[misc]  # that a test need not wait for the ten seconds
    logging.basicConfig(level="INFO")
    autolog.enable(strict=True, system_metrics=True, log_environment=False)


def data(rows: int) -> TensorDataset:
    torch.manual_seed(11)
    features = torch.randn(rows, 8)
    return TensorDataset(features, features.sum(1, keepdim=True))


def shard(model: Any) -> Any:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    fully_shard(model.layers[0], mesh=mesh)
    return fully_shard(model, mesh=mesh)


def distribute(model: Any) -> Any:
    return DistributedDataParallel(model)


def flatten(model: Any) -> Any:
    return FullyShardedDataParallel(model, device_id=torch.device("cpu"))


def train(wrap: Callable[[Any], Any], *, is_recorded: bool = True) -> dict[str, Any]:
    """Train, and return what came of it; on ranks other than 0, wait until a run has been found to add to."""
    former = torch_distributed._Process.follower.run_id
    rows = data(64)
    sampler = DistributedSampler(rows, shuffle=True, seed=3)
    loader = DataLoader(rows, batch_size=8, sampler=sampler)
    val_loader = DataLoader(data(16), batch_size=8)
    model = wrap(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses, val_losses = [], []
    before = collectives()
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for features, labels in loader:
            optimizer.zero_grad()
            loss = mse_loss(model(features), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            parts = [mse_loss(model(features), labels).item() for features, labels in val_loader]
        val_losses.append(sum(parts) / len(parts))
        model.train()
    counted = collectives() - before
    if is_recorded and dist.get_rank() > 0:
        await_run(former)
    dist.barrier()
    return {"losses": losses, "val_losses": val_losses, "collectives": counted, "draw": torch.rand(1).item()}


def collectives() -> int:
    """Return how many collectives have been called."""
    group: Any = dist.distributed_c10d._get_default_group()
    return int(group._get_sequence_number_for_group())


def await_run(former: str) -> None:
    deadline = time.monotonic() + 20
    while torch_distributed._Process.follower.run_id == former and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.4)


def write_down(name: str, facts: Any) -> None:
    rank = dist.get_rank() if dist.is_initialized() else os.environ["SLURM_PROCID"]
    Path(sys.argv[2], f"{name}-{rank}.json").write_text(json.dumps(facts))


def run_by_torchrun() -> None:
    dist.init_process_group("gloo")
    write_down("plain", train(distribute, is_recorded=False))
    enable()
    write_down("DistributedDataParallel", train(distribute))
    write_down("FSDPModule", train(shard))
    write_down("FullyShardedDataParallel", train(flatten))
    dist.destroy_process_group()


def lose_one(rank: int, folder: str) -> None:
    """Train in one of four processes, of which the last is killed while the others go on."""
    sys.argv = [__file__, "spawn", folder]
    enable()
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=4)
    model = DistributedDataParallel(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    features, labels = data(16).tensors
    losses: list[float] = []
    for step in range(2 * FATAL_STEP):
        optimizer.zero_grad()
        loss = mse_loss(model(features), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        write_down("losses", losses)
        if step == FATAL_STEP:
            if rank > 0:
                await_run("")
            dist.barrier()
            if rank == 3:
                os.kill(os.getpid(), signal.SIGKILL)


def train_alone(rate: float) -> list[float]:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    features, labels = data(16).tensors
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = mse_loss(model(features), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def run_by_slurm() -> None:
    """Train without a process group, then in a run of the user's own, then with one; and start a program."""
    rank, size = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    enable()
    train_alone(0.01)
    with autolog.start_run(run_name=f"my run {rank}"):
        train_alone(0.02)
    if rank == 1:
        subprocess.run([sys.executable, __file__, "alone", sys.argv[2]], check=True, timeout=60)
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}/meeting", rank=rank, world_size=size)
    write_down("slurm", train(distribute))
    dist.destroy_process_group()


def run_alone() -> None:
    enable()
    train_alone(0.03)


if __name__ == "__main__":
    torch.set_num_threads(1)
    match sys.argv[1]:
        case "torchrun":
            run_by_torchrun()
        case "spawn":
            torch.multiprocessing.spawn(lose_one, (sys.argv[2],), nprocs=4)
        case "slurm":
            run_by_slurm()
        case "alone":
            run_alone()
