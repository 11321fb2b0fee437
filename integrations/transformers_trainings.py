"""A training by the Trainer of transformers as it goes on, an evaluation after it, and the run of both."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from msgspec.structs import replace

from autolog.attribution import attribute_model, run_of_model
from autolog.entities import DatasetInput, InputTag
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.checkpoints import Checkpoints, describe_former
from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.torch_models import describe_model, summarize, unwrap
from autolog.integrations.torch_optimizers import describe_optimizer, plain
from autolog.integrations.torch_params import describe_dataset, describe_loader
from autolog.integrations.torch_values import DeviceValues
from autolog.run import ActiveRun, active_run

# What is going on, by the ids of the trainers' callback handlers, which are told of everything.
_records: Final[dict[int, Evaluation]] = {}


def begin(call: Call) -> Training | None:
    """Begin the record of a training; return None where another process records it, or nobody does."""
    trainer = call.instance
    is_recorded = call.training is not None and (call.run is not None or not call.is_nested)
    if not is_recorded or not trainer.is_world_process_zero():
        return None
    model, args = unwrap(trainer.model), trainer.args
    former = None if model is None else run_of_model(model)
    # Older versions name every run after its folder.
    name = args.run_name if args.run_name not in {None, args.output_dir} else _name(trainer)
    part = call.training.number_part() if call.training is not None else 1
    training = Training(trainer, call.begin(name), part)
    _records[id(trainer.callback_handler)] = training
    with guard("recording the arguments of a training"):
        training.log_params(args.to_dict())
        path = call.argument("resume_from_checkpoint")
        training.run.set_tags(describe_former(path, former))
    return training


def begin_evaluation(call: Call) -> Evaluation | None:
    """Begin the record of an evaluation: in the run of its model, in the active one, or else in one of its own."""
    trainer = call.instance
    key = id(trainer.callback_handler)
    is_recorded = call.run is not None or not call.is_nested
    if not is_recorded or key in _records or trainer.model is None or not trainer.is_world_process_zero():
        return None
    run = run_of_model(unwrap(trainer.model)) or active_run() or call.begin(_name(trainer))
    evaluation = _records[key] = Evaluation(trainer, run)
    return evaluation


def log_predictions(trainer: Any, output: Any) -> None:
    """Log the metrics that came of predictions for labelled data, where the model has a run."""
    run = run_of_model(unwrap(trainer.model)) if trainer.is_world_process_zero() else None
    if run is not None and output.metrics:
        Evaluation(trainer, run).log(output.metrics, trainer.state.global_step)


def _name(trainer: Any) -> str:
    model = unwrap(trainer.model)
    return type(trainer).__name__ if model is None else type(model).__name__


# -- what the trainer tells --------------------------------------------------------------------------------------------


def note_start(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what stands when the first batch is about to come: the model, the optimizer, the data."""
    found = _records.get(id(args[0]))
    if isinstance(found, Training):
        found.start()


def note_log(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what the trainer logs."""
    found = _records.get(id(args[0]))
    if found is not None:
        found.log(args[4], args[2].global_step)


def note_checkpoint(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note a checkpoint that has been saved."""
    found = _records.get(id(args[0].callback_handler))
    if isinstance(found, Training):
        found.note_checkpoint(args[2])


class Evaluation:
    """An ``evaluate``, and the run that it is recorded in.

    Args:
        trainer: that does it.
        run: where it is recorded.
        part: 1 for the first training of the run, 2 for the second, whose names begin with ``train_2.``.
    """

    def __init__(self, trainer: Any, run: ActiveRun, part: int = 1) -> None:
        self.trainer: Final = trainer
        self.run: Final = run
        self.owner: Final = "train" if part == 1 else f"train_{part}"
        self.prefix: Final = "" if part == 1 else f"{self.owner}."
        self._values: Final = DeviceValues()

    def log(self, logs: Mapping[str, Any], step: int) -> None:
        """Log the numbers among some values at a step; tensors of one element are numbers, and not waited for."""
        for name, value in logs.items():
            key = self.prefix + name
            if isinstance(value, torch.Tensor):
                if value.numel() == 1:
                    self._log_tensor(key, value.detach(), step)
            elif isinstance(value, (int, float)):
                self.run.log_metric(key, value, step)

    def _log_tensor(self, key: str, value: Any, step: int) -> None:
        if value.is_cpu:
            self.run.log_metric(key, value.item(), step)
        else:
            self._values.read(value, functools.partial(self._log_late, key, step))

    def _log_late(self, key: str, step: int, value: float) -> None:
        self.run.log_metric(key, value, step)

    def end(self) -> None:
        """Note that the trainer is done."""
        _records.pop(id(self.trainer.callback_handler), None)
        self._values.finish()


class Training(Evaluation):
    """A ``train``, and the run that it is recorded in. The arguments are those of ``Evaluation``."""

    def __init__(self, trainer: Any, run: ActiveRun, part: int) -> None:
        super().__init__(trainer, run, part)
        self._checkpoints: Final = Checkpoints(run, self.prefix)

    def log_params(self, params: Mapping[str, Any], owner: str | None = None) -> None:
        """Log params as texts; what stands in the run with another value keeps it, and ours gets a prefix."""
        values = {self.prefix + key: plain(value) for key, value in params.items()}
        log_params(self.run, owner or self.owner, describe_values(values))

    def start(self) -> None:
        """Log what stands when the first batch is about to come."""
        handler = self.trainer.callback_handler
        model = unwrap(self.trainer.model)
        attribute_model(model, self.run)
        with guard("recording a model"):
            config: Any = getattr(model, "config", None)
            if hasattr(config, "to_dict"):
                # The arguments of the training come first, as in MLflow; they were logged before.
                self.log_params(config.to_dict(), "config")
            self.log_params(describe_model(model), "model")
            self.run.log_content(f"{self.prefix}model_summary.txt", summarize(model).encode(errors="replace"))
        with guard("recording an optimizer"):
            # Accelerate's has the user's inside.
            optimizer = getattr(handler.optimizer, "optimizer", handler.optimizer)
            described = describe_optimizer(optimizer)
            if (first := described.pop("initial_lr", None)) is not None:
                described["lr"] = first
            self.log_params(described, "optimizer")
        with guard("recording a data loader"):
            self.log_params(describe_loader(handler.train_dataloader), "data_loader")
        if self.run.tracking.settings.log_datasets:
            with guard("describing data sets"):
                self.run.log_inputs(list(self._describe_inputs()))

    def _describe_inputs(self) -> Iterator[DatasetInput]:
        evaluated = self.trainer.eval_dataset
        several = evaluated if isinstance(evaluated, dict) else {"eval": evaluated}
        for name, dataset, context in (
            ("train", self.trainer.train_dataset, "train"),
            *((name, dataset, "eval") for name, dataset in several.items()),
        ):
            if dataset is not None:
                with guard("describing a data set"):
                    described = describe_dataset(dataset, str(name), [])
                    profile = {"type": type(dataset).__name__, **json.loads(described.profile or "{}")}
                    described = replace(described, profile=json.dumps(profile))
                    yield DatasetInput(dataset=described, tags=(InputTag("mlflow.data.context", context),))

    def note_checkpoint(self, trial: Any) -> None:
        """Note that a checkpoint has been saved; older ones may have been deleted for it."""
        trainer, state = self.trainer, self.trainer.state
        folder = Path(trainer._get_output_dir(trial=trial))  # noqa: SLF001  there is no public place for it
        self._checkpoints.note(folder / f"checkpoint-{state.global_step}", state.global_step, state.epoch)
        self._checkpoints.forget_deleted()
        self._log_best()

    def _log_best(self) -> None:
        state = self.trainer.state
        if state.best_model_checkpoint and self._checkpoints.mark_best(state.best_model_checkpoint):
            self.run.set_tag(f"{self.prefix}best_model_checkpoint", state.best_model_checkpoint)
            if state.best_metric is not None:
                self.run.log_metric(f"{self.prefix}best_metric", float(state.best_metric), state.global_step)

    def end(self) -> None:
        """Log what is known at the end."""
        with guard("recording checkpoints"):
            self._checkpoints.forget_deleted()
            self._log_best()
        super().end()
