"""Optuna's studies and trials as runs: when they begin and end, and which trial it is that something is trained in.

A study is recorded from a call of ``optimize`` to its end; where the user asks and tells, from the first trial that is
asked for until the study is gone, or the process. Its trials are recorded in the same way in both cases.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autolog.attribution import attribute_model, run_of_model
from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.optuna_results import Best, Told, find_best, log_search_space, log_trials
from autolog.integrations.optuna_settings import ATTRIBUTE_TAG, describe_call, describe_study, name_study, tag_study
from autolog.integrations.sklearn_params import describe_value, describe_values, log_params
from autolog.integrations.trials import Trial, log_best
from autolog.loops import CONTINUED_TAG
from autolog.run import EXCEPTION_TAG, deactivate
from autolog.training import Training, current_training

_COUNTS: Final = {"COMPLETE": "n_complete", "PRUNED": "n_pruned", "FAIL": "n_failed"}


class StudyTrial(Trial):
    """A trial of a study, and what is known of it.

    Args:
        record: of its study.
        trial: Optuna's.
    """

    def __init__(self, record: StudyRecord, trial: Any) -> None:
        super().__init__(record.run, "optuna", trial.number)
        self.record: Final = record
        self.began: Final = time.time()
        self.params: Final[dict[str, Any]] = {}
        self.attributes: Final[dict[str, Any]] = {}
        self.reported: Final[set[int]] = set()
        self.state = "RUNNING"
        if getattr(trial, "_fixed_params", None):
            self.run.set_tag("autolog.trial.enqueued", "true")
        # What was suggested while it was asked for.
        distributions = trial.distributions
        for name, value in trial.params.items():
            self.log_param(name, value, distributions.get(name))

    def log_param(self, name: str, value: Any, distribution: Any) -> None:
        """Log a param that was suggested, the first time."""
        if name not in self.params:
            self.params[name] = value
            self.record.distributions[name] = distribution
            log_params(self.run, "trial", describe_values({name: value}))


class StudyRecord:
    """A study, or one call of its ``optimize``, and the run that it is recorded in.

    Args:
        study: Optuna's, which is not kept alive.
        training: whose run it is; it has begun it.
        is_optimized: whether the trials are begun by ``optimize``, rather than by the user.
    """

    def __init__(self, study: Any, training: Training, *, is_optimized: bool) -> None:
        assert training.run is not None  # noqa: S101  for the type checker: it has begun
        self._study: Final = weakref.ref(study)
        self.run: Final = training.run
        self.training: Final = training
        self.is_optimized: Final = is_optimized
        self.distributions: Final[dict[str, Any]] = {}
        self.open: Final[dict[int, StudyTrial]] = {}
        self._entered: Final[set[StudyTrial]] = set()
        self._told: Final[list[Told]] = []
        self._turn: Final = threading.Lock()
        self._run_ids: Final = _run_ids.setdefault(study, {})
        self._is_maximized: Final = [direction.name == "MAXIMIZE" for direction in study.directions]
        many = len(self._is_maximized)
        defaults = ["value"] if many == 1 else [f"value_{place}" for place in range(many)]
        self._names: Final[Sequence[str]] = getattr(study, "metric_names", None) or defaults
        self._best = find_best(study) if many == 1 else None
        self._log_beginning(study)

    def _log_beginning(self, study: Any) -> None:
        former = run_of_model(study)
        if former is not None and former is not self.run:
            self.run.set_tag(CONTINUED_TAG, former.run_id)
        attribute_model(study, self.run)
        with guard("recording a study"):
            self.log_params(describe_study(study))
            self.run.set_tags(tag_study(study))

    @property
    def study(self) -> Any:
        """The study; None where it is gone."""
        return self._study()

    def log_params(self, params: Mapping[str, str]) -> None:
        """Log what the study was told."""
        log_params(self.run, "study", params)

    # -- trials ----------------------------------------------------------------------------------------------------

    def begin_trial(self, trial: Any) -> StudyTrial:
        """Begin the run of a trial that was asked for."""
        is_alone = not self.open
        begun = self.open[trial.number] = StudyTrial(self, trial)
        self._run_ids[trial.number] = begun.run.run_id
        if self.is_optimized:
            begun.enter()
        else:
            # Of several that are open, the one that is dealt with next shows itself.
            self._switch_to(begun if is_alone else None)
        return begun

    def turn_to(self, trial: StudyTrial) -> None:
        """Note that a trial is dealt with: of several that are open in a thread it is the one that trains."""
        if not self.is_optimized:
            self._switch_to(trial)

    def _switch_to(self, trial: StudyTrial | None) -> None:
        # Among them are trials that were told of in another thread than the one that they were entered in.
        for other in list(self._entered):
            if other is not trial:
                other.leave()
            if not other.is_entered:
                self._entered.discard(other)
        if trial is not None and not trial.is_entered:
            trial.enter()
            self._entered.add(trial)

    def end_trial(self, trial: StudyTrial, state: str, values: Sequence[float]) -> None:
        """Log what a trial has come to, and end it."""
        trial.state = state
        number, run_id = int(trial.number), trial.run.run_id
        told = Told(number, run_id, state, tuple(values), trial.params, trial.attributes, trial.began, time.time())
        with self._turn:
            self._told.append(told)
        trial.run.log_metrics(dict(zip(self._names, values, strict=False)))
        if state == "COMPLETE":
            self._log_progress(told)
        if state == "FAIL" and self.is_optimized:
            # What it has failed of is told next.
            trial.leave()
            _last_failed.trial = trial
        else:
            self.close(trial)

    def close(self, trial: StudyTrial, error: BaseException | None = None) -> None:
        """End the run of a trial, of which the study was told or which it will not hear of any more."""
        self.open.pop(int(trial.number), None)
        failed = error is not None or trial.state == "FAIL"
        trial.end(trial.state, RunStatus.FAILED if failed else RunStatus.FINISHED, error)

    def _log_progress(self, told: Told) -> None:
        self.run.log_metrics(dict(zip(self._names, told.values, strict=False)), told.number)
        if len(self._is_maximized) == 1:
            value = told.values[0]
            with self._turn:
                best = self._best
                if best is None or (value > best.value if self._is_maximized[0] else value < best.value):
                    self._best = best = Best(told.number, value, told.params)
                self.run.log_metric(f"best_{self._names[0]}", best.value, told.number)

    # -- the end ---------------------------------------------------------------------------------------------------

    def end(self, error: BaseException | None = None) -> None:
        """Log what the study has come to, and end the trials that it was told nothing of."""
        for trial in list(self.open.values()):
            self.close(trial, error)
        with guard("recording the best trial of a study"):
            self._log_best()
        with guard("recording the trials of a study"):
            log_trials(self.run, self._told, self._names)
        with guard("recording the search space of a study"):
            log_search_space(self.run, self.distributions)
        states = [one.state for one in self._told]
        self.run.log_metrics(
            {"n_trials": len(states), **{name: states.count(state) for state, name in _COUNTS.items()}}
        )

    def _log_best(self) -> None:
        study = self.study
        if len(self._is_maximized) == 1:
            # Another process may have found a better one, and whether constraints hold only the study knows.
            best = (None if study is None else find_best(study)) or self._best
            if best is not None:
                if self._told and best != self._best:
                    self.run.log_metric(f"best_{self._names[0]}", best.value, max(one.number for one in self._told))
                log_best(self.run, best.number, self._run_ids.get(best.number), best.params)
        elif study is not None:
            front = [trial.number for trial in study.best_trials]
            run_ids = [self._run_ids[number] for number in front if number in self._run_ids]
            self.run.set_tags({"autolog.best_trials": front, "autolog.best_run_ids": run_ids})


# The calls of ``optimize`` that go on, and the studies that the user asks.
_optimized: Final[list[StudyRecord]] = []
_asked: Final[weakref.WeakKeyDictionary[Any, StudyRecord]] = weakref.WeakKeyDictionary()
# By Optuna's trials and studies: the trials that were begun here, and their runs' ids by number.
_trials: Final[weakref.WeakKeyDictionary[Any, StudyTrial]] = weakref.WeakKeyDictionary()
_run_ids: Final[weakref.WeakKeyDictionary[Any, dict[int, str]]] = weakref.WeakKeyDictionary()
# The trial that was told last in this thread to have failed.
_last_failed: Final = threading.local()


def begin_optimization(call: Call) -> StudyRecord | None:
    """Begin the record of a call of ``optimize``; return None where the training around it is recorded nowhere."""
    if call.training is None or (call.is_nested and call.run is None):
        return None
    study = call.instance
    call.begin(name_study(study))
    record = StudyRecord(study, call.training, is_optimized=True)
    with guard("recording what a study is to do"):
        record.log_params(describe_call(call))
    _optimized.append(record)
    return record


def end_optimization(record: StudyRecord, error: BaseException | None) -> None:
    """End the record of a call of ``optimize``."""
    _optimized.remove(record)
    record.end(error)


def note_ask(trial: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Begin the record of a trial that a study was asked for, by ``optimize`` or by the user."""
    study, training = args[0], current_training()
    record = next((one for one in reversed(_optimized) if one.training is training and one.study is study), None)
    if record is None and training is None:
        record = _record_asked(study)
    if record is not None:
        _trials[trial] = record.begin_trial(trial)


def _record_asked(study: Any) -> StudyRecord:
    record = _asked.get(study)
    if record is None or record.run.has_ended:
        training = Training()
        run = training.begin(name_study(study), "optuna", {})
        if run.is_of_a_hook:
            # Nobody says where it ends, so that what is trained between the trials is not inside of it.
            deactivate(run)
        record = _asked[study] = StudyRecord(study, training, is_optimized=False)
        run.finishers.append(record.end)
        weakref.finalize(study, training.end, None).atexit = False
    return record


def note_param(value: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Log a param that was suggested for a trial, before anything is trained with it."""
    trial, name, distribution = args
    if (known := _find(trial)) is not None:
        known.log_param(name, value, distribution)


def note_report(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log the intermediate value that a trial has reported, as Optuna has understood it."""
    trial, _value, step = args
    if (known := _find(trial)) is not None:
        values = trial._cached_frozen_trial.intermediate_values  # noqa: SLF001  the public way asks the storage
        # Of several reports at one step Optuna takes the first.
        if (place := int(step)) in values and place not in known.reported:
            known.reported.add(place)
            known.run.log_metric("intermediate_value", values[place], place)


def note_attribute(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Tag a trial with an attribute that the user has given it."""
    trial, name, value = args
    if (known := _find(trial)) is not None:
        known.attributes[name] = value
        known.run.set_tag(f"{ATTRIBUTE_TAG}{name}", describe_value(value))


def _find(trial: Any) -> StudyTrial | None:
    known = _trials.get(trial)
    if known is not None:
        known.record.turn_to(known)
    return known


def note_tell(told: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """End the record of a trial that a study was told of, by its number or by itself."""
    study, trial = args[:2]
    number = trial if isinstance(trial, int) else trial.number
    # A trial, or since Optuna 5 its state, its values, and a message.
    state, values = told[:2] if isinstance(told, tuple) else (told.state, told.values)
    for record in (*reversed(_optimized), _asked.get(study)):
        if record is not None and record.study is study and number in record.open:
            record.end_trial(record.open[number], state.name, values or ())
            return


def note_failure(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Keep what the trial has failed of that was told of last in this thread."""
    # What comes before them is the trial, or since Optuna 5 its number and its params.
    message, exc_info, _value = args[-3:]
    trial: StudyTrial | None = vars(_last_failed).pop("trial", None)
    if trial is not None:
        if exc_info is None:
            trial.run.set_tag(EXCEPTION_TAG, message)
        trial.record.close(trial, None if exc_info is None else exc_info[1])
