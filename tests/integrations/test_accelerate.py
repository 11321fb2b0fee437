"""A loop of plain PyTorch that Accelerate runs is recorded as the loop that it is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("accelerate")

import autolog

PROGRAM = """
import json
import autolog; autolog.enable(strict=True)
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=4, mixed_precision="bf16")
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
points = torch.randn(64, 4)
loader = DataLoader(TensorDataset(points, points.sum(1)), batch_size=4, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
losses, norms = [], []
for epoch in range(2):
    for batch, targets in loader:
        with accelerator.accumulate(model):
            loss = (model(batch).squeeze(1) - targets).square().mean()
            losses.append(loss.item())
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                norms.append(accelerator.clip_grad_norm_(model.parameters(), 1.0).item())
            optimizer.step()
            optimizer.zero_grad()
print(json.dumps([losses, norms]))
"""


def test_a_loop_with_accumulated_gradients_has_its_own_losses_and_accelerates_settings(tmp_path: Path) -> None:
    import json

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses, norms = json.loads(done.stdout.splitlines()[-1])
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")

    def series(key: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]

    means = [sum(losses[start : start + 4]) / 4 for start in range(0, 32, 4)]
    assert series("loss") == [(step, pytest.approx(mean)) for step, mean in enumerate(means)]
    assert series("gradient_norm") == list(enumerate(norms))
    expected = {
        "mixed_precision": "bf16",
        "num_processes": "1",
        "gradient_accumulation_steps": "4",
        "optimizer_name": "SGD",
        "model_class": "Linear",
    }
    assert {key: run.data.params.get(key) for key in expected} == expected
