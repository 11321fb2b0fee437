"""What a training with the Trainer of transformers leaves in the store, and what it must not change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

import autolog
from autolog.entities import Run, RunStatus
from autolog.sources import digest_file

pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software. " * 6
LETTERS = sorted(set(TEXT))
LENGTH = 16


class Characters(torch.utils.data.Dataset[Any]):
    def __init__(self, first: int, last: int) -> None:
        numbers = torch.tensor([LETTERS.index(letter) for letter in TEXT])
        self.rows = [numbers[start : start + LENGTH] for start in range(first * LENGTH, last * LENGTH, LENGTH)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"input_ids": self.rows[place], "labels": self.rows[place]}


TRAIN, HELD_OUT = Characters(0, 24), Characters(24, 32)


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def make_model() -> Any:
    torch.manual_seed(2)
    sizes = {"vocab_size": len(LETTERS), "n_positions": LENGTH, "n_embd": 8, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(**sizes))


def make_trainer(folder: Path, model: Any = None, kind: Any = Trainer, callbacks: Any = None, **settings: Any) -> Any:
    arguments = TrainingArguments(
        str(folder / "out"),
        **{
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "logging_steps": 2,
            "eval_strategy": "epoch",
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            "seed": 4,
            **settings,
        },
    )
    return kind(
        model=model or make_model(), args=arguments, train_dataset=TRAIN, eval_dataset=HELD_OUT, callbacks=callbacks
    )


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def only_run() -> Run:
    (run,) = recorded()
    return run


def series(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def checkpoints(run: Run) -> list[dict[str, Any]]:
    path = autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="checkpoints.json")
    return json.loads(Path(path).read_text())


def test_everything_that_the_trainer_logs_is_recorded_at_its_step(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.train()
    run = only_run()
    logged: dict[str, list[tuple[int, float]]] = {}
    for entry in trainer.state.log_history:
        for key, value in entry.items():
            if key != "step":
                logged.setdefault(key, []).append((entry["step"], value))
    assert {"loss", "grad_norm", "learning_rate", "eval_loss", "train_loss", "train_runtime"} <= set(logged)
    assert {key: series(run, key) for key in run.data.metrics} == logged
    assert [step for step, _ in series(run, "loss")] == [2, 4, 6]
    assert [step for step, _ in series(run, "eval_loss")] == [3, 6]
    assert run.info.run_name == "GPT2LMHeadModel"
    assert run.data.tags["mlflow.autologging"] == "transformers"


def test_the_loss_of_held_out_data_is_that_of_the_models_guesses(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.train()
    model = trainer.model.eval()
    with torch.no_grad():
        rows = torch.stack(HELD_OUT.rows)
        guesses = model(input_ids=rows).logits[:, :-1].reshape(-1, len(LETTERS))
        total = torch.nn.functional.cross_entropy(guesses, rows[:, 1:].reshape(-1), reduction="sum").item()
    assert only_run().data.metrics["eval_loss"] == pytest.approx(total / rows.numel(), rel=1e-5)


def test_params_are_the_arguments_the_configuration_and_what_has_come_of_them(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, learning_rate=0.003, weight_decay=0.05, warmup_steps=3)
    trainer.train()
    params = only_run().data.params
    arguments = trainer.args.to_dict()
    assert {
        key: params[key] for key in ("seed", "logging_steps", "output_dir", "num_train_epochs", "learning_rate")
    } == {
        key: str(arguments[key]) for key in ("seed", "logging_steps", "output_dir", "num_train_epochs", "learning_rate")
    }
    assert arguments.keys() <= params.keys()
    configuration = trainer.model.config.to_dict()
    assert configuration.keys() <= params.keys()
    assert params["n_layer"] == "2"
    expected = {
        "model_class": "GPT2LMHeadModel",
        "total_params": str(sum(one.numel() for one in trainer.model.parameters())),
        "optimizer_name": "AdamW",
        "lr": "0.003",
        "weight_decay": "0.05",
        "optimizer_groups": "2",
        "group_1.weight_decay": "0.0",
        "batch_size": "8",
        "shuffle": "True",
        "dataset_class": "Characters",
        "dataset_size": "24",
    }
    assert {key: params.get(key) for key in expected} == expected


def test_tokens_are_not_among_the_params(tmp_path: Path) -> None:
    make_trainer(tmp_path, hub_token="hf_secret").train()
    params = only_run().data.params
    assert params["hub_token"] == "<HUB_TOKEN>"
    assert not any("hf_secret" in value for value in params.values())


def test_evaluations_and_predictions_after_a_training_go_into_its_run(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.train()
    evaluated = trainer.evaluate(metric_key_prefix="later")
    predicted = trainer.predict(HELD_OUT)
    run = only_run()
    assert series(run, "later_loss") == [(6, evaluated["later_loss"])]
    assert series(run, "test_loss") == [(6, predicted.metrics["test_loss"])]
    assert run.info.status is RunStatus.FINISHED


def test_an_evaluation_without_a_training_has_a_run_of_its_own_and_a_prediction_has_none(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.predict(HELD_OUT)
    assert recorded() == []
    evaluated = trainer.evaluate()
    assert only_run().data.metrics["eval_loss"] == evaluated["eval_loss"]


def test_checkpoints_are_listed_as_they_stand_on_disk_and_the_best_is_marked(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, save_strategy="epoch", save_total_limit=2, num_train_epochs=3, load_best_model_at_end=True
    )
    trainer.train()
    run = only_run()
    listed = checkpoints(run)
    on_disk = sorted(str(path) for path in (tmp_path / "out").iterdir())
    assert sorted(one["path"] for one in listed) == on_disk
    assert len(on_disk) == 2
    for one in listed:
        state = json.loads(Path(one["path"], "trainer_state.json").read_text())
        assert (one["step"], one["epoch"]) == (state["global_step"], state["epoch"])
        assert one["digest"] == digest_file(str(Path(one["path"], "model.safetensors")))
    best = trainer.state.best_model_checkpoint
    assert [one["path"] for one in listed if one["is_best"]] == [best]
    assert run.data.tags["best_model_checkpoint"] == best
    assert run.data.metrics["best_metric"] == min(value for _, value in series(run, "eval_loss"))


def test_a_training_that_goes_on_from_a_checkpoint_names_it_and_counts_on(tmp_path: Path) -> None:
    make_trainer(tmp_path, save_strategy="epoch").train()
    path = str(tmp_path / "out" / "checkpoint-6")
    make_trainer(tmp_path, num_train_epochs=3).train(resume_from_checkpoint=path)
    first, second = recorded()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    assert second.data.tags["autolog.continued_from.path"] == path
    assert [step for step, _ in series(second, "loss")] == [8]


def test_a_second_training_of_a_model_is_a_run_that_names_the_first(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.train()
    trainer.train()
    first, second = recorded()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id


def test_a_subclass_with_a_loss_and_a_log_of_its_own_is_recorded_as_it_logs(tmp_path: Path) -> None:
    class Weighted(Trainer):
        def compute_loss(self, model: Any, inputs: Any, **settings: Any) -> Any:
            return 2 * super().compute_loss(model, inputs, **settings)

        def log(self, logs: dict[str, Any], *rest: Any) -> None:
            super().log({**logs, "mine": torch.tensor(7.0), "words": "none"}, *rest)

    trainer = make_trainer(tmp_path, kind=Weighted, eval_strategy="no")
    trainer.train()
    run = only_run()
    assert {value for _, value in series(run, "mine")} == {7.0}
    assert "words" not in run.data.metrics


def test_a_training_that_fails_has_failed_with_what_it_has_logged(tmp_path: Path) -> None:
    class Failing(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 3:
                raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        make_trainer(tmp_path, callbacks=[Failing()], logging_steps=1).train()
    run = only_run()
    assert run.info.status is RunStatus.FAILED
    assert [step for step, _ in series(run, "loss")] == [1, 2]


def test_weights_callbacks_and_random_numbers_are_the_same_without_autolog(tmp_path: Path) -> None:
    def compute(name: str) -> tuple[Any, ...]:
        trainer = make_trainer(tmp_path / name, save_strategy="epoch")
        callbacks = [type(one).__name__ for one in trainer.callback_handler.callbacks]
        trainer.train()
        trainer.evaluate()
        saved = json.loads((tmp_path / name / "out" / "checkpoint-6" / "trainer_state.json").read_text())
        for entry in saved["log_history"]:
            for key in [key for key in entry if key.endswith(("_runtime", "_per_second"))]:
                del entry[key]
        saved["best_model_checkpoint"] = None
        weights = [one.tolist() for one in trainer.model.state_dict().values()]
        after = [type(one).__name__ for one in trainer.callback_handler.callbacks]
        return weights, callbacks, after, saved, torch.get_rng_state().tolist(), sorted(vars(trainer.model))

    with_it = compute("recorded")
    autolog.disable()
    assert compute("plain") == with_it
    assert len(recorded()) == 1
