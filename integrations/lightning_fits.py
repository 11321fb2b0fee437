"""A fit of Lightning as it goes on, an evaluation after it, and the run that both are recorded in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import torch

from autolog.attribution import attribute_model, run_of_model
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations import lightning_data, lightning_settings
from autolog.integrations.lightning_checkpoints import Checkpoints, describe_former
from autolog.integrations.lightning_values import Values
from autolog.integrations.torch_modules import describe_module, log_summary
from autolog.run import ActiveRun, active_run

# What is going on, by the ids of the trainers.
_records: Final[dict[int, Evaluation]] = {}


def record_of(trainer: Any) -> Evaluation | None:
    """Return the record of what a trainer is doing; None where that is not recorded."""
    return _records.get(id(trainer))


def fit_of(trainer: Any) -> Fit | None:
    """Return the record of the fit that a trainer is in; None where it is in none, or that is not recorded."""
    found = _records.get(id(trainer))
    return found if isinstance(found, Fit) else None


def begin(call: Call) -> Fit | None:
    """Begin the record of a fit; return None where another process records it, or nobody does."""
    trainer, model = call.instance, unwrap(call.argument("model"))
    if call.training is None or (call.is_nested and call.run is None) or not trainer.is_global_zero:
        return None
    former = run_of_model(model)
    name = type(model).__name__
    fit = Fit(trainer, call.begin(name, Mode="training"), model, call.training.number_part())
    _records[id(trainer)] = fit
    with guard("recording the settings of a fit"):
        fit.log_params(lightning_settings.describe_trainer(trainer))
        fit.log_params(describe_module(model))
        fit.run.set_tags(describe_former(call.argument("ckpt_path"), former))
    return fit


def begin_evaluation(call: Call) -> Evaluation | None:
    """Begin the record of an evaluation: in the run of its model, in the active one, or else in one of its own."""
    trainer = call.instance
    given = unwrap(call.argument("model"))
    model = given or trainer.lightning_module
    if (call.is_nested and call.run is None) or not trainer.is_global_zero or id(trainer) in _records:
        return None
    run = None if model is None else run_of_model(model)
    run = run or active_run() or call.begin(type(model).__name__, Mode="testing")
    evaluation = _records[id(trainer)] = Evaluation(trainer, run)
    return evaluation


def unwrap(model: Any) -> Any:
    """Return the module that ``torch.compile`` has made another of; any other as it is."""
    return vars(model).get("_modules", {}).get("_orig_mod", model) if isinstance(model, torch.nn.Module) else model


def find_cause(error: BaseException | None) -> BaseException | None:
    """Return the Ctrl-C that Lightning has made an end of the process of; any other error as it is."""
    is_struck = isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    return error.__context__ if error is not None and is_struck else error


class Evaluation:
    """A ``test`` or ``validate``, and the run that it is recorded in.

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
        self.values: Final = Values(run)

    def log_batch(self, step: int) -> None:
        """Log the values that the module has logged for one batch of an evaluation."""
        for _, item, name in self._step_items(self.trainer._results):  # noqa: SLF001  Lightning has no public place for them
            self.values.record(self.prefix + name, item._forward_cache, step)  # noqa: SLF001  as above

    def log_evaluation(self) -> None:
        """Log the values of an evaluation that has ended, unless it is only Lightning's own check before a fit."""
        if not self.trainer.sanity_checking:
            self._log_epoch_values(self.trainer._results)  # noqa: SLF001  as above

    def end(self) -> None:
        """Note that the trainer is done."""
        _records.pop(id(self.trainer), None)
        self.values.flush()

    def _log_epoch_values(self, results: Any) -> None:
        epoch = self.trainer.current_epoch
        for item in results.values():
            if item.meta.on_epoch and not item.has_reset:
                # The callback metrics have both names, of which one says whether it is a step's value or the epoch's.
                for name in dict.fromkeys(results._forked_name(item, on_step=False)):  # noqa: SLF001  as above
                    self.values.record(self.prefix + name, item._computed, epoch)  # noqa: SLF001  as above
        self.values.flush()

    @staticmethod
    def _step_items(results: Any) -> Iterator[tuple[str, Any, str]]:
        for key, item in results.items():
            if item.meta.on_step and results.dataloader_idx == item.meta.dataloader_idx and not item.has_reset:
                yield key, item, results._forked_name(item, on_step=True)[1]  # noqa: SLF001  as above


class Fit(Evaluation):
    """A ``fit``, and the run that it is recorded in.

    Args:
        trainer: that does it.
        run: where it is recorded.
        model: that is trained.
        part: as of ``Evaluation``.
    """

    def __init__(self, trainer: Any, run: ActiveRun, model: Any, part: int) -> None:
        super().__init__(trainer, run, part)
        self.model: Final = model
        self.checkpoints: Final = Checkpoints(trainer, run, self.values, self.prefix)
        self._has_started = False
        # By key how often a value has been logged, to pass over those that a step has not logged anew.
        self._updates: dict[str, int] = {}
        self._rates: list[Any] = []
        self._epochs = 0
        attribute_model(model, run)

    def log_params(self, params: dict[str, Any]) -> None:
        """Log params as texts; what stands in the run with another value keeps it, and ours gets a prefix."""
        lightning_settings.log_params(self.run, self.owner, {self.prefix + key: one for key, one in params.items()})

    def start(self) -> None:
        """Log what stands when the first batch is about to come."""
        self._has_started = True
        with guard("recording optimizers"):
            self.log_params(lightning_settings.describe_optimizers(self.trainer))
        self._log_settings()
        with guard("recording data loaders"):
            self.log_params(lightning_data.describe_training_loader(self.trainer))
        if self.run.tracking.settings.log_datasets:
            with guard("describing data sets"):
                self.run.log_inputs(list(lightning_data.describe_inputs(self.trainer)))
        with guard("summarizing a module"):
            log_summary(self.run, self.model, f"{self.prefix}model_summary.txt")

    def _log_settings(self) -> None:
        with guard("recording hyperparameters and callbacks"):
            self.log_params(lightning_settings.describe_callbacks(self.trainer))
            self.log_params(lightning_settings.describe_hyperparameters(self.model))
            self.log_params(lightning_settings.describe_hyperparameters(self.trainer.datamodule))

    def start_batch(self) -> None:
        """Log the learning rates of the step that begins, where they are others than the step's before."""
        rates = [group["lr"] for optimizer in self.trainer.optimizers for group in optimizer.param_groups]
        if rates != self._rates:
            step = self.trainer.fit_loop.epoch_loop._batches_that_stepped  # noqa: SLF001  as above
            for place, rate in enumerate(rates):
                if self._rates[place : place + 1] != [rate]:
                    name = f"{self.prefix}learning_rate" + (f"_{place + 1}" if place else "")
                    self.values.record(name, rate, step)
            self._rates = rates

    def log_step(self) -> None:
        """Log the values that the module has logged in a step of training."""
        loop = self.trainer.fit_loop
        if loop._should_accumulate() and self.model.automatic_optimization:  # noqa: SLF001  as above
            return
        step = loop.epoch_loop._batches_that_stepped  # noqa: SLF001  as above
        for key, item, name in self._step_items(loop._results):  # noqa: SLF001  as above
            updates = item._update_count  # noqa: SLF001  as above
            if self._updates.get(key) != updates:
                self._updates[key] = updates
                self.values.record(self.prefix + name, item._forward_cache, step)  # noqa: SLF001  as above

    def log_epoch(self) -> None:
        """Log the values of an epoch of training that has ended."""
        self._updates.clear()
        self._epochs += 1
        self._log_epoch_values(self.trainer.fit_loop._results)  # noqa: SLF001  as above
        self.checkpoints.log_best()

    def end(self) -> None:
        """Log what is known at the end."""
        _records.pop(id(self.trainer), None)
        if not self._has_started:
            # It has failed before its first step, or is done in processes of its own.
            self._log_settings()
        if not self._epochs:
            with guard("recording what other processes have trained"):
                self._log_results_of_processes()
        with guard("recording early stopping"):
            self._log_early_stopping()
        with guard("recording checkpoints"):
            self.checkpoints.end()
        self.values.flush()

    def _log_results_of_processes(self) -> None:
        """Log what a strategy that trains in processes of its own has brought back from them."""
        for name, value in dict(self.trainer.callback_metrics).items():
            self.values.record(self.prefix + name, value, self.trainer.current_epoch)

    def _log_early_stopping(self) -> None:
        for place, callback in enumerate(self.trainer.early_stopping_callbacks):
            prefix = lightning_settings.prefix_of("early_stopping", place)
            results = {"best_score": callback.best_score, "wait_count": callback.wait_count}
            if callback.stopped_epoch:
                # As MLflow has it: Lightning itself restores nothing.
                restored = callback.stopped_epoch - max(1, callback.patience)
                results |= {"stopped_epoch": callback.stopped_epoch, "restored_epoch": restored}
            for name, value in results.items():
                number = float(value)
                if math.isfinite(number):
                    self.run.log_metric(self.prefix + prefix + name, number)
