"""Which metrics and params a table of runs shows."""

from __future__ import annotations

import math

from autolog.cli.telling import telling_metrics, telling_params
from autolog.entities import MetricSummary, Run, RunData, RunInfo, RunStatus


def run(metrics=None, params=None, estimator=None):
    tags = {} if estimator is None else {"estimator_class": estimator}
    info = RunInfo(run_id="a" * 32, experiment_id="0", run_name="run", user_id="ada", status=RunStatus.FINISHED)
    summaries = {
        name: MetricSummary(value, timestamp=0, step=0, min=value, max=value, count=1)
        for name, value in (metrics or {}).items()
    }
    return Run(info=info, data=RunData(summaries=summaries, params=params or {}, tags=tags))


def metrics_of(*rows):
    return telling_metrics([run(metrics=row) for row in rows])


def params_of(*rows):
    return telling_params([run(params=params, estimator=estimator) for estimator, params in rows])


def test_a_score_that_only_repeats_more_specific_metrics_is_left_out():
    classifiers = [{"score": value, "accuracy_score": value, "loss": 1 - value} for value in (0.7, 0.9)]
    regressors = [{"score": value, "r2_score": value} for value in (0.4, 0.5)]
    assert metrics_of(*classifiers, *regressors) == ["accuracy_score", "r2_score", "loss"]


def test_a_score_that_differs_once_from_the_others_is_kept():
    assert metrics_of({"score": 0.7, "accuracy_score": 0.7}, {"score": 0.8, "accuracy_score": 0.9}) == [
        "accuracy_score",
        "score",
    ]


def test_of_two_metrics_that_are_nan_together_one_is_shown():
    assert metrics_of({"loss": math.nan, "val_loss": math.nan}, {"loss": 0.5, "val_loss": 0.5}) == ["val_loss"]


def test_every_run_is_told_of_before_anything_is_told_twice():
    trees = [{"accuracy": 0.8 + index / 100, "f1": 0.7 + index / 100} for index in range(8)]
    assert metrics_of(*trees, {"inertia": 12.0}) == ["accuracy", "inertia", "f1"]


def test_a_metric_with_no_direction_comes_after_those_that_say_how_good_a_run_is():
    assert metrics_of({"n_iter": 3.0, "loss": 0.5}, {"n_iter": 4.0, "loss": 0.4}) == ["loss", "n_iter"]


def test_what_is_the_same_everywhere_tells_nothing():
    assert metrics_of({"accuracy": 0.9, "loss": 0.3}, {"accuracy": 0.9, "loss": 0.2}) == ["loss"]
    assert params_of((None, {"C": "1", "seed": "0"}), (None, {"C": "2", "seed": "0"})) == ["C"]


def test_metrics_of_the_machine_come_last():
    rows = [{"system/cpu_percent": value, "n_iter": value + 1} for value in (1.0, 2.0)]
    assert metrics_of(*rows) == ["n_iter", "system/cpu_percent"]


def test_a_param_that_differs_only_between_estimators_is_a_default_of_each():
    forests = [("Forest", {"depth": depth, "tol": "0.1"}) for depth in ("2", "4")]
    assert params_of(*forests, ("Lasso", {"tol": "0.2"})) == ["depth"]


def test_params_of_runs_that_do_not_say_what_they_train_are_compared_with_each_other():
    assert params_of((None, {"kernel": "rbf"}), (None, {"kernel": "linear"})) == ["kernel"]


def test_long_texts_and_how_a_training_is_carried_out_are_left_out():
    first, second = {"layers": "x" * 21, "n_jobs": "1", "C": "1"}, {"layers": "y", "n_jobs": "2", "C": "2"}
    assert params_of(("SVC", first), ("SVC", second)) == ["C"]


def test_the_best_score_of_a_search_comes_first_and_times_come_last():
    row = {"refit_time": 0.1, "best_cv_score": 0.9, "training_score": 0.9, "training_accuracy_score": 0.9}
    assert metrics_of(row) == ["best_cv_score", "training_accuracy_score", "refit_time"]
