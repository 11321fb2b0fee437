"""Metrics that are computed after a training: under which names they go to the model's run, and what is kept with them.

The names are MLflow's: ``{metric}[-{n}]_{dataset}``, with n from 2 where the metric is computed again for the data set,
and ``{dataset}-{n}`` for another object of the same name. ``metric_info.json`` says of every such metric how it was
called: https://mlflow.org/docs/latest/python_api/mlflow.sklearn.html#mlflow.sklearn.autolog.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

from autolog.callers import name_in, users_frame
from autolog.entities import DatasetInput, InputTag
from autolog.guard import guard
from autolog.predictions import EvaluatedData

if TYPE_CHECKING:
    from autolog.entities import Dataset
    from autolog.run import ActiveRun

CALLS_PATH: Final = "metric_info.json"
UNKNOWN_DATASET: Final = "unknown_dataset"
MOST_METRICS: Final = 1000
"""So many metrics of this kind a run takes: who evaluates in a loop does not mean more names than this."""

# The file of the calls is written again when there are so much more of them, one in four, and at the program's end.
_GROWTH: Final = 4
_LONGEST_TEXT: Final = 200
_PLAIN: Final = (str, int, float, bool, type(None))


class Describe(Protocol):
    """Describes a data set, as ``datasets.describe`` does."""

    def __call__(self, data: Any, targets: Any, /, *, name: str) -> Dataset:
        """Return what is known of it."""
        ...


class _Evaluations:
    """What a run has been evaluated for so far."""

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self.data: Final[dict[str, list[EvaluatedData]]] = {}
        self.counts: Final[dict[str, int]] = {}
        self.calls: Final[dict[str, str]] = {}
        # How many metrics there are to be when the file of their calls is written next.
        self.next_file = 1

    def name_data(self, data: EvaluatedData) -> tuple[str, bool]:
        """Return the name of a data set among those of the run, and whether it is new."""
        name = data.name or UNKNOWN_DATASET
        known = self.data.setdefault(name, [])
        for place, one in enumerate(known):
            if one.is_same(data):
                return _number(name, place + 1), False
        known.append(data)
        return _number(name, len(known)), True

    def name_metric(self, metric: str, dataset: str) -> str:
        """Return the key of a metric that has been computed for a data set, once more."""
        count = self.counts[f"{metric}_{dataset}"] = self.counts.get(f"{metric}_{dataset}", 0) + 1
        return f"{_number(metric, count)}_{dataset}"


def _number(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


# A run that nobody holds any more has no models left.
_of_runs: Final[weakref.WeakKeyDictionary[ActiveRun, _Evaluations]] = weakref.WeakKeyDictionary()
# Those with metrics that the file of their calls does not tell of yet.
_waiting: Final[dict[ActiveRun, None]] = {}
_MOST_WAITING: Final = 16


def record_evaluation(
    run: ActiveRun,
    metrics: Mapping[str, float],
    data: EvaluatedData,
    call_text: str,
    *,
    targets: Any = None,
    step: int | None = None,
    describe: Describe | None = None,
) -> None:
    """Log metrics of a model to the run that it was trained in, which may have ended.

    The data are described as an ``eval`` input of the run when they first occur, if they are still there.

    Args:
        run: the model's.
        metrics: values by the names of what has computed them, such as ``f1_score``.
        data: what the model has predicted for.
        call_text: how the metric was called.
        targets: the true values for the data, where they were given together.
        step: how far the model has been trained, where it may be trained on and evaluated again: then a metric that
            is computed again for the data is the next point of the same series.
        describe: the framework's own way to describe data; by default ``datasets.describe``.
    """
    evaluations = _of_runs.setdefault(run, _Evaluations())
    with evaluations.turn:
        if len(evaluations.calls) >= MOST_METRICS:
            return
        dataset, is_new = evaluations.name_data(data)
        if step is None:
            keys = {evaluations.name_metric(metric, dataset): value for metric, value in metrics.items()}
        else:
            keys = {f"{metric}_{dataset}": value for metric, value in metrics.items()}
        evaluations.calls.update(dict.fromkeys(keys, call_text))
        is_due = len(evaluations.calls) >= evaluations.next_file
        if is_due:
            evaluations.next_file = len(evaluations.calls) + 1 + len(evaluations.calls) // _GROWTH
        else:
            _waiting[run] = None
    run.log_metrics(keys, step)
    if is_due:
        _store_calls(run, evaluations)
    elif len(_waiting) > _MOST_WAITING:
        # The one that has waited longest: a run that waits is held, with its model's past.
        with suppress(StopIteration, KeyError, RuntimeError):
            oldest = next(iter(_waiting))
            _store_calls(oldest, _of_runs[oldest])
    if is_new and run.tracking.settings.log_datasets:
        with guard("describing a data set"):
            _describe(run, dataset, data, targets, describe)


def _store_calls(run: ActiveRun, evaluations: _Evaluations) -> None:
    with evaluations.turn:
        _waiting.pop(run, None)
        calls = dict(evaluations.calls)
    run.log_content(CALLS_PATH, json.dumps(calls, indent=2).encode())


def _store_waiting() -> None:
    for run in list(_waiting):
        with guard("storing how metrics were called"):
            _store_calls(run, _of_runs[run])


def _begin_child() -> None:
    # Another thread may have had its turn at the fork; what waits is the parent's to store.
    _waiting.clear()
    for evaluations in list(_of_runs.values()):
        evaluations.turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
# Before the stores are closed, which is registered earlier and so runs later.
atexit.register(_store_waiting)


def _describe(run: ActiveRun, name: str, data: EvaluatedData, targets: Any, describe: Describe | None) -> None:
    from autolog import datasets

    content = data.get()
    if content is not None:
        described = (describe or datasets.describe)(content, targets, name=name)
        run.log_inputs([DatasetInput(dataset=described, tags=(InputTag("mlflow.data.context", "eval"),))])


def describe_call(function: str, arguments: Mapping[str, Any], frame: FrameType | None) -> str:
    """Return a call as text, as in MLflow: ``f1_score(y_true=yte, y_pred=pred, average='macro')``.

    Args:
        function: its name.
        arguments: by the names of the parameters; objects appear by the names that the user has for them.
        frame: where to look for those.
    """
    caller = users_frame(frame)
    texts = (f"{name}={_describe_argument(value, caller)}" for name, value in arguments.items())
    return f"{function}({', '.join(texts)})"


def _describe_argument(value: Any, frame: FrameType | None) -> str:
    if type(value) in _PLAIN:
        text = repr(value)
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
    name = None if frame is None else name_in(frame, value)
    return name or f"<{type(value).__name__}>"
