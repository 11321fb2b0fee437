"""Trainings that no call is: the steps of an optimizer, in a loop that the user has written.

The run of a loop begins with its first step. Nobody can see its last, so that it ends when

- a step is done in another run: the user has begun one, or has ended the one that the loop was recorded in,
- another loop begins in the same thread or task, which the integration decides,
- what was trained is gone,
- the notebook cell that it began in is run again, or another cell trains,
- the process ends.

Its end time is that of the last step. Until then it is the active run, so that what the program logs goes there;
trainings that are calls, such as a ``fit``, are neither part of it nor its end, and have runs of their own.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from autolog import tracking
from autolog.attribution import run_of_model
from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.lifecycle import begin_run, inherited_run, reopen_run
from autolog.run import ActiveRun, activate, active_runs, deactivate, enclosing_run

# Seconds: so much of what a loop has done is lost at most where the process is killed.
LONGEST_WAIT: Final = 0.01
_LOOK_EVERY: Final = 0.1

CONTINUED_TAG: Final = "autolog.continued_from"

# Told of every loop that begins: what was written for it before waits for that.
observers: Final[list[Callable[[Loop], None]]] = []


class Loop:
    """One training loop, and the run that it is recorded in: the user's where it is the first training there.

    Args:
        integration: who records it.
        name: the run's, where it is new.
        tags: for the run, in whichever case.
        model: what is trained, to know whether it goes on from an earlier run; None where that is not known.
    """

    def __init__(self, integration: str, name: str, tags: Mapping[str, str], model: Any = None) -> None:
        self.integration: Final = integration
        self.last_step = time.time()
        # Steps that are yet to be recorded, and until when they may wait: where there are thousands in a second,
        # what is recorded of many at once costs a fraction of what it costs one by one.
        self.waiting: list[Any] = []
        self.due = 0.0
        self.was_displaced = False
        self._turn = threading.RLock()
        # A notebook's cells are counted.
        self._notebook = _find_notebook()
        self.is_in_notebook: Final = self._notebook is not None
        self._cell = None if self._notebook is None else self._notebook.execution_count
        self._outer = enclosing_run()
        former = None if model is None else run_of_model(model)
        outer = self._outer or inherited_run()
        self._owns_run = outer is None or not outer.claim_training()
        if outer is not None and not self._owns_run:
            self.run = outer
            outer.set_tags(tags)
        else:
            parent = outer.run_id if outer is not None else None
            self.run = begin_run(name=name, parent_run_id=parent, tags={"mlflow.autologging": integration, **tags})
            self.run.is_of_a_hook = self.run.is_of_a_loop = True
            if outer is not None:
                outer.finishers.append(self.end)
            activate(self.run)
        if former is not None and former is not self.run:
            self.run.set_tag(CONTINUED_TAG, former.run_id)
        self.stack = active_runs.get()
        _latest[:] = [self]
        _loops[self.run.run_id] = self
        for observer in observers:
            with guard("observing a training loop"):
                observer(self)
        _watch()

    @property
    def is_over(self) -> bool:
        """Whether a step that is done now belongs to another run."""
        return self.run.has_ended or self._is_elsewhere()

    @property
    def is_in_its_cell(self) -> bool:
        """Whether the notebook cell that the loop was begun in is the one that runs, where there are cells at all."""
        return self._notebook is None or self._notebook.execution_count == self._cell

    @property
    def can_resume(self) -> bool:
        """Whether a step that is done now would belong to this run, if another loop had not ended it."""
        return self._owns_run and self.was_displaced and not self._is_elsewhere()

    def displace(self) -> None:
        """End the loop since another begins, unless that is another task's affair."""
        if self._owns_run and not self.run.has_ended and self.is_here:
            self.was_displaced = True
            self.end()

    def _is_elsewhere(self) -> bool:
        if not self.is_in_its_cell:
            return True
        stack = active_runs.get()
        if stack is not self.stack:
            if enclosing_run() is not self._outer:
                return True
            self.stack = stack
        return False

    @property
    def is_here(self) -> bool:
        """Whether the loop was begun in this thread or task, or in one that this one comes from."""
        return self.run in active_runs.get()

    def resume(self) -> None:
        """Go on with a loop that another one has ended: those of two models that are trained by turns."""
        reopen_run(self.run)
        activate(self.run)
        self.stack = active_runs.get()
        _latest[:] = [self]
        _watch()

    def touch(self) -> None:
        """Note that a step has been done just now."""
        self.last_step = time.time()

    def place_scores(self) -> tuple[str, int] | None:
        """Return what part of the data a metric that is computed now is of, and its step; None where nobody knows."""
        return None

    def record(self, steps: list[Any]) -> None:
        """Record steps, the earliest first; an integration whose steps wait says here what that means."""

    def take(self, step: Any) -> None:
        """Record a step, and those that wait before it."""
        self.waiting.append(step)
        self.flush()
        self.due = time.time() + LONGEST_WAIT

    def flush(self) -> None:
        """Record the steps that wait."""
        if not self.waiting:
            return
        with self._turn, guard("recording steps"):
            # Whoever appends meanwhile appends to the same list, behind those that are taken out here.
            count = len(self.waiting)
            steps = self.waiting[:count]
            del self.waiting[:count]
            if steps:
                self.record(steps)

    def end(self, error: BaseException | None = None) -> None:
        """End the run, if it is the loop's own, at the time of its last step; what finishes it is done in any case."""
        if self._owns_run:
            deactivate(self.run)
            status = RunStatus.FINISHED if error is None else RunStatus.FAILED
            self.run.end(status, error, int(self.last_step * 1000))


# The last that was begun in this process, for what is computed after it; and those that are there, by their runs' ids.
_latest: Final[list[Loop]] = []
_loops: Final[weakref.WeakValueDictionary[str, Loop]] = weakref.WeakValueDictionary()


def latest_loop() -> Loop | None:
    """Return the loop that was begun last in this process, which may have ended; None where there was none."""
    return _latest[-1] if _latest else None


def flush_loops() -> None:
    """Record what waits in any loop of this process."""
    for loop in list(_loops.values()):
        with guard("recording the steps that wait"):
            loop.flush()


tracking.feeders.append(flush_loops)


class _Watch:
    """Records what waits in loops that stand still: a notebook's, say, whose last steps were a moment ago."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None

    def run(self) -> None:
        """Look after the loops for as long as there are any."""
        while any(not loop.run.has_ended for loop in list(_loops.values())):
            time.sleep(_LOOK_EVERY)
            late = time.time() - _LOOK_EVERY
            for loop in list(_loops.values()):
                if loop.waiting and loop.due < late:
                    with guard("recording the steps that wait"):
                        loop.flush()
        self.thread = None


_watching: Final = _Watch()


def _watch() -> None:
    if _watching.thread is None or not _watching.thread.is_alive():
        _watching.thread = threading.Thread(target=_watching.run, name="autolog-loops", daemon=True)
        _watching.thread.start()


def _begin_child() -> None:
    _watching.thread = None
    for loop in list(_loops.values()):
        # What waits is the parent's to record; another thread may have had its turn at the fork.
        loop.waiting = []
        loop._turn = threading.RLock()  # noqa: SLF001  of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


def end_loop(run: ActiveRun) -> None:
    """End the loop that is recorded in a run of its own."""
    loop = _loops.get(run.run_id)
    if loop is not None:
        with guard("ending a training loop"):
            loop.end()


def _find_notebook() -> Any:
    """Return the shell of IPython that runs the program; None outside of one."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if get_ipython is None else get_ipython()
