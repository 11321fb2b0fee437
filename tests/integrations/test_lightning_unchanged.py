"""A program that trains with Lightning does, says and writes what it does without autolog."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pytorch_lightning")

PROGRAM = """
import copy, hashlib, io, json, os, pickle, random, sys, warnings
{enable}
import numpy, torch
import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

calls = []

class Noisy(pl.LightningModule):
    def __init__(self, width=6, loss=torch.nn.CrossEntropyLoss()):
        super().__init__()
        self.save_hyperparameters(ignore=["loss"])
        self.compute = loss
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Dropout(0.3), torch.nn.Linear(width, 2))
    def forward(self, features):
        calls.append("forward")
        return self.layers(features)
    def training_step(self, batch, place):
        loss = self.compute(self(batch[0]), batch[1])
        self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        return loss
    def validation_step(self, batch, place):
        self.log("val_loss", self.compute(self(batch[0]), batch[1]), prog_bar=True)
    def test_step(self, batch, place):
        self.log("test_loss", self.compute(self(batch[0]), batch[1]))
    def predict_step(self, batch, place):
        return self(batch[0])
    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.01)

class Looking(pl.Callback):
    def on_train_start(self, trainer, module):
        calls.append([type(one).__name__ for one in trainer.callbacks])
        calls.append(sorted(vars(module)))
        calls.append(sorted(vars(trainer)))
    def on_train_batch_end(self, trainer, module, outputs, batch, place):
        calls.append(outputs["loss"].item())
    def on_save_checkpoint(self, trainer, module, checkpoint):
        calls.append(sorted(checkpoint["callbacks"]))

pl.seed_everything(5)
features = torch.randn(40, 4)
data = TensorDataset(features, (features.sum(1) > 0).long())
train, held_out = DataLoader(data, batch_size=8, shuffle=True), DataLoader(data, batch_size=20)
callbacks = [EarlyStopping("val_loss", patience=2), ModelCheckpoint("kept", monitor="val_loss", save_last=True),
             LearningRateMonitor(), Looking()]
trainer = pl.Trainer(max_epochs=3, accelerator="cpu", logger=CSVLogger("logs"), log_every_n_steps=1,
                     callbacks=callbacks)
model = Noisy()
trainer.fit(model, train, held_out)
tested = trainer.test(model, held_out)
predicted = trainer.predict(model, held_out)

def digest(value):
    return hashlib.sha256(value).hexdigest()

def digest_state(state):
    return digest(b"".join(one.numpy().tobytes() for one in state.values()))

saved = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=False)
saved["loops"] = repr(saved["loops"])
for name in ("state_dict", "optimizer_states"):
    saved[name] = repr(saved[name])
with open("report.json", "w") as file:
    json.dump({{
        "weights": digest_state(model.state_dict()),
        "checkpoint": repr(saved),
        "csv": open("logs/lightning_logs/version_0/metrics.csv").read(),
        "hparams": open("logs/lightning_logs/version_0/hparams.yaml").read(),
        "random": [digest(torch.get_rng_state().numpy().tobytes()), digest(pickle.dumps(numpy.random.get_state())),
                   digest(repr(random.getstate()).encode())],
        "callbacks": [type(one).__name__ for one in trainer.callbacks],
        "given": len(callbacks),
        "calls": calls,
        "tested": tested,
        "predicted": digest(b"".join(one.numpy().tobytes() for one in predicted)),
        "callback_metrics": {{key: float(value) for key, value in trainer.callback_metrics.items()}},
        "hooks": [len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules()],
        "copy": digest_state(copy.deepcopy(model).state_dict()),
        "pickle": digest_state(pickle.loads(pickle.dumps(model)).state_dict()),
        "files": sorted(os.path.join(folder, name) for folder, _, names in os.walk(".") for name in names
                        if "autolog" not in folder),
    }}, file, indent=1)
"""


def run_program(folder: Path, enable: str) -> tuple[str, str, str]:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(enable=enable)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"AUTOLOG_BACKEND": f"file:{folder}.autolog", "COLUMNS": "200"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # A progress bar tells how long it takes.
    said = "\n".join(line for line in done.stdout.splitlines() if "it/s" not in line)
    complaints = "\n".join(line for line in done.stderr.splitlines() if "it/s" not in line)
    return (folder / "report.json").read_text(), said, complaints


def test_results_files_output_and_warnings_are_the_same_with_and_without(tmp_path: Path) -> None:
    plain = run_program(tmp_path / "plain", "")
    recorded = run_program(tmp_path / "recorded", "import autolog; autolog.enable(strict=True)")
    assert recorded[0].replace(str(tmp_path / "recorded"), "") == plain[0].replace(str(tmp_path / "plain"), "")
    assert recorded[1] == plain[1]
    assert recorded[2].replace(str(tmp_path / "recorded"), "") == plain[2].replace(str(tmp_path / "plain"), "")
    assert list((tmp_path / "recorded.autolog").rglob("run.json"))
