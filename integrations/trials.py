"""The trials of a search for hyperparameters: each is a run of its own, which what it trains goes into.

Whoever searches says when a trial begins and ends; what happens in between is the user's code, and is recorded as if
it stood inside a ``start_run()`` of its own.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.integrations.sklearn_params import describe_value
from autolog.lifecycle import begin_run
from autolog.loops import end_loop
from autolog.run import ActiveRun, activate, active_runs, deactivate
from autolog.training import leave_training

NUMBER_TAG: Final = "autolog.trial.number"
STATE_TAG: Final = "autolog.trial.state"
BEST_TAG: Final = "autolog.best_trial"
BEST_RUN_TAG: Final = "autolog.best_run_id"


class Trial:
    """One trial, as a child of the search's run.

    Args:
        search: the run that it is a child of.
        integration: who records it.
        number: of the trial, or another name that tells it apart.
    """

    def __init__(self, search: ActiveRun, integration: str, number: int | str) -> None:
        self.number: Final = number
        self.run: Final = begin_run(
            name=f"trial {number}",
            experiment=search.experiment if search.experiment.experiment_id else None,
            parent_run_id=search.run_id,
            tags={"mlflow.autologging": integration, NUMBER_TAG: number},
        )
        self.run.is_of_a_hook = True
        self._go_back: Callable[[], None] | None = None
        self._thread: int | None = None

    @property
    def is_entered(self) -> bool:
        """Whether some thread or task trains in it."""
        return self._thread is not None

    def enter(self) -> None:
        """Have what this thread or task trains from now on go into the trial's run."""
        if self._thread is None:
            self._thread = threading.get_ident()
            self._go_back = leave_training()
            activate(self.run)

    def leave(self) -> None:
        """Go back to where the trial was entered, if that was in this thread."""
        if self._thread == threading.get_ident() and self._go_back is not None:
            self._thread = None
            stack = active_runs.get()
            for inner in stack[stack.index(self.run) + 1 :] if self.run in stack else ():
                if inner.is_of_a_loop:
                    end_loop(inner)
            deactivate(self.run)
            self._go_back()

    def end(self, state: str, status: RunStatus, error: BaseException | None = None) -> None:
        """End the trial's run.

        Args:
            state: the word that the searching library has for how it ended.
            status: a trial that was only not worth going on with has finished.
            error: what it failed of.
        """
        self.leave()
        with guard("ending a trial"):
            self.run.set_tag(STATE_TAG, state)
        self.run.end(status, error)


def kept_settings(part: Any) -> dict[str, Any]:
    """Return what an object's constructor was told, as far as the object has kept it under that name."""
    kept = vars(part)
    settings = {}
    for name in inspect.signature(type(part)).parameters:
        for attribute in (f"_{name}", name):
            if attribute in kept:
                settings[name] = kept[attribute]
                break
    return settings


def log_best(run: ActiveRun, number: int | str, run_id: str | None, params: Mapping[str, Any]) -> None:
    """Name the best trial of a search in its run.

    Args:
        run: the search's.
        number: the trial's, or another name that tells it apart.
        run_id: of the trial's run; None where that was recorded elsewhere.
        params: the trial's.
    """
    run.set_tags({BEST_TAG: number} | ({BEST_RUN_TAG: run_id} if run_id is not None else {}))
    run.log_params({f"best_{name}": describe_value(value) for name, value in params.items()})
