"""What a training with Lightning leaves in the store."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytorch_lightning")

import lightning.pytorch
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import autolog
from autolog.entities import Run, RunStatus
from autolog.sources import digest_file

pytestmark = pytest.mark.filterwarnings("ignore")

FEATURES = torch.linspace(-1, 1, 96).reshape(24, 4)
LABELS = (FEATURES.sum(dim=1) > 0).long()
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


@pytest.fixture(autouse=True)
def enabled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    with autolog.enable(strict=True):
        yield


def loader(batch_size: int = 8, **settings: Any) -> Any:
    return DataLoader(TensorDataset(FEATURES, LABELS), batch_size=batch_size, **settings)


class Classifier(pl.LightningModule):
    """Logs its loss in every way that there is."""

    def __init__(self, width: int = 5, lr: float = 0.05, options: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        torch.manual_seed(3)
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))

    def loss(self, batch: Any) -> Any:
        return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def training_step(self, batch: Any, place: int) -> Any:
        loss = self.loss(batch)
        self.log("loss", loss, on_step=True, on_epoch=True)
        if place == 1:
            self.log("second", loss)
        return loss

    def validation_step(self, batch: Any, place: int) -> None:
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: Any, place: int) -> None:
        self.log("test_loss", self.loss(batch))

    def predict_step(self, batch: Any, place: int) -> Any:
        return self.layers(batch[0])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams["lr"], weight_decay=0.01)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)]


class Notes(pl.Callback):
    """Keeps what a user's callback sees."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.validations: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, place: int) -> None:
        self.losses.append(outputs["loss"].item())

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        if not trainer.sanity_checking:
            self.validations.append(trainer.callback_metrics["val_loss"].item())


def fit(model: Any = None, validate: bool = True, **settings: Any) -> Any:
    trainer = pl.Trainer(**{**QUIET, "max_epochs": 3, **settings})
    trainer.fit(model or Classifier(), loader(), loader(12) if validate else None)
    return trainer


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def only_run() -> Run:
    (run,) = recorded()
    return run


def series(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def artifact(run: Run, path: str) -> str:
    return Path(autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path)).read_text()


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_what_a_module_logs_is_recorded_for_every_step_and_every_epoch() -> None:
    notes = Notes()
    fit(callbacks=[notes])
    run = only_run()
    assert len(notes.losses) == 9
    assert series(run, "loss_step") == list(enumerate(notes.losses))
    means = [sum(notes.losses[start : start + 3]) / 3 for start in (0, 3, 6)]
    for key in ("loss", "loss_epoch"):
        assert [step for step, _ in series(run, key)] == [0, 1, 2]
        assert [value for _, value in series(run, key)] == pytest.approx(means, rel=1e-6)


def test_validation_is_recorded_at_its_epoch_without_the_check_before_the_fit() -> None:
    notes = Notes()
    fit(callbacks=[notes], num_sanity_val_steps=2)
    assert len(notes.validations) == 3
    assert series(only_run(), "val_loss") == list(enumerate(notes.validations))


def test_several_validations_of_an_epoch_are_several_points_of_it() -> None:
    notes = Notes()
    fit(callbacks=[notes], max_epochs=2, val_check_interval=1)
    assert series(only_run(), "val_loss") == list(zip([0, 0, 0, 1, 1, 1], notes.validations, strict=True))


def test_the_values_of_an_epoch_are_those_of_a_loop_written_by_hand() -> None:
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.01)
    losses = []
    for batch in loader():
        loss = model.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        held_out = torch.stack([model.loss(batch) for batch in loader(12)]).mean().item()
    autolog.disable()
    with autolog.enable(strict=True):
        fit(max_epochs=1)
    run = recorded()[-1]
    assert [value for _, value in series(run, "loss_step")] == losses
    assert run.data.metrics["loss_epoch"] == pytest.approx(sum(losses) / 3, rel=1e-6)
    assert run.data.metrics["val_loss"] == pytest.approx(held_out, rel=1e-6)


def test_a_value_that_only_some_steps_log_has_points_at_these_alone() -> None:
    notes = Notes()
    fit(callbacks=[notes])
    assert series(only_run(), "second") == [(step, notes.losses[step]) for step in (1, 4, 7)]


def test_gradient_accumulation_makes_one_point_of_each_step_of_the_optimizer() -> None:
    notes = Notes()
    fit(callbacks=[notes], accumulate_grad_batches=3)
    # What Lightning shows of a loss is its part of the sum.
    assert series(only_run(), "loss_step") == [
        (step, pytest.approx(3 * loss, rel=1e-6)) for step, loss in enumerate(notes.losses[2::3])
    ]


def test_each_data_loader_of_an_evaluation_has_its_own_series() -> None:
    class Twice(Classifier):
        def validation_step(self, batch: Any, place: int, dataloader_idx: int = 0) -> None:
            self.log("val_loss", self.loss(batch))
            self.log("each", self.loss(batch), on_step=True)

    trainer = pl.Trainer(**QUIET, max_epochs=2)
    trainer.fit(Twice(), loader(), [loader(12), loader(24)])
    run = only_run()
    for place, batches in enumerate((2, 1)):
        assert [step for step, _ in series(run, f"val_loss/dataloader_idx_{place}")] == [0, 1]
        assert len(series(run, f"each_step/dataloader_idx_{place}")) == 2 * batches
        assert len(series(run, f"each_epoch/dataloader_idx_{place}")) == 2


def test_a_metric_of_torchmetrics_is_recorded_as_computed() -> None:
    from torchmetrics.classification import MulticlassAccuracy

    class Judged(Classifier):
        def __init__(self) -> None:
            super().__init__()
            self.accuracy = MulticlassAccuracy(num_classes=2, average="micro")

        def validation_step(self, batch: Any, place: int) -> None:
            self.accuracy(self.layers(batch[0]), batch[1])
            self.log("val_accuracy", self.accuracy)

    model = Judged()
    fit(model)
    right = (model.layers(FEATURES).argmax(dim=1) == LABELS).float().mean().item()
    assert series(only_run(), "val_accuracy")[-1] == (2, pytest.approx(right))


def test_learning_rates_are_recorded_where_they_change() -> None:
    fit()
    assert series(only_run(), "learning_rate") == [(0, 0.05), (3, 0.025), (6, 0.0125)]


def test_values_are_in_the_store_while_it_trains() -> None:
    counts = []

    class Looking(pl.Callback):
        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            if trainer.current_epoch == 2:
                counts.append(only_run().data.summaries["loss_step"].count)

    fit(callbacks=[Looking()])
    assert counts == [6]


# -- params ------------------------------------------------------------------------------------------------------------


def test_params_have_the_names_of_mlflow_and_of_lightning() -> None:
    pl.seed_everything(11, verbose=False)
    fit(Classifier(width=6), gradient_clip_val=0.5, accumulate_grad_batches=2)
    run = only_run()
    model = Classifier(width=6)
    defaults = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.01).defaults
    expected = {key: str(value) for key, value in defaults.items()} | {
        "epochs": "3",
        "max_epochs": "3",
        "optimizer_name": "Adam",
        "scheduler_name": "StepLR",
        "scheduler_gamma": "0.5",
        "scheduler_step_size": "1",
        "scheduler_interval": "epoch",
        "gradient_clip_val": "0.5",
        "accumulate_grad_batches": "2",
        "precision": "32-true",
        "strategy": "SingleDeviceStrategy",
        "accelerator": "CPUAccelerator",
        "devices": "1",
        "seed": "11",
        "width": "6",
        "options": "None",
        "model_class": "Classifier",
        "total_params": str(4 * 6 + 6 + 6 * 2 + 2),
        "trainable_params": str(4 * 6 + 6 + 6 * 2 + 2),
        "batch_size": "8",
        "shuffle": "False",
        "dataset_class": "TensorDataset",
        "dataset_size": "24",
    }
    assert {key: run.data.params.get(key) for key in expected} == expected
    assert run.info.run_name == "Classifier"
    assert run.data.tags["mlflow.autologging"] == "lightning"
    assert run.data.tags["Mode"] == "training"


def test_hyperparameters_inside_of_others_have_a_slash() -> None:
    fit(Classifier(options={"depth": {"most": 3}, "loss": torch.nn.MSELoss()}))
    params = only_run().data.params
    assert params["options/depth/most"] == "3"
    assert params["options/loss"] == "torch.nn.modules.loss.MSELoss"


def test_a_hyperparameter_that_means_another_value_than_the_optimizers_keeps_both() -> None:
    class Scaled(Classifier):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"] * 10)

    fit(Scaled(lr=0.01))
    params = only_run().data.params
    assert (params["lr"], params["train.lr"]) == ("0.1", "0.01")


def test_a_scheduler_that_warms_up_leaves_the_optimizers_own_rate_in_the_params() -> None:
    class Warm(Classifier):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.4)
            warm = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": warm, "interval": "step"}}

    fit(Warm(), max_epochs=1)
    run = only_run()
    assert run.data.params["lr"] == "0.4"
    assert "initial_lr" not in run.data.params
    assert series(run, "learning_rate") == [(0, 0.2), (1, pytest.approx(0.3)), (2, pytest.approx(0.4))]


def test_a_gan_with_manual_optimization_has_the_settings_and_rates_of_both_optimizers() -> None:
    class Gan(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.makes, self.judges = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, place: int) -> None:
            for optimizer, name in zip(self.optimizers(), ("judge_loss", "maker_loss"), strict=True):
                loss = self.judges(self.makes(batch[0])).square().mean()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
                self.log(name, loss)

        def configure_optimizers(self) -> Any:
            makes = torch.optim.Adam(self.makes.parameters(), lr=0.002)
            return [torch.optim.SGD(self.judges.parameters(), lr=0.1, momentum=0.9), makes]

    fit(Gan(), validate=False, max_epochs=2)
    run = only_run()
    params, metrics = run.data.params, run.data.metrics
    assert (params["optimizer_name"], params["lr"], params["momentum"]) == ("SGD", "0.1", "0.9")
    assert (params["optimizer_2.optimizer_name"], params["optimizer_2.lr"]) == ("Adam", "0.002")
    assert (metrics["learning_rate_optimizer_1"], metrics["learning_rate_optimizer_2"]) == (0.1, 0.002)
    assert [step for step, _ in series(run, "judge_loss")] == list(range(6))
    assert [step for step, _ in series(run, "maker_loss")] == list(range(6))


# -- early stopping and checkpoints ------------------------------------------------------------------------------------


def test_early_stopping_has_the_params_and_metrics_of_mlflow() -> None:
    class Worse(Classifier):
        def validation_step(self, batch: Any, place: int) -> None:
            self.log("val_loss", 0.5 + abs(self.current_epoch - 2))

    stopping = EarlyStopping("val_loss", patience=3, min_delta=0.25)
    fit(Worse(), max_epochs=50, callbacks=[stopping])
    run = only_run()
    expected = {"monitor": "val_loss", "mode": "min", "patience": "3", "min_delta": "0.25"}
    assert {key: run.data.params[key] for key in expected} == expected
    assert stopping.stopped_epoch == 5
    metrics = run.data.metrics
    assert (metrics["stopped_epoch"], metrics["restored_epoch"]) == (5, 2)
    assert (metrics["best_score"], metrics["wait_count"]) == (0.5, 3)


def test_a_fit_that_did_not_stop_early_does_not_say_where_it_stopped() -> None:
    fit(callbacks=[EarlyStopping("val_loss", patience=30)])
    metrics = only_run().data.metrics
    assert "stopped_epoch" not in metrics
    assert metrics["best_score"] == min(value for _, value in series(only_run(), "val_loss"))


def test_checkpoints_are_listed_with_their_digests_and_the_best_is_marked(tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path / "kept", monitor="val_loss", save_top_k=2, save_last=True)
    fit(callbacks=[saving], enable_checkpointing=True)
    run = only_run()
    listed = json.loads(artifact(run, "checkpoints.json"))
    on_disk = {str(path) for path in (tmp_path / "kept").iterdir()}
    assert len(on_disk) == 3
    assert {one["path"] for one in listed} == on_disk
    for one in listed:
        checkpoint = torch.load(one["path"], weights_only=False)
        assert (one["step"], one["epoch"]) == (checkpoint["global_step"], checkpoint["epoch"])
        assert one["digest"] == digest_file(one["path"])
        assert one["size"] == Path(one["path"]).stat().st_size
    assert [one["path"] for one in listed if one["is_best"]] == [saving.best_model_path]
    assert run.data.tags["best_model_path"] == saving.best_model_path
    assert saving.best_model_score is not None
    assert run.data.metrics["best_model_score"] == saving.best_model_score.item()
    expected = {"checkpoint_monitor": "val_loss", "checkpoint_mode": "min", "checkpoint_save_top_k": "2"}
    assert {key: run.data.params[key] for key in expected} == expected


def test_the_summary_shows_the_layers_and_their_parameters() -> None:
    fit()
    lines = artifact(only_run(), "model_summary.txt").splitlines()
    found = next(line for line in lines if "layers.0" in line)
    assert "Linear" in found
    assert "weight [5, 4]" in found


# -- data --------------------------------------------------------------------------------------------------------------


def test_a_data_module_and_its_data_sets_are_described_and_not_read() -> None:
    reads = []

    class Counting(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 24

        def __getitem__(self, place: int) -> Any:
            reads.append(place)
            return FEATURES[place], LABELS[place]

    class Module(pl.LightningDataModule):
        def __init__(self, fold: int) -> None:
            super().__init__()
            self.save_hyperparameters()

        def train_dataloader(self) -> Any:
            return DataLoader(Counting(), batch_size=6)

        def val_dataloader(self) -> Any:
            return loader(12)

    trainer = pl.Trainer(**QUIET, max_epochs=2)
    trainer.fit(Classifier(), datamodule=Module(fold=4))
    run = only_run()
    assert len(reads) == 48
    expected = {"datamodule": "Module", "fold": "4", "batch_size": "6", "dataset_class": "Counting"}
    assert {key: run.data.params[key] for key in expected} == expected
    profiles = {
        one.dataset.name: (one.tags[0].value, json.loads(one.dataset.profile or ""))
        for one in run.inputs.dataset_inputs
    }
    assert profiles["train"][0] == "train"
    assert profiles["train"][1]["num_rows"] == 24
    assert profiles["val"][0] == "eval"
    assert profiles["val"][1]["batch_size"] == 12


def test_a_stream_without_an_end_is_trained_on_as_long_as_it_was() -> None:
    class Endless(IterableDataset):
        def __iter__(self) -> Iterator[Any]:
            while True:
                yield FEATURES[0], LABELS[0]

    trainer = pl.Trainer(**QUIET, max_epochs=2, limit_train_batches=3)
    trainer.fit(Classifier(), DataLoader(Endless(), batch_size=2))
    assert len(series(only_run(), "loss_step")) == 6


# -- evaluations -------------------------------------------------------------------------------------------------------


def test_a_test_and_a_validation_go_into_the_run_of_the_model() -> None:
    model = Classifier()
    trainer = fit(model)
    (tested,) = trainer.test(model, loader(24), verbose=False)
    (validated,) = pl.Trainer(**QUIET).validate(model, loader(24), verbose=False)
    run = only_run()
    assert series(run, "test_loss") == [(3, tested["test_loss"])]
    assert series(run, "val_loss")[-1] == (3, validated["val_loss"])
    assert run.data.tags["Mode"] == "training"


def test_a_model_that_was_loaded_from_a_checkpoint_is_tested_into_the_run_that_has_saved_it(tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path / "kept")
    fit(callbacks=[saving], enable_checkpointing=True)
    loaded = Classifier.load_from_checkpoint(saving.best_model_path, weights_only=False)
    (tested,) = pl.Trainer(**QUIET).test(loaded, loader(), verbose=False)
    assert only_run().data.metrics["test_loss"] == tested["test_loss"]


def test_a_test_of_a_model_that_nobody_knows_has_a_run_of_its_own() -> None:
    (tested,) = pl.Trainer(**QUIET).test(Classifier(), loader(), verbose=False)
    run = only_run()
    assert run.data.metrics == {"test_loss": tested["test_loss"]}
    assert run.data.tags["Mode"] == "testing"
    assert run.info.status is RunStatus.FINISHED


def test_predictions_and_searches_for_a_learning_rate_record_nothing() -> None:
    from pytorch_lightning.tuner import Tuner

    trainer = pl.Trainer(**QUIET, max_epochs=1)
    trainer.predict(Classifier(), loader())
    Tuner(trainer).lr_find(Classifier(), loader(), num_training=5, early_stop_threshold=None)
    assert recorded() == []


# -- runs --------------------------------------------------------------------------------------------------------------


def test_a_second_fit_of_a_model_is_a_run_that_names_the_first() -> None:
    model = Classifier()
    trainer = fit(model)
    trainer.fit_loop.max_epochs = 5
    trainer.fit(model, loader())
    first, second = recorded()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    assert [step for step, _ in series(second, "loss")] == [3, 4]
    assert [step for step, _ in series(second, "loss_step")] == list(range(9, 15))


def test_a_fit_that_goes_on_from_a_checkpoint_names_it_and_counts_on(tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path / "kept")
    fit(callbacks=[saving], enable_checkpointing=True)
    trainer = pl.Trainer(**QUIET, max_epochs=4)
    trainer.fit(Classifier(), loader(), loader(12), ckpt_path=saving.best_model_path, weights_only=False)
    first, second = recorded()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    assert second.data.tags["autolog.continued_from.path"] == saving.best_model_path
    assert second.data.tags["autolog.continued_from.digest"] == digest_file(saving.best_model_path)
    assert [step for step, _ in series(second, "loss_step")] == [9, 10, 11]
    assert [step for step, _ in series(second, "val_loss")] == [3]


def test_both_packages_are_recorded_alike() -> None:
    class Other(lightning.pytorch.LightningModule):
        training_step = Classifier.training_step
        validation_step = Classifier.validation_step
        loss = Classifier.loss
        configure_optimizers = Classifier.configure_optimizers

        def __init__(self, width: int = 5, lr: float = 0.05, options: Any = None) -> None:
            super().__init__()
            self.save_hyperparameters()
            torch.manual_seed(3)
            self.layers = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))

    fit()
    lightning.pytorch.Trainer(**QUIET, max_epochs=3).fit(Other(), loader(), loader(12))
    one, other = recorded()
    assert one.data.metrics == other.data.metrics
    assert {**one.data.params, "model_class": ""} == {**other.data.params, "model_class": ""}


def test_a_fit_that_is_interrupted_has_failed_and_says_what_by() -> None:
    class Interrupting(pl.Callback):
        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        fit(callbacks=[Interrupting()])
    run = only_run()
    assert run.info.status is RunStatus.FAILED
    assert run.data.tags["autolog.exception"] == "KeyboardInterrupt"
    assert series(run, "loss_step")[-1][0] == 2


def test_a_fit_that_fails_before_its_first_step_has_the_params_that_are_known() -> None:
    class Broken(Classifier):
        def configure_optimizers(self) -> Any:
            raise ValueError("no optimizer")

    with pytest.raises(ValueError, match="no optimizer"):
        fit(Broken(width=7))
    run = only_run()
    assert run.info.status is RunStatus.FAILED
    assert (run.data.params["width"], run.data.params["max_epochs"]) == ("7", "3")


def test_a_fast_development_run_is_recorded_as_what_it_is() -> None:
    fit(fast_dev_run=True)
    run = only_run()
    assert run.data.params["fast_dev_run"] == "True"
    assert len(series(run, "loss_step")) == 1


def test_plain_hooks_are_silent_underneath() -> None:
    fit()
    run = only_run()
    expected = {"loss", "loss_step", "loss_epoch", "second", "val_loss", "learning_rate"}
    assert set(run.data.metrics) == expected
    assert not any(math.isnan(value) for value in run.data.metrics.values())


def test_what_lightning_hands_to_tensorboard_is_not_recorded_twice_and_what_the_user_does_is(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from pytorch_lightning.loggers import TensorBoardLogger

    class Drawing(Classifier):
        def on_train_epoch_end(self) -> None:
            self.logger.experiment.add_scalar("drawn", 7.0, self.current_epoch)

    fit(Drawing(), logger=TensorBoardLogger(tmp_path / "board"), log_every_n_steps=1)
    run = only_run()
    expected = {"loss", "loss_step", "loss_epoch", "second", "val_loss", "learning_rate", "drawn"}
    assert set(run.data.metrics) == expected
    assert series(run, "drawn") == [(0, 7.0), (1, 7.0), (2, 7.0)]
    assert [step for step, _ in series(run, "val_loss")] == [0, 1, 2]
    assert [step for step, _ in series(run, "loss_step")] == list(range(9))


PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import autolog; autolog.enable(strict=True)
import torch, pytorch_lightning as pl
from torch.utils.data import DataLoader, TensorDataset
class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
    def training_step(self, batch, place):
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True, sync_dist=True)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
if __name__ == "__main__":
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", devices=2, strategy="STRATEGY", logger=False,
                         enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False)
    trainer.fit(Line(), DataLoader(TensorDataset(torch.ones(16, 3)), batch_size=4))
"""


@pytest.mark.parametrize("strategy", ["ddp", "ddp_fork"])
def test_two_processes_that_train_together_make_one_run(strategy: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(PROGRAM.replace("STRATEGY", strategy)))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    run = only_run()
    assert run.info.status is RunStatus.FINISHED
    assert run.data.params["world_size"] == "2"
    assert [step for step, _ in series(run, "loss_step")] == [0, 1, 2, 3]
    assert [step for step, _ in series(run, "loss")] == [0, 1]


def test_a_fit_after_a_loop_of_plain_pytorch_leaves_the_loops_run_alone(tmp_path: Path) -> None:
    layer = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for batch in loader():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(batch[0]), batch[1]).backward()
        optimizer.step()
    fit(callbacks=[ModelCheckpoint(tmp_path / "kept")], enable_checkpointing=True)
    plain, fitted = recorded()
    assert plain.data.tags["mlflow.autologging"] == "torch"
    assert not any(key.startswith("val") for key in plain.data.metrics)
    assert len(series(plain, "loss")) == 3
    assert [one.path for one in autolog.Client().list_artifacts(plain.info.run_id)] == ["model_summary.txt"]
    assert len(series(fitted, "loss_step")) == 9
