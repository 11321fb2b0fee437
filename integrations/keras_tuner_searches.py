"""What is recorded of a search with KerasTuner and of its trials."""

from __future__ import annotations

import json
import math
import weakref
from typing import Any, Final

from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.sklearn_params import describe_value, describe_values, log_params
from autolog.integrations.sklearn_searches import write_table
from autolog.integrations.trials import Trial, kept_settings, log_best
from autolog.redaction import redact_text
from autolog.run import EXCEPTION_TAG, ActiveRun

# What a tuner has told that is no setting: other objects, and where it keeps its files.
_NO_SETTINGS: Final = frozenset({"oracle", "hypermodel", "directory", "logger", "overwrite", "hyperparameters"})
_STATES: Final = {"n_complete": "COMPLETED", "n_failed": "FAILED"}
_PLAIN: Final = (int, float, str, bool, type(None))


class Search:
    """A search that goes on, and the run that it is recorded in.

    Args:
        tuner: KerasTuner's.
        run: of the search.
    """

    def __init__(self, tuner: Any, run: ActiveRun) -> None:
        self.tuner: Final = tuner
        self._run: Final = run
        self._rows: Final[list[dict[str, Any]]] = []
        # The trial that goes on: KerasTuner's, and its run.
        self._trial: tuple[Any, Trial] | None = None
        self._is_maximized: Final = getattr(tuner.oracle.objective, "direction", "min") == "max"
        self._best: dict[str, Any] | None = None

    def begin_trial(self, trial: Any) -> None:
        """Begin the run of a trial; one that is tried again has another."""
        begun = Trial(self._run, "keras_tuner", trial.trial_id)
        self._trial = trial, begun
        log_params(begun.run, "trial", describe_values(trial.hyperparameters.values))
        begun.enter()

    def leave_trial(self) -> None:
        """Have what is trained from now on be none of the trial's."""
        if self._trial is not None:
            self._trial[1].leave()

    def end_trial(self, error: BaseException | None = None) -> None:
        """Log what the trial that goes on has come to, and end its run."""
        if self._trial is None:
            return
        (trial, begun), self._trial = self._trial, None
        with guard("recording a trial"):
            self._log_trial(trial, begun.run)
        failed = error is not None or trial.status in {"FAILED", "INVALID"}
        begun.end(trial.status, RunStatus.FAILED if failed else RunStatus.FINISHED, error)

    def _log_trial(self, trial: Any, run: ActiveRun) -> None:
        # Some hyperparameters show themselves only as the model is built.
        values = dict(trial.hyperparameters.values)
        log_params(run, "trial", describe_values(values))
        score = None if trial.score is None or math.isnan(trial.score) else float(trial.score)
        if trial.message:
            text = redact_text(trial.message)
            run.set_tag(EXCEPTION_TAG, text.strip().rpartition("\n")[2])
            run.log_content("exception.txt", text.encode(errors="replace"))
        for name, history in trial.metrics.metrics.items():
            run.log_metric(f"trial.{name}", history.get_best_value())
        row = {"trial_id": trial.trial_id, "score": score, "status": trial.status}
        row |= {"best_step": trial.best_step, "params": values, "run_id": run.run_id}
        self._rows.append(row)
        if score is not None:
            run.log_metrics({"score": score, "best_step": trial.best_step or 0})
            self._log_progress(row)

    def _log_progress(self, row: dict[str, Any]) -> None:
        score, place = row["score"], len(self._rows) - 1
        best = self._best
        if best is None or (score > best["score"] if self._is_maximized else score < best["score"]):
            self._best = best = row
        self._run.log_metrics({"score": score, "best_score": best["score"]}, place)

    def end(self, error: BaseException | None) -> None:
        """Log what the search has come to."""
        self.end_trial(error)
        if self._best is not None:
            log_best(self._run, self._best["trial_id"], self._best["run_id"], self._best["params"])
        with guard("recording the trials of a search"):
            self._log_table()
        with guard("recording the search space"):
            space = {one.name: _describe_hyperparameter(one) for one in self.tuner.oracle.hyperparameters.space}
            self._run.log_content("search_space.json", json.dumps(space, indent=1).encode(errors="replace"))
        states = [row["status"] for row in self._rows]
        counts = {name: states.count(state) for name, state in _STATES.items()}
        self._run.log_metrics({"n_trials": len(states), **counts})

    def _log_table(self) -> None:
        names = dict.fromkeys(name for row in self._rows for name in row["params"])
        columns = {key: [row[key] for row in self._rows] for key in ("trial_id", "score", "best_step", "status")}
        columns |= {f"params_{name}": [row["params"].get(name) for row in self._rows] for name in names}
        columns["run_id"] = [row["run_id"] for row in self._rows]
        self._run.log_content("trials.csv", write_table(columns).encode(errors="replace"))


# The searches that go on, by their tuners.
_searches: Final[weakref.WeakKeyDictionary[Any, Search]] = weakref.WeakKeyDictionary()


def begin_search(call: Call) -> Search | None:
    """Begin the record of a search; return None where the training around it is recorded nowhere."""
    if call.training is None or (call.is_nested and call.run is None):
        return None
    tuner = call.instance
    run = call.begin(f"{type(tuner).__name__}({_name_of(tuner.hypermodel)})")
    with guard("recording the settings of a search"):
        log_params(run, "search", _describe_tuner(tuner, call.kwargs))
    search = _searches[tuner] = Search(tuner, run)
    return search


def end_search(search: Search, error: BaseException | None) -> None:
    """End the record of a search."""
    _searches.pop(search.tuner, None)
    search.end(error)


def note_beginning(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Begin the run of a trial."""
    if (search := _searches.get(args[0])) is not None:
        search.begin_trial(args[1])


def note_ending(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note that a trial trains no more."""
    if (search := _searches.get(args[0])) is not None:
        search.leave_trial()


def note_score(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """End the run of a trial, which has its score now."""
    if (search := _searches.get(args[0])) is not None:
        search.end_trial()


def _describe_tuner(tuner: Any, arguments: dict[str, Any]) -> dict[str, str]:
    objective = tuner.oracle.objective
    settings: dict[str, Any] = {"tuner": type(tuner).__name__, "oracle": type(tuner.oracle).__name__}
    settings["hypermodel"] = _name_of(tuner.hypermodel)
    settings["objective"] = getattr(objective, "name", None)
    settings["direction"] = getattr(objective, "direction", None)
    for part in (tuner.oracle, tuner):
        for name, value in kept_settings(part).items():
            if name not in _NO_SETTINGS:
                settings.setdefault(name, value)
    settings.setdefault("executions_per_trial", getattr(tuner, "executions_per_trial", None))
    settings.setdefault("max_trials", tuner.oracle.max_trials)
    settings.setdefault("seed", tuner.oracle.seed)
    settings["project_name"] = tuner.project_name
    # What the trials are fitted with, but for the data.
    settings |= {f"fit.{name}": value for name, value in arguments.items() if type(value) in _PLAIN}
    return describe_values({name: value for name, value in settings.items() if value is not None})


def _name_of(hypermodel: Any) -> str:
    """Return what builds the models: a class of the user's, or a function."""
    inner = getattr(hypermodel, "build", None) if type(hypermodel).__name__ == "DefaultHyperModel" else None
    return describe_value(hypermodel if inner is None else inner).rpartition(".")[2] if hypermodel is not None else ""


def _describe_hyperparameter(one: Any) -> dict[str, Any]:
    described = {"class": type(one).__name__}
    for name, value in one.get_config().items():
        if name not in {"name", "conditions"}:
            described[name] = value if type(value) in _PLAIN else describe_value(value)
    return described
