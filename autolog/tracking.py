"""The state of this process: its settings, its recorder, its reader, its experiment, and what happens at its end."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace
from xxhash import xxh3_64_intdigest

from autolog.config import Settings, load_settings
from autolog.entities import DEFAULT_EXPERIMENT_ID, DEFAULT_EXPERIMENT_NAME
from autolog.events import ExperimentCreated
from autolog.recorder import Recorder

if TYPE_CHECKING:
    from autolog.backend import Reader

logger = logging.getLogger("autolog")

# Longest wait, in seconds, of a call that reads back what this process has just recorded.
READ_TIMEOUT: Final = 30.0


# What is called before anything is read back or waited for, to record what is still held elsewhere.
feeders: Final[list[Callable[[], object]]] = []


class ExperimentName(NamedTuple):
    """An experiment as a process names it before any store has been asked."""

    experiment_id: str
    name: str


class Tracking:
    """What one set of settings brings: a recorder that writes, and a reader of the same store.

    Args:
        settings: the settings in force.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.recorder = Recorder(settings)
        self._reader: Reader | None = None
        self._turn = threading.RLock()
        self._announced: set[ExperimentName] = set()

    def reader(self) -> Reader:
        """Return a reader of the store, after everything recorded so far has reached it or a while has passed."""
        _feed()
        self.recorder.flush(READ_TIMEOUT if self.recorder.problem is None else 0.5)
        with self._turn:
            if self._reader is None:
                from autolog.backends import open_reader

                self._reader = open_reader(self.settings.backend)
            return self._reader

    def announce(self, experiment: ExperimentName) -> None:
        """Record, once in a process, that an experiment is used."""
        if experiment not in self._announced:
            self.create_experiment(experiment)

    def create_experiment(
        self, experiment: ExperimentName, artifact_location: str = "", tags: dict[str, str] | None = None
    ) -> str:
        """Record that an experiment is to be made, where there is none of its name, and return its id."""
        self._announced.add(experiment)
        self.recorder.record(
            ExperimentCreated(
                experiment_id=experiment.experiment_id,
                name=experiment.name,
                time=time.time_ns() // 1_000_000,
                artifact_location=artifact_location,
                tags=tags or {},
            )
        )
        return experiment.experiment_id

    def begin_child(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""
        self._reader = None
        self._turn = threading.RLock()
        self._announced.clear()

    def close(self, began: float) -> None:
        """Write what is left and end; say so where something stays behind.

        Args:
            began: when the time for it began, of the monotonic clock.
        """
        left = self.recorder.close(max(0.0, began + self.settings.exit_timeout - time.monotonic()))
        if left:
            from autolog.redaction import redact_url

            logger.warning(
                "%d records could not be sent to %s; they are safe in the journal: run 'autolog sync' to send them",
                left,
                redact_url(self.settings.backend),
            )
        if self.recorder.dropped:
            logger.warning("%d records were dropped, because the spool took no more", self.recorder.dropped)
        if self._reader is not None:
            self._reader.close()


class _Process:
    """The one mutable place."""

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self.tracking: Tracking | None = None
        # Stores that were in force earlier, where open runs write on, and those that clients speak to.
        self.others: list[Tracking] = []
        self.experiment: ExperimentName | None = None


_process: Final = _Process()
_chosen: Final[ContextVar[Tracking | None]] = ContextVar("autolog_chosen_tracking", default=None)


def current() -> Tracking:
    """Return this process's tracking, made from the AUTOLOG_* variables where nothing has set it up."""
    tracking = _chosen.get() or _process.tracking
    return tracking if tracking is not None else configure(load_settings())


def configure(settings: Settings) -> Tracking:
    """Put settings in force; the recorder goes on where neither the store nor the spool changes."""
    with _process.turn:
        before = _process.tracking
        same = before is not None and (before.settings.backend, before.settings.spool) == (
            settings.backend,
            settings.spool,
        )
        if before is not None and same:
            before.settings = before.recorder.settings = settings
            return before
        tracking = _process.tracking = _find_or_make(settings)
        if before is not None:
            _process.others.append(before)
    return tracking


@contextlib.contextmanager
def using(backend: str) -> Iterator[Tracking]:
    """Make another store the current one of this thread or task, inside a ``with`` block."""
    with _process.turn:
        tracking = current()
        if tracking.settings.backend != backend:
            tracking = _find_or_make(replace(tracking.settings, backend=backend))
            _process.others.append(tracking)
    token = _chosen.set(tracking)
    try:
        yield tracking
    finally:
        _chosen.reset(token)


def flush(timeout: float | None = None) -> bool:
    """Wait until every store of this process holds what was recorded for it; return whether they do."""
    _feed()
    deadline = None if timeout is None else time.monotonic() + timeout
    with _process.turn:
        everywhere = [current(), *_process.others]
    held = [
        tracking.recorder.flush(None if deadline is None else max(0.0, deadline - time.monotonic()))
        for tracking in everywhere
    ]
    return all(held)


def _feed() -> None:
    for feed in feeders:
        feed()


def _find_or_make(settings: Settings) -> Tracking:
    """Return a tracking with these settings, out of the others if it is there, so that a store has one journal."""
    for tracking in _process.others:
        if (tracking.settings.backend, tracking.settings.spool) == (settings.backend, settings.spool):
            _process.others.remove(tracking)
            tracking.settings = tracking.recorder.settings = settings
            return tracking
    tracking = Tracking(settings)
    tracking.recorder.watch_fork(tracking)
    return tracking


def set_experiment_name(experiment: ExperimentName | None) -> None:
    """Choose the experiment of the runs to come; None goes back to the settings'."""
    _process.experiment = experiment


def current_experiment() -> ExperimentName:
    """Return the experiment that a new run of this process belongs to."""
    return _process.experiment or name_experiment(current().settings.experiment)


def name_experiment(name: str) -> ExperimentName:
    """Return an experiment's name with the id that every process derives from it, without asking anyone."""
    if name == DEFAULT_EXPERIMENT_NAME:
        return ExperimentName(DEFAULT_EXPERIMENT_ID, name)
    return ExperimentName(f"{xxh3_64_intdigest(name.encode()) % 10**18:018d}", name)


def failure_of_the_script() -> BaseException | None:
    """Return the exception that ends the script, at exit; None where it ends well or is a person's session."""
    if hasattr(sys, "ps1") or "IPython" in sys.modules:
        return None
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)


def close() -> None:
    """Close all that this process has set up: write what is left, and start anew with the next call."""
    with _process.turn:
        closing = [*_process.others, *([_process.tracking] if _process.tracking is not None else [])]
        _process.tracking = None
        _process.others.clear()
    began = time.monotonic()
    for tracking in closing:
        tracking.close(began)


def _remain_interrupted() -> None:
    """Let a program that Ctrl-C has ended still end by that signal, as a shell that runs it in a loop must see.

    CPython forgets that it was interrupted when a module that is imported at exit runs ``exec`` on a text,
    as namedtuple and dataclass do; what reminds it is a text that is interrupted.
    """
    if isinstance(failure_of_the_script(), KeyboardInterrupt):
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102  a constant text, for the reason above


def _begin_child() -> None:
    # Another thread may have held it at the fork.
    _process.turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
# Callbacks run in reverse order: this one last of all.
atexit.register(_remain_interrupted)
# The runs module registers after this, so that it ends its runs first.
atexit.register(close)
