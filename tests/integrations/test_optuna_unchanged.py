"""What Optuna's documentation shows does the same with autolog and without: trials, logs, warnings, random numbers."""

from __future__ import annotations

import logging
import pickle
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optuna")

import optuna
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier

import autolog

FEATURES, TARGETS = load_iris(return_X_y=True)
SPACE = {"x": [-5.0, 0.0, 5.0], "kind": ["a", "b"]}


def objective(trial: Any) -> float:
    x = trial.suggest_float("x", -10, 10)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    depth = trial.suggest_int("depth", 1, 8, log=True) if kind == "a" else 0
    return (x - 2) ** 2 + depth


def pruned_objective(trial: Any) -> float:
    model = SGDClassifier(alpha=trial.suggest_float("alpha", 1e-5, 1e-1, log=True), random_state=0)
    for step in range(6):
        model.partial_fit(FEATURES, TARGETS, classes=[0, 1, 2])
        trial.report(model.score(FEATURES, TARGETS), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return model.score(FEATURES, TARGETS)


def failing_objective(trial: Any) -> Any:
    match trial.number:
        case 1:
            raise ValueError("a mistake")
        case 2:
            return None
        case 3:
            return "no number"
        case 4:
            trial.report(1.0, 0)
            trial.report(2.0, 0)
    return float(trial.number)


def describe(study: Any) -> Any:
    return [
        (one.number, one.state, one.values, one.params, one.distributions, one.user_attrs, one.intermediate_values)
        for one in study.trials
    ], study.user_attrs


def a_search(sampler: Callable[[], Any], **settings: Any) -> Callable[[], Any]:
    def search() -> Any:
        study = optuna.create_study(study_name="s", sampler=sampler(), **settings)
        study.optimize(objective, n_trials=14)
        return describe(study)

    return search


def pruning() -> Any:
    study = optuna.create_study(
        study_name="s",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=1),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=6),
    )
    study.optimize(pruned_objective, n_trials=12)
    return describe(study)


def failing() -> Any:
    study = optuna.create_study(study_name="s", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(failing_objective, n_trials=6, catch=(ValueError,))
    with pytest.raises(ZeroDivisionError) as raised:
        study.optimize(lambda trial: 1 / 0, n_trials=2)
    return describe(study), str(raised.value)


def asking_and_telling() -> Any:
    study = optuna.create_study(study_name="s", sampler=optuna.samplers.TPESampler(seed=3))
    study.enqueue_trial({"x": 1.5})
    study.add_trial(optuna.create_trial(value=3.0))
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, objective(trial))
    batch = [study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}) for _ in range(3)]
    told = [study.tell(trial.number, trial.params["x"]) for trial in batch]
    with pytest.raises(ValueError, match="Cannot tell") as raised:
        study.tell(batch[0], 1.0)
    return describe(study), [(one.number, one.value) for one in told], str(raised.value)


def stopping_and_calling_back() -> Any:
    seen: list[Any] = []

    def note(study: Any, trial: Any) -> None:
        seen.append((trial.number, trial.value, study.best_value))
        if trial.number == 3:
            study.stop()

    study = optuna.create_study(study_name="s", sampler=optuna.samplers.TPESampler(seed=5))
    study.optimize(objective, n_trials=20, callbacks=[note])
    return describe(study), seen


def several_objectives() -> Any:
    study = optuna.create_study(
        study_name="s",
        directions=["minimize", "maximize"],
        sampler=optuna.samplers.NSGAIISampler(seed=1, population_size=4),
    )
    study.optimize(lambda trial: (objective(trial), trial.suggest_float("z", 0, 1)), n_trials=12)
    return describe(study), sorted(trial.number for trial in study.best_trials)


def pickled() -> Any:
    study = optuna.create_study(study_name="s", sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(objective, n_trials=3)
    again = pickle.loads(pickle.dumps(study))
    again.optimize(objective, n_trials=3)
    return describe(study), describe(again), sorted(vars(study)), sorted(vars(again.sampler))


class DrawingSampler(optuna.samplers.BaseSampler):
    """Draws from the generators that everybody shares."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        choices = getattr(param_distribution, "choices", None)
        if choices is not None:
            return random.choice(choices)
        return type(param_distribution.low)(np.random.uniform(param_distribution.low, param_distribution.high))


CASES = {
    "TPE": a_search(lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=4)),
    "multivariate TPE": a_search(lambda: optuna.samplers.TPESampler(seed=1, multivariate=True, n_startup_trials=4)),
    "random": a_search(lambda: optuna.samplers.RandomSampler(seed=1)),
    "global random state": a_search(DrawingSampler),
    "grid": a_search(lambda: optuna.samplers.GridSampler(SPACE | {"depth": [1, 2]}, seed=1)),
    "NSGA-II": a_search(lambda: optuna.samplers.NSGAIISampler(seed=1, population_size=4)),
    "pruning": pruning,
    "failing": failing,
    "asking and telling": asking_and_telling,
    "stopping and calling back": stopping_and_calling_back,
    "several objectives": several_objectives,
    "pickled": pickled,
}


class Lines(logging.Handler):
    """Keeps what Optuna logs, and from where."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.lines.append(
            (record.levelname, record.getMessage(), record.filename, record.lineno, record.funcName, trace)
        )


def outcome(case: Callable[[], Any]) -> Any:
    """Return what a case gives, logs, warns of, and where it leaves the global random generators."""
    handler = Lines()
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    random.seed(4)
    np.random.seed(4)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            result = case()
    finally:
        logger.removeHandler(handler)
    told = sorted({(str(one.message), one.filename, one.lineno) for one in warned})
    return result, handler.lines, told, random.getstate(), np.random.get_state()[1].tolist()


@pytest.mark.parametrize("name", CASES)
def test_a_study_does_the_same_with_autolog(name: str) -> None:
    plain = outcome(CASES[name])
    with autolog.enable(strict=True):
        recorded = outcome(CASES[name])
    assert autolog.flush(60)
    assert len(autolog.search_runs(search_all_experiments=True, output_format="list")) > 1
    for one, other in zip(plain, recorded, strict=True):
        assert other == one
