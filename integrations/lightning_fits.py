"""A fit of Lightning as it goes on, an evaluation after it, and the run that both are recorded in."""

from __future__ import annotations

import functools
import math
import os
import weakref
from collections.abc import Mapping
from typing import Any, Final

import torch

from autolog.attribution import attribute_model, run_of_model
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations import lightning_settings as settings
from autolog.integrations.checkpoints import Checkpoints, describe_former
from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.torch_models import describe_model, summarize, unwrap
from autolog.integrations.torch_optimizers import learning_rate
from autolog.integrations.torch_values import DeviceValues
from autolog.run import ActiveRun, active_run

# What is going on, by the ids of the trainers.
_records: Final[dict[int, Evaluation]] = {}
# How many epochs were trained in a run: a later evaluation comes after them, also with another trainer.
_epochs: Final[weakref.WeakKeyDictionary[ActiveRun, int]] = weakref.WeakKeyDictionary()


def record_of(trainer: Any) -> Evaluation | None:
    """Return the record of what a trainer is doing; None where that is not recorded, or in another process."""
    found = _records.get(id(trainer))
    if found is None or found.process == os.getpid():
        return found
    # Forked, and perhaps not of rank zero.
    return found if trainer.is_global_zero else None


def fit_of(trainer: Any) -> Fit | None:
    """Return the record of the fit that a trainer is in; None where it is in none, or that is not recorded."""
    found = record_of(trainer)
    return found if isinstance(found, Fit) else None


def begin(call: Call) -> Fit | None:
    """Begin the record of a fit; return None where another process records it, or nobody does."""
    trainer, model = call.instance, call.argument("model")
    is_recorded = call.training is not None and (call.run is not None or not call.is_nested)
    if not is_recorded or not isinstance(model, torch.nn.Module) or not trainer.is_global_zero:
        return None
    module = unwrap(model)
    former = run_of_model(module)
    run = call.begin(type(module).__name__, Mode="training")
    fit = Fit(trainer, run, module, call.training.number_part() if call.training is not None else 1)
    _records[id(trainer)] = fit
    with guard("recording the settings of a fit"):
        compiled = {"torch_compile": True} if module is not model else {}
        fit.log_params({**settings.describe_trainer(trainer), **describe_model(module), **compiled})
        run.set_tags(describe_former(call.argument("ckpt_path"), former))
    return fit


def begin_evaluation(call: Call) -> Evaluation | None:
    """Begin the record of an evaluation: in the run of its model, in the active one, or else in one of its own."""
    trainer = call.instance
    model = unwrap(call.argument("model") or trainer.lightning_module)
    is_recorded = call.run is not None or not call.is_nested
    if not is_recorded or model is None or id(trainer) in _records or not trainer.is_global_zero:
        return None
    run = run_of_model(model) or active_run() or call.begin(type(model).__name__, Mode="testing")
    evaluation = _records[id(trainer)] = Evaluation(trainer, run)
    return evaluation


def find_cause(error: BaseException | None) -> BaseException | None:
    """Return the Ctrl-C that Lightning has made an end of the process of; any other error as it is."""
    cause = None if error is None else error.__context__
    return cause if isinstance(error, SystemExit) and isinstance(cause, KeyboardInterrupt) else error


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
        self.process: Final = os.getpid()
        self._values: Final = DeviceValues()
        # By key, what Lightning calls the values of single steps.
        self._step_names: dict[str, str] = {}

    def log_batch(self, step: int) -> None:
        """Log the values that the module has logged for one batch of an evaluation."""
        results = self.trainer._results  # noqa: SLF001  Lightning has no public place for them
        for key, item in results.items():
            meta = item.meta
            if meta.on_step and meta.dataloader_idx == results.dataloader_idx and not item.has_reset:
                self.log_step_value(results, key, item, step)

    def log_step_value(self, results: Any, key: str, item: Any, step: int) -> None:
        """Log the value of a step among those that Lightning collects."""
        name = self._step_names.get(key)
        if name is None:
            name = self._step_names[key] = results._forked_name(item, on_step=True)[1]  # noqa: SLF001  as above
        self.log(name, item._forward_cache, step)  # noqa: SLF001  as above

    def log_evaluation(self) -> None:
        """Log the values of an evaluation that has ended, unless it is only Lightning's own check before a fit."""
        if not self.trainer.sanity_checking:
            self.log_epoch_values(self.trainer._results)  # noqa: SLF001  as above

    @property
    def _epoch(self) -> int:
        return max(int(self.trainer.current_epoch), _epochs.get(self.run, 0))

    def end(self) -> None:
        """Note that the trainer is done."""
        _records.pop(id(self.trainer), None)
        self._values.finish()

    def log(self, name: str, value: Any, step: int) -> None:
        """Log a value: a number, or a tensor of one element, which is not waited for; anything else is no metric's."""
        name = self.prefix + name
        if isinstance(value, torch.Tensor):
            if value.numel() != 1:
                return
            if not value.is_cpu:
                self._values.read(value.detach(), functools.partial(self._log_late, name, step))
                return
            value = value.item()
        if isinstance(value, (int, float)):
            self.run.log_metric(name, value, step)

    def _log_late(self, name: str, step: int, value: float) -> None:
        self.run.log_metric(name, value, step)

    def log_epoch_values(self, results: Any) -> None:
        """Log what Lightning has computed from all batches of an epoch or of an evaluation."""
        epoch = self._epoch
        for item in results.values():
            if item.meta.on_epoch and not item.has_reset:
                # The callback metrics have both names, of which one says whether it is a step's value or the epoch's.
                for name in dict.fromkeys(results._forked_name(item, on_step=False)):  # noqa: SLF001  as above
                    self.log(name, item._computed, epoch)  # noqa: SLF001  as above


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
        _epochs.pop(run, None)
        self.model: Final = model
        self.checkpoints: Final = Checkpoints(run, self.prefix)
        self._has_started = False
        # By key how often a value has been logged, to pass over those that a step has not logged anew.
        self._updates: dict[str, int] = {}
        self._rate_names: list[str] = []
        self._rates: list[Any] = []
        attribute_model(model, run)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params as texts; what stands in the run with another value keeps it, and ours gets a prefix."""
        values = {self.prefix + key: settings.to_plain(value) for key, value in params.items()}
        log_params(self.run, self.owner, describe_values(values))

    def start(self) -> None:
        """Log what stands when the first batch is about to come."""
        self._has_started = True
        self._rate_names = list(settings.name_rates(self.trainer.optimizers))
        self._rates = [None] * len(self._rate_names)
        with guard("recording optimizers"):
            self.log_params(settings.describe_optimizers(self.trainer))
        self._log_settings()
        with guard("recording a data loader"):
            self.log_params(settings.describe_training_loader(self.trainer))
        if self.run.tracking.settings.log_datasets:
            with guard("describing data sets"):
                self.run.log_inputs(list(settings.describe_inputs(self.trainer)))
        with guard("summarizing a module"):
            self.run.log_content(f"{self.prefix}model_summary.txt", summarize(self.model).encode(errors="replace"))

    def _log_settings(self) -> None:
        with guard("recording hyperparameters and callbacks"):
            self.log_params(settings.describe_callbacks(self.trainer))
            self.log_params(settings.describe_hyperparameters(self.model))
            self.log_params(settings.describe_hyperparameters(self.trainer.datamodule))

    def start_batch(self) -> None:
        """Log the learning rates of the step that begins, where they are others than the step's before."""
        groups = [group for optimizer in self.trainer.optimizers for group in optimizer.param_groups]
        if len(groups) != len(self._rates):
            self._rate_names = list(settings.name_rates(self.trainer.optimizers))
            self._rates = [None] * len(groups)
        for place, group in enumerate(groups):
            # A tensor is changed in place.
            if group["lr"] is not self._rates[place] or isinstance(group["lr"], torch.Tensor):
                self._log_rate(place, group)

    def _log_rate(self, place: int, group: dict[str, Any]) -> None:
        rate = learning_rate(group)
        if isinstance(rate, torch.Tensor) or rate != self._rates[place]:
            step = self.trainer.fit_loop.epoch_loop._batches_that_stepped  # noqa: SLF001  as above
            self.log(self._rate_names[place], rate, step)
        self._rates[place] = rate

    def log_step(self) -> None:
        """Log the values that the module has logged in a step of training."""
        trainer = self.trainer
        loop = trainer.fit_loop
        is_accumulating = trainer.accumulate_grad_batches != 1 and loop._should_accumulate()  # noqa: SLF001  as above
        if is_accumulating and self.model.automatic_optimization:
            return
        step = loop.epoch_loop._batches_that_stepped  # noqa: SLF001  as above
        results = loop.epoch_loop._results  # noqa: SLF001  as above
        for key, item in results.items():
            if item.meta.on_step and not item.has_reset:
                updates = item._update_count  # noqa: SLF001  as above
                if self._updates.get(key) != updates:
                    self._updates[key] = updates
                    self.log_step_value(results, key, item, step)

    def log_epoch(self) -> None:
        """Log the values of an epoch of training that has ended."""
        self._updates.clear()
        self.log_epoch_values(self.trainer.fit_loop._results)  # noqa: SLF001  as above
        self.log_best_checkpoint()

    def log_best_checkpoint(self) -> None:
        """Log which checkpoint is the best, where another is since the last time."""
        callback = self.trainer.checkpoint_callback
        path = getattr(callback, "best_model_path", "")
        if path and self.checkpoints.mark_best(path):
            self.run.set_tag(f"{self.prefix}best_model_path", path)
            self.log("best_model_score", callback.best_model_score, self.trainer.current_epoch)

    def end(self) -> None:
        """Log what is known at the end."""
        if not self._has_started:
            # It has failed before its first step, or is done in processes of its own.
            self._log_settings()
        with guard("recording what other processes have trained"):
            # What a process that was not forked has found out is known by what it has brought back.
            if getattr(self.trainer.strategy.launcher, "_start_method", "fork") != "fork":
                for name, value in dict(self.trainer.callback_metrics).items():
                    self.log(name, value, self.trainer.current_epoch)
        with guard("recording early stopping"):
            self._log_early_stopping()
        with guard("recording checkpoints"):
            self.log_best_checkpoint()
        _epochs[self.run] = self.trainer.current_epoch
        super().end()

    def _log_early_stopping(self) -> None:
        for place, callback in enumerate(self.trainer.early_stopping_callbacks):
            results = {"best_score": callback.best_score, "wait_count": callback.wait_count}
            if callback.stopped_epoch:
                # As MLflow has it: Lightning itself restores nothing.
                restored = callback.stopped_epoch - max(1, callback.patience)
                results |= {"stopped_epoch": callback.stopped_epoch, "restored_epoch": restored}
            for name, value in results.items():
                number = float(value)
                if math.isfinite(number):
                    prefix = self.prefix + settings.prefix_of("early_stopping", place)
                    self.run.log_metric(prefix + name, number)
