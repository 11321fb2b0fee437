"""A training: the stretch of a program that hooks record, and which run it goes into."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Final

from autolog.entities import RunStatus
from autolog.lifecycle import begin_run, inherited_run
from autolog.run import ActiveRun, activate, active_run, deactivate, enclosing_run


class Training:
    """The outermost hooked call of a thread or task, with everything that it calls.

    What runs inside it opens no run of its own. It opens a run only where a hook asks for one.
    """

    def __init__(self) -> None:
        self.over = False
        self.run: ActiveRun | None = None
        self._owns_run = False
        self._activated = False
        self._token: Token[Training | None] | None = None
        self._parts = itertools.count(1)

    def __enter__(self) -> Training:
        self._token = _current.set(self)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.over = True
        if self._activated:
            # Ctrl-C has struck in the hook itself.
            self.end(error)
        if self._token is not None:
            _current.reset(self._token)

    def number_part(self) -> int:
        """Return 1 for the first caller, 2 for the second, in whichever thread: to tell several models apart."""
        return next(self._parts)

    def begin(self, name: str, integration: str, tags: Mapping[str, str]) -> ActiveRun:
        """Return the run that this training is recorded in.

        The user's active run takes the first training inside it. A second one there gets a child run of its own,
        so that its params and metrics keep their names and overwrite nothing. Without an active run it is a new one.

        Args:
            name: the run's name, where it is new.
            integration: who records.
            tags: for the run, in whichever case.
        """
        active = enclosing_run() or inherited_run()
        if active is not None and active.claim_training():
            self.run = active
            active.set_tags(tags)
            return active
        parent = active.run_id if active is not None else None
        self._owns_run = True
        self.run = begin_run(name=name, parent_run_id=parent, tags={"mlflow.autologging": integration, **tags})
        self.run.is_of_a_hook = True
        self._activated = True
        activate(self.run)
        return self.run

    def join(self, run: ActiveRun) -> None:
        """Record this training in a run that somebody else ends: one call of a stream that has a run of its own.

        Args:
            run: is the active one until the training ends.
        """
        self.run = run
        if active_run() is not run:
            self._activated = True
            activate(run)

    def end(self, error: BaseException | None) -> None:
        """End the run, if this training began it."""
        if self.run is None:
            return
        if self._activated:
            self._activated = False
            deactivate(self.run)
        if self._owns_run:
            self.run.end(RunStatus.FINISHED if error is None else RunStatus.FAILED, error)
        elif error is not None and not self.run.has_ended:
            self.run.set_tag("autolog.training.exception", type(error).__name__)


_current: ContextVar[Training | None] = ContextVar("autolog_training", default=None)
# What is over is no training, and hides the one around it.
_NO_TRAINING: Final = Training()
_NO_TRAINING.over = True
# A new thread starts with an empty context: this says which training it was started in, and whether in silence.
_of_thread: Final[weakref.WeakKeyDictionary[threading.Thread, tuple[Training, bool]]] = weakref.WeakKeyDictionary()


def current_training() -> Training | None:
    """Return the training that this code runs inside of, also in the threads that it has started."""
    training = _current.get()
    if training is None and _of_thread:
        training, _ = _of_thread.get(threading.current_thread(), (None, False))
    return training if training is not None and not training.over else None


def leave_training() -> Callable[[], None]:
    """Have what this thread or task does next be inside no training: a trial of a search has a run of its own.

    Returns:
        What goes back into the training, to be called in the same thread or task.
    """
    former = _current.get()
    _current.set(_NO_TRAINING)

    def go_back() -> None:
        _current.set(former)

    return go_back


_silenced: ContextVar[bool] = ContextVar("autolog_silenced", default=False)


@contextmanager
def silence() -> Iterator[None]:
    """Keep hooks from adding to the training's run what is trained inside: a fold, a candidate, a sample of many."""
    token = _silenced.set(True)
    try:
        yield
    finally:
        _silenced.reset(token)


def is_silenced() -> bool:
    """Say whether what is trained here is only a part of something that is recorded as a whole.

    A thread that was started in silence stays silent, as long as the training goes on that it was started in.
    """
    if _silenced.get():
        return True
    training, silent = _of_thread.get(threading.current_thread(), (None, False)) if _of_thread else (None, False)
    return silent and training is not None and not training.over


def inherit_training(thread: threading.Thread) -> None:
    """Note that a thread is being started inside the present training, if there is one."""
    training = current_training()
    if training is not None:
        _of_thread[thread] = (training, is_silenced())


# The same of work that is handed to a thread which may have been started before.
_of_work: Final[weakref.WeakKeyDictionary[object, tuple[Training, bool]]] = weakref.WeakKeyDictionary()


def hand_over_training(work: object) -> None:
    """Note that work is being handed to some thread inside the present training, if there is one."""
    training = current_training()
    if training is not None:
        _of_work[work] = (training, is_silenced())


@contextmanager
def handed_over(work: object) -> Iterator[None]:
    """Go on with the training that some work was handed over in, for as long as it is done."""
    training, silent = _of_work.get(work, (None, False)) if _of_work else (None, False)
    if training is None or training.over:
        yield
        return
    tokens = _current.set(training), _silenced.set(silent)
    try:
        yield
    finally:
        _current.reset(tokens[0])
        _silenced.reset(tokens[1])
