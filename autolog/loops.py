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

import sys
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from autolog.attribution import run_of_model
from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.lifecycle import begin_run, inherited_run
from autolog.run import ActiveRun, activate, active_runs, deactivate, enclosing_run

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
        self._last_step = time.time()
        self._cell = _notebook_cell()
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
            activate(self.run)
        if former is not None and former is not self.run:
            self.run.set_tag(CONTINUED_TAG, former.run_id)
        self._stack = active_runs.get()
        _latest[:] = [self]
        _loops[self.run.run_id] = self
        for observer in observers:
            with guard("observing a training loop"):
                observer(self)

    @property
    def is_over(self) -> bool:
        """Whether a step that is done now belongs to another run."""
        if self.run.has_ended or _notebook_cell() != self._cell:
            return True
        stack = active_runs.get()
        if stack is not self._stack:
            if enclosing_run() is not self._outer:
                return True
            self._stack = stack
        return False

    def touch(self) -> None:
        """Note that a step has been done just now."""
        self._last_step = time.time()

    def end(self, error: BaseException | None = None) -> None:
        """End the run, if it is the loop's own, at the time of its last step; what finishes it is done in any case."""
        if self._owns_run:
            deactivate(self.run)
            status = RunStatus.FINISHED if error is None else RunStatus.FAILED
            self.run.end(status, error, int(self._last_step * 1000))


# The last that was begun in this process, for what is computed after it; and those that are there, by their runs' ids.
_latest: Final[list[Loop]] = []
_loops: Final[weakref.WeakValueDictionary[str, Loop]] = weakref.WeakValueDictionary()


def latest_loop() -> Loop | None:
    """Return the loop that was begun last in this process, which may have ended; None where there was none."""
    return _latest[-1] if _latest else None


def end_loop(run: ActiveRun) -> None:
    """End the loop that is recorded in a run of its own."""
    loop = _loops.get(run.run_id)
    if loop is not None:
        with guard("ending a training loop"):
            loop.end()


def _notebook_cell() -> Any:
    """Return the number of the cell that is being run, of IPython; None outside of it."""
    if "IPython" not in sys.modules:
        return None
    get_ipython = getattr(sys.modules["IPython"], "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    return getattr(shell, "execution_count", None)
