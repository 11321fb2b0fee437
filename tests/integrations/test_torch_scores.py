"""Metrics that are computed in a loop of plain PyTorch: torchmetrics' and scikit-learn's, on the right split."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autolog.backend import RunQuery
from autolog.backends import open_reader

PROGRAM = """
import json
import autolog; autolog.enable(strict=True)
import torch, torchmetrics
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
features = torch.randn(200, 8)
targets = (features[:, 0] > 0).long()
train_loader = DataLoader(TensorDataset(features[:150], targets[:150]), 32, shuffle=True)
test_loader = DataLoader(TensorDataset(features[150:], targets[150:]), 25)
model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), 0.5)
seen, tested = (torchmetrics.Accuracy(task="multiclass", num_classes=2) for _ in range(2))
both = torchmetrics.MetricCollection([torchmetrics.classification.BinaryF1Score()])
truth = {"train": [], "test": [], "sklearn": [], "f1": []}
for epoch in range(3):
    model.train()
    seen.reset()
    for x, y in train_loader:
        optimizer.zero_grad()
        out = model(x)
        loss = torch.nn.functional.cross_entropy(out, y)
        loss.backward()
        optimizer.step()
        seen(out, y)
    truth["train"].append(seen.compute().item())
    model.eval()
    tested.reset()
    both.reset()
    predicted = []
    with torch.inference_mode():
        for x, y in test_loader:
            out = model(x)
            torch.nn.functional.cross_entropy(out, y)
            tested.update(out, y)
            both.update(out.argmax(1), y)
            predicted.append(out.argmax(1))
    truth["test"].append(tested.compute().item())
    truth["f1"].append(both.compute()["BinaryF1Score"].item())
    truth["sklearn"].append(accuracy_score(targets[150:].numpy(), torch.cat(predicted).numpy()))
other = LogisticRegression().fit(features.numpy(), targets.numpy())
f1_score(targets.numpy(), other.predict(features.numpy()))
print(json.dumps(truth))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any, list[Any]]:
    folder: Path = tmp_path_factory.mktemp("scores")
    url = f"file:{folder / 'runs'}"
    environment = os.environ | {
        "AUTOLOG_BACKEND": url,
        "AUTOLOG_SPOOL": str(folder / "spool"),
        "AUTOLOG_SYSTEM_METRICS": "0",
        "AUTOLOG_LOG_ENVIRONMENT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reader = open_reader(url)
    return json.loads(done.stdout), reader, reader.search_runs(RunQuery()).items


def history(recorded: tuple[dict[str, Any], Any, list[Any]], key: str) -> list[tuple[int, float]]:
    _, reader, runs = recorded
    (run,) = (one for one in runs if one.info.run_name == "Linear")
    return [(point.step, point.value) for point in reader.metric_history(run.info.run_id, key).metrics()]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("train_multiclass_accuracy", "train"),
        ("test_multiclass_accuracy", "test"),
        ("test_binary_f1_score", "f1"),
        ("accuracy_score_test", "sklearn"),
    ],
)
def test_a_metric_is_a_point_for_every_epoch_on_its_part_of_the_data(recorded: Any, key: str, name: str) -> None:
    assert history(recorded, key) == [(epoch, pytest.approx(value)) for epoch, value in enumerate(recorded[0][name])]


def test_what_another_model_predicts_is_scored_in_its_own_run(recorded: Any) -> None:
    _, _, runs = recorded
    assert sorted(run.info.run_name for run in runs) == ["Linear", "LogisticRegression"]
    by_name = {run.info.run_name: run.data.summaries for run in runs}
    assert any(key.startswith("f1_score_") for key in by_name["LogisticRegression"])
    assert not any(key.startswith("f1_score_") for key in by_name["Linear"])
