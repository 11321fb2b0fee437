"""The trainings that are measured: the same for every contender."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import networks
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Data = tuple[Any, Any]
_ROUNDS: Final = 200
# Two metrics of two sets.
_POINTS_OF_A_ROUND: Final = 4


class Workload(NamedTuple):
    """A training: given its data, and its rounds or epochs, it returns the call that trains.

    What is prepared before that call is not timed. ``integration`` is the name that MLflow's module has, and
    ``mlflow_settings`` are what that module's ``autolog`` takes. ``points_of_a_round`` are the metrics of a round,
    or the steps of an epoch; without them one round is not measured by itself.
    """

    prepare: Callable[[Data, int], Callable[[], object]]
    data: Callable[[], Data]
    integration: str = "sklearn"
    rounds: int = 1
    points_of_a_round: int = 0
    mlflow_settings: Mapping[str, Any] = MappingProxyType({})


def breast_cancer() -> Data:
    features, targets = load_breast_cancer(return_X_y=True)
    return features, targets


def digits() -> Data:
    features, targets = load_digits(return_X_y=True)
    return features, targets


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))


def forest() -> Any:
    return RandomForestClassifier(n_estimators=100, random_state=0)


def grid() -> Any:
    return GridSearchCV(logistic(), {"logisticregression__C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]}, cv=3)


def fit(make: Callable[[], Any]) -> Callable[[Data, int], Callable[[], object]]:
    """Return a workload's ``prepare`` for an estimator that is made anew for every fit."""
    return lambda data, _: partial(make().fit, *data)


def boost_by_xgboost(data: Data, rounds: int) -> Callable[[], object]:
    import xgboost

    (train, train_targets), (valid, valid_targets) = _split(data)
    sets = [(xgboost.DMatrix(train, train_targets), "train"), (xgboost.DMatrix(valid, valid_targets), "valid")]
    params = {"objective": "binary:logistic", "max_depth": 4, "eval_metric": ["logloss", "auc"], "nthread": 1}
    # Through the module, since recording replaces its function.
    return lambda: xgboost.train(params, sets[0][0], rounds, evals=sets, verbose_eval=False)


def boost_by_lightgbm(data: Data, rounds: int) -> Callable[[], object]:
    import lightgbm

    (train, train_targets), (valid, valid_targets) = _split(data)
    sets = [lightgbm.Dataset(train, train_targets)]
    sets.append(sets[0].create_valid(valid, valid_targets))
    params = {"objective": "binary", "num_leaves": 15, "metric": ["binary_logloss", "auc"], "num_threads": 1}
    names = ["train", "valid"]
    return lambda: lightgbm.train(params | {"verbosity": -1}, sets[0], rounds, valid_sets=sets, valid_names=names)


def _split(data: Data) -> tuple[Data, Data]:
    features, targets = data
    return (features[::2], targets[::2]), (features[1::2], targets[1::2])


WORKLOADS = {
    "logistic": Workload(fit(logistic), breast_cancer),
    "forest": Workload(fit(forest), digits),
    "grid": Workload(fit(grid), breast_cancer),
    "xgboost": Workload(boost_by_xgboost, breast_cancer, "xgboost", _ROUNDS, _POINTS_OF_A_ROUND),
    "lightgbm": Workload(boost_by_lightgbm, breast_cancer, "lightgbm", _ROUNDS, _POINTS_OF_A_ROUND),
    "torch": Workload(networks.train_by_torch, networks.many_batches, "pytorch", 6, 500),
    "torch_clipped": Workload(networks.train_and_clip_by_torch, networks.many_batches, "pytorch", 6, 500),
    "keras": Workload(networks.train_by_keras, networks.rows_like_mnist, "keras", 3),
    "keras_batches": Workload(
        networks.train_by_keras,
        networks.rows_like_mnist,
        "keras",
        3,
        mlflow_settings={"log_every_epoch": False, "log_every_n_steps": 1},
    ),
    "lightning": Workload(networks.train_by_lightning, networks.some_batches, "pytorch", 5, 100),
}


class Cost(NamedTuple):
    """Nanoseconds of a fit: until it returns, and of CPU in the whole process until all of it is stored."""

    wall: int
    cpu: int


def measure_fit(
    workload: Workload, data: Data, finish: Callable[[], object] = lambda: None, *, rounds: int | None = None
) -> Cost:
    train = workload.prepare(data, rounds or workload.rounds)
    cpu, started = time.process_time_ns(), time.perf_counter_ns()
    train()
    wall = time.perf_counter_ns() - started
    finish()
    return Cost(wall, time.process_time_ns() - cpu)


def alternate(
    repeats: int, plain: Callable[[], Cost], recorded: Callable[[], Cost], suffix: str = ""
) -> dict[str, list[float]]:
    """Return the samples of fits that are by turns recorded and not.

    By hand and not by pyperf: what is wanted is the difference of two neighbours, so that a slow moment of the machine
    hits both. pyperf measures each by itself, and the difference of two medians of fits that vary by a tenth
    says nothing of a cost of a hundredth.
    """
    pairs: list[tuple[Cost, Cost]] = []
    for number in range(repeats):
        # The second of a pair finds warmer caches: each way round counts as often.
        if number % 2:
            second, first = recorded(), plain()
        else:
            first, second = plain(), recorded()
        pairs.append((first, second))
    return {
        "fit": [without.wall for without, _ in pairs],
        f"added{suffix}": [with_it.wall - without.wall for without, with_it in pairs],
        f"added_share{suffix}": [with_it.wall / without.wall - 1 for without, with_it in pairs],
        f"added_cpu{suffix}": [with_it.cpu - without.cpu for without, with_it in pairs],
        f"added_cpu_share{suffix}": [with_it.cpu / without.cpu - 1 for without, with_it in pairs],
    }


def beyond_one_round(
    workload: Workload, whole: dict[str, list[float]], short: dict[str, list[float]]
) -> dict[str, list[float]]:
    """Return what the rounds after the first add, from the samples of whole trainings and of those of one round.

    It is given per metric of a round, or step of an epoch, and as a share of what the rounds take by themselves.
    """
    added = [cost - median(short["added"]) for cost in whole["added"]]
    alone = [time - median(short["fit"]) for time in whole["fit"]]
    points = (workload.rounds - 1) * workload.points_of_a_round
    return {
        "added_per_point": [cost / points for cost in added],
        "added_share_of_rounds": [cost / time for cost, time in zip(added, alone, strict=True)],
    }
