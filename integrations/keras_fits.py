"""Trainings by ``fit``: which run they are recorded in, and what is recorded of their epochs and batches.

Keras tells its own list of callbacks how a training goes; what it says there is listened to, so that neither the list
nor the order of the callbacks in it changes, and nothing is computed that would not be computed anyway.
"""

from __future__ import annotations

import itertools
import sys
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from autolog import tracking
from autolog.attribution import attribute_model, run_of_model
from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations import keras_params as params
from autolog.integrations.boosting import CONTINUED_TAG
from autolog.integrations.keras_data import batch_size_of, log_data
from autolog.integrations.keras_logs import read_logs
from autolog.integrations.sklearn_params import full_name, log_params
from autolog.lifecycle import reopen_run
from autolog.run import ActiveRun, enclosing_run

# How many batches' logs wait to be read: by then they have been computed, and nobody waits for them.
_LOGS_WAITING: Final = 8

CHECKPOINT_TAG: Final = "autolog.checkpoint"


class Progress:
    """How far a model has come in a run.

    Args:
        model: the model.
        number: 1 for the first fit in the run, 2 for the second.
    """

    def __init__(self, model: Any, number: int) -> None:
        self.model: Final = weakref.ref(model)
        # Metrics of a second model in a run are kept apart.
        self.prefix: Final = "" if number == 1 else f"fit_{number}."
        self.epochs = 0
        self.batches = 0
        self.is_described = False

    @property
    def step(self) -> int:
        """The step that the last metrics were logged at: an epoch, or a number of batches where there are no epochs."""
        return self.epochs - 1 if self.epochs else self.batches


class _Fits:
    """The fits of a run."""

    def __init__(self) -> None:
        self.numbers: Final = itertools.count(1)
        self.models: Final[list[Progress]] = []


_of_runs: Final[weakref.WeakKeyDictionary[ActiveRun, _Fits]] = weakref.WeakKeyDictionary()
# Those that are going on, by the models' ids.
_present: Final[dict[int, Fit]] = {}


def progress_of(model: Any, run: ActiveRun | None) -> Progress | None:
    """Return how far a model has come in a run; None where it has not been fitted there."""
    fits = None if run is None else _of_runs.get(run)
    return None if fits is None else next((one for one in fits.models if one.model() is model), None)


def present_fit(callbacks: Any) -> Fit | None:
    """Return the fit that a list of callbacks is told of; None where that is not recorded."""
    # Not by its property, which has JAX bring the model's state up to date.
    return _present.get(id(vars(callbacks).get("_model"))) if _present else None


def model_of(call: Call) -> Any:
    """Return the model that a method is called on, also where it is called as a function of the class."""
    return call.args[0] if call.instance is None else call.instance


def name_run(model: Any) -> str:
    """Return the name that the user has given to a model, or its class's where Keras has made one up."""
    return params.chosen_name(model) or type(model).__name__


def tags_of(model: Any) -> dict[str, str]:
    """Return the tags that say what a run has trained."""
    return {"estimator_name": type(model).__name__, "estimator_class": full_name(type(model))}


def begin_fit(call: Call) -> Fit | None:
    """Begin the record of a fit; return None where it is a part of one, or of what is recorded nowhere."""
    model = model_of(call)
    if (present := _present.get(id(model))) is not None:
        # The user's own ``fit`` calls Keras'.
        present.describe_call(call)
        return None
    if call.training is None or (call.is_nested and call.run is None):
        return None
    former = run_of_model(model)
    is_reopened = not call.is_nested and _goes_on(call, model, former) and _join(call, former)
    run = call.run or call.begin(name_run(model), **tags_of(model))
    if former is not None and former is not run:
        run.set_tag(CONTINUED_TAG, former.run_id)
    attribute_model(model, run)
    fit = Fit(model, run, is_reopened=is_reopened, is_nested=call.is_nested)
    fit.describe_model()
    fit.describe_call(call)
    return fit


def _goes_on(call: Call, model: Any, former: ActiveRun | None) -> bool:
    """Say whether a fit begins with the epoch after the last that its model has been trained for in its run."""
    progress = progress_of(model, former)
    initial = call.argument("initial_epoch", 0)
    return progress is not None and type(initial) is int and 0 < initial == progress.epochs


def _join(call: Call, former: ActiveRun | None) -> bool:
    """Record a fit in the run of the one before, if it can be; return whether that has to be ended again."""
    if former is None or call.training is None or former.tracking is not tracking.current():
        return False
    enclosing = enclosing_run()
    if not former.has_ended:
        if enclosing is former:
            call.training.join(former)
        return False
    outer = None if enclosing is None else enclosing.run_id
    if not former.is_of_a_hook or former.status is not RunStatus.FINISHED or former.parent_run_id != outer:
        return False
    reopen_run(former)
    call.training.join(former)
    return True


class Fit:
    """A call of ``fit`` that is going on. It does not keep the model alive.

    Args:
        model: what is trained.
        run: where it is recorded.
        is_reopened: whether the run is that of an earlier fit, and is to be ended with this one.
        is_nested: whether it is a part of another training, which describes the data.
    """

    def __init__(self, model: Any, run: ActiveRun, *, is_reopened: bool = False, is_nested: bool = False) -> None:
        self.run: Final = run
        self._is_reopened: Final = is_reopened
        self._is_nested: Final = is_nested
        fits = _of_runs.setdefault(run, _Fits())
        self._number: Final = next(fits.numbers)
        progress = progress_of(model, run)
        if progress is None:
            progress = Progress(model, self._number)
            fits.models.append(progress)
        self.progress: Final = progress
        self.callbacks: list[Any] = []
        self.every: Final = run.tracking.settings.log_every_n_steps
        self._batches_before = progress.batches
        self._waiting: Final[deque[tuple[int, int, Any]]] = deque()
        self._rates: dict[str, float] = {}
        self.logs: Any = None

    @property
    def model(self) -> Any:
        """What is trained."""
        return self.progress.model()

    @contextmanager
    def present(self) -> Iterator[None]:
        """Have what Keras says of the model recorded."""
        key = id(self.model)
        _present[key] = self
        try:
            yield
        finally:
            _present.pop(key, None)

    # -- before ----------------------------------------------------------------------------------------------------

    def describe_model(self) -> None:
        """Record what the model was compiled with."""
        with guard("recording what a model was compiled with"):
            self._log_params(params.describe_compilation(self.model))

    def describe_call(self, call: Call) -> None:
        """Record what Keras' own ``fit`` is given; what one of the user's takes means what the user says."""
        if not str(getattr(call.function, "__module__", "")).startswith("keras."):
            return
        data, targets, held_out = (call.argument(name) for name in ("x", "y", "validation_data"))
        with guard("recording the arguments of fit"):
            size = batch_size_of(data, call.argument("batch_size"), call.argument("steps_per_epoch"))
            self._log_params(params.describe_arguments(call) | ({} if size is None else {"batch_size": str(size)}))
        with guard("recording callbacks"):
            self.callbacks = params.listed_callbacks(call.argument("callbacks"))
            self._log_params(params.describe_callbacks(self.callbacks))
        if not self._is_nested:
            frame = sys._getframe(1)  # noqa: SLF001  the documented way to the caller
            log_data(self.run, data, targets, "train", frame)
            if isinstance(held_out, (list, tuple)):
                log_data(self.run, held_out[0], held_out[1] if len(held_out) > 1 else None, "eval", frame)
            else:
                log_data(self.run, held_out, None, "eval", frame)

    def describe_structure(self) -> None:
        """Record the layers, as soon as the model has been built: some are by their first batch."""
        if self.progress.is_described or not self.model.built:
            return
        self.progress.is_described = True
        from autolog.integrations.keras_structure import describe_architecture, summarize

        prefix = self.progress.prefix
        with guard("counting a model's weights"):
            self._log_params({name: str(count) for name, count in params.count_weights(self.model).items()})
        with guard("recording a model's layers"):
            self.run.log_content(f"{prefix}model_summary.txt", summarize(self.model).encode(errors="replace"))
        with guard("recording a model's architecture"):
            if (text := describe_architecture(self.model)) is not None:
                self.run.log_content(f"{prefix}model_architecture.json", text.encode())

    def _log_params(self, found: Mapping[str, str]) -> None:
        log_params(self.run, "fit" if self._number == 1 else f"fit_{self._number}", found)

    # -- meanwhile -------------------------------------------------------------------------------------------------

    def end_batch(self, batch: int, logs: Any) -> None:
        """Note what the batches up to one have given, where every n-th batch is to be recorded."""
        if not self.every:
            return
        before = self.progress.batches
        self.progress.batches = done = self._batches_before + batch + 1
        if logs and done // self.every > before // self.every:
            self._waiting.append((done, time.time_ns() // 1_000_000, logs))
            if len(self._waiting) > _LOGS_WAITING:
                self._log_batch(*self._waiting.popleft())

    def _log_batch(self, batches: int, moment: int, logs: Any) -> None:
        for name, value in read_logs(logs).items():
            self.run.log_metric(f"{self.progress.prefix}batch_{name}", value, batches, moment)

    def note_learning_rates(self) -> None:
        """Read the learning rates that an epoch has ended with, before a callback sets those of the next one."""
        self.logs = None
        self._rates = self.read_learning_rates()

    def read_learning_rates(self) -> dict[str, float]:
        """Return the present learning rate of each optimizer."""
        rates = {}
        for prefix, optimizer in params.optimizers_of(self.model).items():
            with guard("reading a learning rate"):
                if (rate := params.learning_rate_of(optimizer)) is not None:
                    rates["learning_rate" if prefix == "optimizer" else f"{prefix}_learning_rate"] = rate
        return rates

    def end_epoch(self, epoch: int, logs: Any) -> None:
        """Record an epoch.

        Args:
            epoch: its number, from 0.
            logs: what Keras has told the callbacks; what these have made of it counts more.
        """
        self.flush()
        self._batches_before = self.progress.batches
        self.progress.epochs = epoch + 1
        prefix = self.progress.prefix
        metrics = self._rates | read_logs(self.logs or logs or {})
        self.run.log_metrics({prefix + name: value for name, value in metrics.items()}, epoch)
        self.describe_structure()

    def flush(self) -> None:
        """Record the batches that wait for it."""
        while self._waiting:
            self._log_batch(*self._waiting.popleft())

    def note_checkpoint(self, path: Any, epoch: int) -> None:
        """Note where the model has been saved, in which epoch; of several files the last counts."""
        self.run.set_tags({f"{CHECKPOINT_TAG}.path": str(path), f"{CHECKPOINT_TAG}.epoch": str(epoch)})

    # -- after -----------------------------------------------------------------------------------------------------

    def finish(self, call: Call) -> None:
        """Record what the fit has ended with."""
        with guard("recording the last batches"):
            self.flush()
        with guard("recording a model's structure"):
            self.describe_structure()
        with guard("recording early stopping"):
            self._log_stopping()
        if self._is_reopened:
            self.run.end(RunStatus.FINISHED if call.error is None else RunStatus.FAILED, call.error)

    def _log_stopping(self) -> None:
        for callback in self.callbacks:
            if not params.is_of_keras(callback, "EarlyStopping"):
                continue
            held = vars(callback)
            found = {"stopped_epoch": held["stopped_epoch"]} if held.get("stopped_epoch") else {}
            if held.get("best_weights") is not None:
                found["restored_epoch"] = held["best_epoch"]
            if (best := held.get("best")) is not None:
                found["best_epoch"] = held["best_epoch"]
                found[f"best_{held['monitor']}"] = best
            metrics = {self.progress.prefix + name: value for name, value in read_logs(found).items()}
            self.run.log_metrics(metrics, self.progress.epochs - 1)
