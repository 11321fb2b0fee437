"""Training by batches: all calls of ``train_on_batch`` on one model are one run.

The run begins with the first call. It ends when the model is gone or is given to ``fit``, when a call fails, when the
user's run around it has ended, or with the process.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, Final

from autolog.attribution import attribute_model
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.keras_data import count_rows, log_data
from autolog.integrations.keras_fits import Fit, name_run, tags_of
from autolog.integrations.keras_logs import read_logs
from autolog.loops import Loop

# A learning rate is read from the device: every so many steps.
_STEPS_PER_RATE: Final = 100


class Stream:
    """The batches of one model, and the run that they are recorded in."""

    def __init__(self, model: Any, integration: str) -> None:
        self.loop: Final = Loop(integration, name_run(model), tags_of(model), model)
        self._run = run = self.loop.run
        attribute_model(model, run)
        self._fit: Final = Fit(model, run)
        self._progress: Final = self._fit.progress
        self._every = run.tracking.settings.log_every_n_steps or 1
        self._tested: dict[str, float] = {}
        self._rows_tested = 0
        run.finishers.append(self._log_tests)

    def describe(self, call: Call) -> None:
        """Record, before the first call, what is trained and what on."""
        self._fit.describe_model()
        log_data(self._run, call.argument("x"), call.argument("y"), "train", sys._getframe())  # noqa: SLF001  the documented way to the caller

    def record(self, logs: Any) -> None:
        """Record a call that has ended well, as the next step of every metric."""
        self._log_tests()
        self._progress.batches = step = self._progress.batches + 1
        self.loop.touch()
        if step == 1:
            self._fit.describe_structure()
        metrics = read_logs(logs) if step % self._every == 0 else {}
        if step % _STEPS_PER_RATE == 1:
            metrics |= self._fit.read_learning_rates()
        prefix = self._progress.prefix
        self._run.log_metrics({prefix + name: value for name, value in metrics.items()}, step)

    def note_test(self, logs: Any, data: Any) -> None:
        """Take a call of ``test_on_batch`` into the mean of those between two steps."""
        rows = count_rows(data) or 1
        self._rows_tested += rows
        for name, value in read_logs(logs).items():
            self._tested[name] = self._tested.get(name, 0.0) + value * rows

    def _log_tests(self) -> None:
        tested, rows = self._tested, self._rows_tested
        if tested:
            self._tested, self._rows_tested = {}, 0
            prefix = self._progress.prefix
            means = {f"{prefix}test_{name}": value / rows for name, value in tested.items()}
            self._run.log_metrics(means, self._progress.batches)


# By the models' ids, as in ``attribution``; an entry goes, and its run ends, with its model.
_streams: Final[dict[int, tuple[weakref.ref[Any], Stream]]] = {}


def stream_of(model: Any) -> Stream | None:
    """Return the stream that a model's next batch belongs to, if there is one that goes on."""
    found = _streams.get(id(model))
    return None if found is None or found[0]() is not model or found[1].loop.is_over else found[1]


def open_stream(call: Call, model: Any) -> Stream:
    """Return the stream that a call of ``train_on_batch`` belongs to."""
    stream = stream_of(model)
    if stream is None:
        finish_stream(model)
        stream, key = Stream(model, call.integration), id(model)
        _streams[key] = weakref.ref(model, lambda _: _finish_stream_of(key)), stream
        with guard("describing what is trained by batches"):
            stream.describe(call)
    return stream


def finish_stream(model: Any, error: BaseException | None = None) -> None:
    """End a model's stream, where it has one."""
    found = _streams.get(id(model))
    if found is not None and found[0]() is model:
        del _streams[id(model)]
        found[1].loop.end(error)


def _finish_stream_of(key: int) -> None:
    """End the stream of a model that is gone."""
    found = _streams.pop(key, None)
    if found is not None:
        with guard("ending the run of a stream"):
            found[1].loop.end()
