"""Streams of ``partial_fit``: all calls on one estimator object are one run.

A stream's run begins with the first call. It ends when the estimator is no longer used, is fitted anew by ``fit``,
when a call fails, or with the process.
"""

from __future__ import annotations

import time
import weakref
from typing import Any, Final

from autolog.attribution import attribute_model
from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.sklearn_metrics import batch_score, can_be_evaluated, count_rows, is_trusted
from autolog.integrations.sklearn_params import (
    describe_input,
    describe_params,
    log_params,
    log_structure,
    name_run,
    tags_of,
)
from autolog.integrations.sklearn_results import kept_numbers
from autolog.lifecycle import begin_run, inherited_run
from autolog.run import ActiveRun, enclosing_run

# The share of a stream's time that the scores of its batches may take.
_SCORING_SHARE: Final = 0.05


class Stream:
    """The calls of ``partial_fit`` on one estimator, and the run that they are recorded in."""

    def __init__(self, estimator: Any, integration: str) -> None:
        self.calls = 0
        self.rows = 0
        self._began = time.perf_counter()
        self._scoring = 0.0
        self._is_trusted = is_trusted(estimator)
        self.run, self._owns_run = self._find_run(estimator, integration)

    @property
    def is_over(self) -> bool:
        """Whether the run has ended; the next call begins another."""
        return self.run.has_ended

    def _find_run(self, estimator: Any, integration: str) -> tuple[ActiveRun, bool]:
        """Return the user's active run where this is its first training, else a new one; and whether it is ours."""
        active = enclosing_run() or inherited_run()
        tags = tags_of(estimator)
        if active is not None and active.claim_training():
            active.set_tags(tags)
            return active, False
        parent = active.run_id if active is not None else None
        tags["mlflow.autologging"] = integration
        return begin_run(name=name_run(estimator), parent_run_id=parent, tags=tags), True

    def describe(self, estimator: Any, features: Any, targets: Any) -> None:
        """Record, before the first call, what is trained and on what it begins."""
        with guard("recording params"):
            log_params(self.run, type(estimator).__name__, describe_params(estimator))
        with guard("recording an estimator's structure"):
            log_structure(self.run, estimator)
        if features is not None and self.run.tracking.settings.log_datasets:
            with guard("describing a data set"):
                self.run.log_inputs([describe_input(features, targets)])
        attribute_model(estimator, self.run)

    def record(self, estimator: Any, features: Any, targets: Any, weights: Any) -> None:
        """Record a call that has ended well, as the next step of every metric."""
        self.calls += 1
        with guard("counting the rows of a batch"):
            self.rows += count_rows(features)
        metrics = {"rows_seen": float(self.rows)}
        with guard("computing the score of a batch"):
            if (score := self._score(estimator, features, targets, weights)) is not None:
                metrics["training_score"] = score
        metrics.update(kept_numbers(vars(estimator)))
        self.run.log_metrics(metrics, self.calls)

    def _score(self, estimator: Any, features: Any, targets: Any, weights: Any) -> float | None:
        most_rows = self.run.tracking.settings.training_metrics_rows
        now = time.perf_counter()
        if self.calls > 1 and self._scoring > _SCORING_SHARE * (now - self._began):
            return None
        score = None
        if (
            1 < count_rows(features) <= most_rows
            and self._is_trusted
            and can_be_evaluated(estimator, features, targets)
        ):
            score = batch_score(estimator, features, targets, weights)
        self._scoring += time.perf_counter() - now
        return score

    def end(self, error: BaseException | None = None) -> None:
        """End the run, if it is the stream's own."""
        if self._owns_run:
            self.run.end(RunStatus.FINISHED if error is None else RunStatus.FAILED, error)


# By the estimators' ids, as in ``attribution``; an entry goes, and its run ends, with its estimator.
_streams: Final[dict[int, tuple[weakref.ref[Any], Stream]]] = {}


def open_stream(call: Call, estimator: Any, features: Any, targets: Any) -> Stream:
    """Return the stream that a call of ``partial_fit`` belongs to, which its training is then recorded in."""
    key = id(estimator)
    found = _streams.get(key)
    stream = found[1] if found is not None and found[0]() is estimator else None
    if stream is None or stream.is_over:
        before, stream = stream, Stream(estimator, call.integration)
        if before is not None:
            # The user's run has ended around it, and it goes on in another.
            stream.calls, stream.rows = before.calls, before.rows
        _streams[key] = weakref.ref(estimator, lambda _: finish_stream_of(key)), stream
        stream.describe(estimator, features, targets)
    if call.training is not None:
        call.training.join(stream.run)
    return stream


def finish_stream(estimator: Any, error: BaseException | None = None) -> None:
    """End an estimator's stream, where it has one."""
    found = _streams.get(id(estimator))
    if found is not None and found[0]() is estimator:
        del _streams[id(estimator)]
        found[1].end(error)


def finish_stream_of(key: int) -> None:
    """End the stream of an estimator that is gone."""
    found = _streams.pop(key, None)
    if found is not None:
        with guard("ending the run of a stream"):
            found[1].end()
