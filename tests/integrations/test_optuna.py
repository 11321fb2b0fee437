"""What an Optuna study and its trials leave in the store."""

from __future__ import annotations

import csv
import gc
import io
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("optuna")

import optuna
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import autolog
from autolog.entities import Run, RunStatus
from autolog.loops import Loop

FEATURES, TARGETS = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with autolog.enable(strict=True):
        yield
    optuna.logging.set_verbosity(verbosity)


def new_study(**settings: Any) -> Any:
    return optuna.create_study(**{"sampler": optuna.samplers.TPESampler(seed=7), **settings})


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def top_level() -> list[Run]:
    return [run for run in recorded() if "mlflow.parentRunId" not in run.data.tags]


def children_of(parent: Run) -> list[Run]:
    found = [run for run in recorded() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    # Trials may begin in the same millisecond.
    return sorted(found, key=lambda run: int(run.data.tags.get("autolog.trial.number", -1)))


def search_and_trials() -> tuple[Run, dict[int, Run]]:
    (search,) = top_level()
    trials = {int(run.data.tags["autolog.trial.number"]): run for run in children_of(search)}
    return search, dict(sorted(trials.items()))


def series(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def artifact(run: Run, path: str) -> str:
    return autolog.artifacts.load_text(f"runs:/{run.info.run_id}/{path}")


def table(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(artifact(run, "trials.csv"))))


def fit(regularization: float) -> float:
    return float(SVC(C=regularization, tol=0.05).fit(FEATURES, TARGETS).n_support_.sum())


def bowl(trial: Any) -> float:
    return trial.suggest_float("x", -10, 10) ** 2 + trial.suggest_int("n", 0, 3)


# -- a study and its trials --------------------------------------------------------------------------------------------


def test_every_trial_is_a_child_with_its_params_and_its_value() -> None:
    study = new_study(study_name="bowl")
    study.optimize(bowl, n_trials=12)
    search, trials = search_and_trials()
    assert search.info.run_name == "bowl"
    assert search.info.status is RunStatus.FINISHED
    assert list(trials) == list(range(12))
    for trial in study.trials:
        run = trials[trial.number]
        assert run.data.params == {"x": str(trial.params["x"]), "n": str(trial.params["n"])}
        assert run.data.metrics == {"value": trial.value}
        assert run.info.status is RunStatus.FINISHED
        assert run.data.tags["autolog.trial.state"] == "COMPLETE"
        assert run.info.run_name == f"trial {trial.number}"


def test_the_search_names_the_best_trial_and_its_run() -> None:
    study = new_study()
    study.optimize(bowl, n_trials=12)
    search, trials = search_and_trials()
    best = study.best_trial
    assert search.data.tags["autolog.best_trial"] == str(best.number)
    assert search.data.tags["autolog.best_run_id"] == trials[best.number].info.run_id
    assert search.data.params["best_x"] == str(best.params["x"])
    assert search.data.params["best_n"] == str(best.params["n"])
    assert search.data.metrics["best_value"] == best.value


def test_the_search_has_the_value_of_each_trial_and_the_best_so_far() -> None:
    study = new_study(direction="maximize")
    study.optimize(bowl, n_trials=10)
    search, _ = search_and_trials()
    values = [trial.value for trial in study.trials]
    assert series(search, "value") == list(enumerate(values))
    assert series(search, "best_value") == [(place, max(values[: place + 1])) for place in range(10)]


def test_params_say_what_was_searched_for_and_how() -> None:
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=3)
    study = new_study(sampler=optuna.samplers.TPESampler(seed=11, n_startup_trials=4), pruner=pruner)
    study.set_user_attr("team", "north")
    study.optimize(bowl, n_trials=2, timeout=600, catch=(ValueError,))
    search, _ = search_and_trials()
    assert search.info.run_name == "Study(TPESampler)"
    expected = {
        "direction": "minimize",
        "sampler": "TPESampler",
        "sampler.seed": "11",
        "sampler.n_startup_trials": "4",
        "sampler.n_ei_candidates": "24",
        "pruner": "MedianPruner",
        "pruner.n_warmup_steps": "3",
        "pruner.n_startup_trials": "5",
        "objective": f"{__name__}.bowl",
        "n_trials": "2",
        "timeout": "600",
        "n_jobs": "1",
        "catch": "(builtins.ValueError)",
        "study_name": study.study_name,
    }
    assert {name: search.data.params.get(name) for name in expected} == expected
    assert search.data.tags["user_attr.team"] == "north"
    assert search.data.tags["mlflow.autologging"] == "optuna"


def test_the_table_holds_what_optunas_own_does() -> None:
    def objective(trial: Any) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        if kind == "a":
            trial.set_user_attr("note", "short")
        if trial.number == 3:
            raise optuna.TrialPruned
        return trial.suggest_float("x", 0, 1)

    study = new_study()
    study.optimize(objective, n_trials=8)
    search, trials = search_and_trials()
    frame = study.trials_dataframe()
    rows = table(search)
    for (_, expected), row in zip(frame.iterrows(), rows, strict=True):
        assert int(row["number"]) == expected["number"]
        assert row["state"] == expected["state"]
        assert row["run_id"] == trials[expected["number"]].info.run_id
        assert row["value"] == ("" if math.isnan(expected["value"]) else str(expected["value"]))
        assert row["params_kind"] == expected["params_kind"]
        assert row["user_attrs_note"] == ("short" if expected["user_attrs_note"] == "short" else "")


def test_the_search_space_is_stored_as_optuna_describes_it() -> None:
    def objective(trial: Any) -> float:
        return trial.suggest_float("rate", 1e-5, 1e-1, log=True) + trial.suggest_categorical("width", [8, 16])

    study = new_study()
    study.optimize(objective, n_trials=2)
    search, _ = search_and_trials()
    space = {
        name: optuna.distributions.json_to_distribution(json.dumps(described))
        for name, described in json.loads(artifact(search, "search_space.json")).items()
    }
    assert space == study.trials[0].distributions


def test_attributes_of_a_trial_are_tags_of_its_run() -> None:
    def objective(trial: Any) -> float:
        trial.set_user_attr("depth", [1, 2])
        return 1.0

    new_study().optimize(objective, n_trials=1)
    _, trials = search_and_trials()
    assert trials[0].data.tags["user_attr.depth"] == "[1, 2]"


def test_an_enqueued_trial_says_so() -> None:
    study = new_study()
    study.enqueue_trial({"x": 2.0, "n": 1})
    study.optimize(bowl, n_trials=2)
    _, trials = search_and_trials()
    assert trials[0].data.params == {"x": "2.0", "n": "1"}
    assert trials[0].data.metrics == {"value": 5.0}
    assert trials[0].data.tags["autolog.trial.enqueued"] == "true"
    assert "autolog.trial.enqueued" not in trials[1].data.tags


# -- intermediate values, pruning, failures ----------------------------------------------------------------------------


def test_intermediate_values_are_a_metric_at_their_steps() -> None:
    def objective(trial: Any) -> float:
        for step in (0, 10, 5):
            trial.report(step / 2, step)
        with pytest.warns(UserWarning, match="already reported"):
            trial.report(99, 5)
        return 1.0

    new_study().optimize(objective, n_trials=1)
    _, trials = search_and_trials()
    assert sorted(series(trials[0], "intermediate_value")) == [(0, 0.0), (5, 2.5), (10, 5.0)]


def test_a_pruned_trial_has_finished_and_is_marked() -> None:
    def objective(trial: Any) -> float:
        trial.report(0.25, 0)
        if trial.number == 1:
            raise optuna.TrialPruned("hopeless")
        return 1.0

    new_study().optimize(objective, n_trials=3)
    search, trials = search_and_trials()
    assert trials[1].info.status is RunStatus.FINISHED
    assert trials[1].data.tags["autolog.trial.state"] == "PRUNED"
    assert "autolog.exception" not in trials[1].data.tags
    # Optuna takes the last intermediate value of a pruned trial for its value.
    assert trials[1].data.metrics["value"] == 0.25
    counts = {name: search.data.metrics[name] for name in ("n_trials", "n_complete", "n_pruned", "n_failed")}
    assert counts == {"n_trials": 3, "n_complete": 2, "n_pruned": 1, "n_failed": 0}
    assert [step for step, _ in series(search, "value")] == [0, 2]


def test_a_trial_that_fails_and_is_caught_has_failed_with_its_exception() -> None:
    def objective(trial: Any) -> float:
        if trial.number == 0:
            raise ValueError("no such luck")
        return 1.0

    new_study().optimize(objective, n_trials=2, catch=(ValueError,))
    search, trials = search_and_trials()
    assert search.info.status is RunStatus.FINISHED
    assert trials[0].info.status is RunStatus.FAILED
    assert trials[0].data.tags["autolog.trial.state"] == "FAIL"
    assert trials[0].data.tags["autolog.exception"] == "ValueError: no such luck"
    assert 'raise ValueError("no such luck")' in artifact(trials[0], "exception.txt")
    assert trials[1].info.status is RunStatus.FINISHED


def test_a_value_that_is_none_fails_the_trial_with_optunas_words() -> None:
    new_study().optimize(lambda trial: float("nan"), n_trials=1)
    _, trials = search_and_trials()
    assert trials[0].info.status is RunStatus.FAILED
    assert trials[0].data.tags["autolog.exception"] == "The value nan is not acceptable"


def test_an_exception_that_is_not_caught_fails_the_search_too() -> None:
    def objective(trial: Any) -> float:
        if trial.number == 1:
            raise ZeroDivisionError
        return 1.0

    with pytest.raises(ZeroDivisionError):
        new_study().optimize(objective, n_trials=5)
    search, trials = search_and_trials()
    assert search.info.status is RunStatus.FAILED
    assert [run.info.status for run in trials.values()] == [RunStatus.FINISHED, RunStatus.FAILED]
    assert search.data.metrics["n_failed"] == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_search_keeps_its_trials_and_leaves_none_open(error: type[BaseException]) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 2:
            raise error
        return x

    study = new_study()
    with pytest.raises(error):
        study.optimize(objective, n_trials=5)
    assert autolog.active_run() is None
    search, trials = search_and_trials()
    assert search.info.status is RunStatus.FAILED
    assert [run.info.status for run in trials.values()] == [RunStatus.FINISHED] * 2 + [RunStatus.FAILED]
    assert error.__name__ in trials[2].data.tags["autolog.exception"]
    assert search.data.metrics["best_value"] == min(trial.value for trial in study.trials[:2])


# -- what is trained in a trial ----------------------------------------------------------------------------------------


def test_a_fit_inside_a_trial_goes_into_its_run_and_a_second_one_into_a_child_of_it() -> None:
    def objective(trial: Any) -> float:
        regularization = trial.suggest_float("C", 0.1, 10)
        fit(1.5)
        return fit(regularization)

    new_study().optimize(objective, n_trials=2)
    search, trials = search_and_trials()
    assert "estimator_class" not in search.data.tags
    for trial in trials.values():
        assert trial.data.tags["estimator_name"] == "SVC"
        assert trial.data.params["tol"] == "0.05"
        # What was suggested keeps its name; the estimator's param of that name has another value.
        assert trial.data.params["SVC.C"] == "1.5"
        (second,) = children_of(trial)
        assert second.data.params["C"] == trial.data.params["C"]


def test_rounds_of_boosting_inside_a_trial_are_metrics_of_its_run() -> None:
    xgboost = pytest.importorskip("xgboost")
    matrix = xgboost.DMatrix(FEATURES, TARGETS)
    histories = []

    def objective(trial: Any) -> float:
        history: dict[str, Any] = {}
        params = {"max_depth": trial.suggest_int("max_depth", 1, 3), "nthread": 1}
        xgboost.train(params, matrix, 4, evals=[(matrix, "train")], evals_result=history, verbose_eval=False)
        histories.append(history["train"]["rmse"])
        return histories[-1][-1]

    new_study().optimize(objective, n_trials=2)
    search, trials = search_and_trials()
    for trial, history in zip(trials.values(), histories, strict=True):
        assert series(trial, "train-rmse") == list(enumerate(history))
    assert "train-rmse" not in search.data.metrics


def test_a_loop_that_no_call_is_goes_into_the_run_of_its_trial() -> None:
    seen = []

    def objective(trial: Any) -> float:
        loop = Loop("torch", "loop", {"trained": "yes"})
        loop.run.log_metric("loss", trial.number)
        seen.append(loop)
        return 1.0

    new_study().optimize(objective, n_trials=2)
    _, trials = search_and_trials()
    assert [run.data.metrics["loss"] for run in trials.values()] == [0, 1]
    assert all(loop.is_over for loop in seen)


def test_a_plain_loop_of_pytorch_goes_into_the_run_of_its_trial() -> None:
    torch = pytest.importorskip("torch")
    losses: list[list[float]] = []

    def objective(trial: Any) -> float:
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=trial.suggest_float("lr", 1e-3, 1e-1))
        losses.append([])
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(torch.ones(8, 4)), torch.zeros(8, 1))
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
        return losses[-1][-1]

    new_study().optimize(objective, n_trials=2)
    search, trials = search_and_trials()
    for number, trial in trials.items():
        assert [value for _, value in series(trial, "loss")] == losses[number]
        assert trial.data.params["optimizer_name"] == "SGD"
    assert len(recorded()) == 3
    assert "loss" not in search.data.metrics


def test_a_second_loop_in_a_trial_ends_with_the_trial() -> None:
    def objective(trial: Any) -> float:
        Loop("torch", "first", {})
        Loop("torch", "second", {})
        return 1.0

    new_study().optimize(objective, n_trials=1)
    _, trials = search_and_trials()
    (second,) = children_of(trials[0])
    assert second.info.status is RunStatus.FINISHED
    assert autolog.active_run() is None


def test_what_an_objective_logs_itself_goes_into_the_run_of_its_trial() -> None:
    def objective(trial: Any) -> float:
        autolog.log_metric("mine", trial.number)
        with autolog.start_run(run_name="inner"):
            autolog.log_metric("deeper", trial.number)
        return 1.0

    new_study().optimize(objective, n_trials=2)
    _, trials = search_and_trials()
    for number, trial in trials.items():
        assert trial.data.metrics == {"mine": number, "value": 1.0}
        (inner,) = children_of(trial)
        assert inner.data.metrics == {"deeper": number}


def test_a_study_inside_a_trial_is_recorded_below_it() -> None:
    def objective(trial: Any) -> float:
        inner = new_study(study_name=f"inner {trial.number}")
        inner.optimize(bowl, n_trials=2)
        return inner.best_value

    new_study(study_name="outer").optimize(objective, n_trials=2)
    _, trials = search_and_trials()
    for trial in trials.values():
        assert trial.data.params["sampler"] == "TPESampler"
        grandchildren = children_of(trial)
        assert [run.info.run_name for run in grandchildren] == ["trial 0", "trial 1"]
        assert trial.data.metrics["value"] == min(run.data.metrics["value"] for run in grandchildren)


def test_a_callback_that_trains_adds_nothing_to_any_trial() -> None:
    new_study().optimize(bowl, n_trials=2, callbacks=[lambda study, trial: fit(1.0)])
    _, trials = search_and_trials()
    assert all("estimator_name" not in run.data.tags for run in trials.values())


def test_trials_in_threads_keep_their_trainings_apart() -> None:
    together = threading.Barrier(2)

    def objective(trial: Any) -> float:
        together.wait(30)
        value = fit(trial.suggest_float("C", 0.1, 10))
        together.wait(30)
        return value

    study = new_study()
    study.optimize(objective, n_trials=6, n_jobs=2)
    search, trials = search_and_trials()
    assert len(recorded()) == 7
    assert search.data.params["n_jobs"] == "2"
    for trial in study.trials:
        run = trials[trial.number]
        assert run.data.params["C"] == str(trial.params["C"])
        assert run.data.params["tol"] == "0.05"
        assert run.data.metrics["value"] == trial.value
    assert sorted(series(search, "value")) == [(trial.number, trial.value) for trial in study.trials]


# -- several objectives, several calls ---------------------------------------------------------------------------------


def test_of_several_objectives_the_best_trials_are_named() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.NSGAIISampler(seed=2))
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), n_trials=8)
    search, trials = search_and_trials()
    assert search.data.params["directions"] == "['minimize', 'maximize']"
    best = sorted(trial.number for trial in study.best_trials)
    assert sorted(json.loads(search.data.tags["autolog.best_trials"])) == best
    for trial in study.trials:
        assert trials[trial.number].data.metrics == {"value_0": trial.values[0], "value_1": trial.values[1]}
    assert series(search, "value_1") == [(trial.number, trial.values[1]) for trial in study.trials]


@pytest.mark.filterwarnings("ignore:.*set_metric_names is experimental")
def test_values_have_the_names_that_the_user_gave_them() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=2))
    study.set_metric_names(["size", "accuracy"])
    study.optimize(lambda trial: (1.0, 2.0), n_trials=1)
    _, trials = search_and_trials()
    assert trials[0].data.metrics == {"size": 1.0, "accuracy": 2.0}


def test_a_study_that_is_gone_on_with_says_so_and_knows_its_best() -> None:
    study = new_study()
    study.enqueue_trial({"x": 0.0, "n": 0})
    study.optimize(bowl, n_trials=2)
    study.optimize(bowl, n_trials=2)
    first, second = top_level()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    assert [run.info.run_name for run in children_of(second)] == ["trial 2", "trial 3"]
    assert second.data.tags["autolog.best_trial"] == "0"
    assert second.data.tags["autolog.best_run_id"] == children_of(first)[0].info.run_id
    assert series(second, "best_value") == [(2, 0.0), (3, 0.0)]


def test_constraints_are_heeded_where_the_best_is_named() -> None:
    if not hasattr(optuna.Trial, "set_constraint"):
        pytest.skip("this Optuna's trials have no constraints of their own")

    def objective(trial: Any) -> float:
        trial.set_constraint("budget", 1.0 if trial.number == 0 else -1.0)
        return float(trial.number)

    study = new_study()
    study.optimize(objective, n_trials=3)
    search, _ = search_and_trials()
    assert search.data.tags["autolog.best_trial"] == str(study.best_trial.number) == "1"
    assert search.data.metrics["best_value"] == 1.0


# -- ask and tell ------------------------------------------------------------------------------------------------------


def test_a_study_that_is_asked_and_told_has_one_run_with_its_trials() -> None:
    study = new_study(study_name="asked")
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, fit(trial.suggest_float("C", 0.1, 10)))
    expected = study.best_trial
    values = [trial.value for trial in study.trials]
    assert autolog.active_run() is None
    (search,) = top_level()
    assert search.info.status is RunStatus.RUNNING
    del study, trial
    gc.collect()
    search, trials = search_and_trials()
    assert search.info.run_name == "asked"
    assert search.info.status is RunStatus.FINISHED
    assert [run.data.metrics["value"] for run in trials.values()] == values
    assert all(run.data.params["tol"] == "0.05" for run in trials.values())
    assert search.data.tags["autolog.best_trial"] == str(expected.number)
    assert search.data.params["best_C"] == str(expected.params["C"])
    assert [row["state"] for row in table(search)] == ["COMPLETE"] * 3


def test_what_is_trained_between_trials_that_were_asked_for_is_not_theirs() -> None:
    study = new_study()
    trial = study.ask()
    study.tell(trial, 1.0)
    fit(1.0)
    search, alone = top_level()
    assert "estimator_name" not in search.data.tags
    assert alone.data.tags["estimator_name"] == "SVC"
    assert "estimator_name" not in children_of(search)[0].data.tags


def test_of_several_trials_that_are_open_the_one_dealt_with_is_trained_in() -> None:
    study = new_study()
    asked = [study.ask() for _ in range(3)]
    for trial in (asked[2], asked[0], asked[1]):
        study.tell(trial, fit(trial.suggest_float("C", 0.1, 10)))
    (search,) = top_level()
    for run in children_of(search):
        number = int(run.data.tags["autolog.trial.number"])
        assert run.data.params["C"] == str(study.trials[number].params["C"])
        assert run.data.params["tol"] == "0.05"
        assert children_of(run) == []


def test_params_that_are_fixed_as_a_trial_is_asked_for_are_its_params() -> None:
    study = new_study()
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    study.tell(trial.number, 0.5)
    (search,) = top_level()
    (run,) = children_of(search)
    assert run.data.params == {"x": str(trial.params["x"])}
    assert run.data.metrics == {"value": 0.5}
    assert run.info.status is RunStatus.FINISHED


def test_a_trial_may_be_told_to_have_failed_or_been_pruned() -> None:
    study = new_study()
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)
    (search,) = top_level()
    failed, pruned = children_of(search)
    assert (failed.info.status, failed.data.tags["autolog.trial.state"]) == (RunStatus.FAILED, "FAIL")
    assert (pruned.info.status, pruned.data.tags["autolog.trial.state"]) == (RunStatus.FINISHED, "PRUNED")


def test_a_trial_that_is_told_of_twice_is_recorded_once() -> None:
    study = new_study()
    trial = study.ask()
    study.tell(trial, 1.0)
    with pytest.raises(ValueError, match="Cannot tell"):
        study.tell(trial, 2.0)
    study.tell(trial, 2.0, skip_if_finished=True)
    (search,) = top_level()
    assert series(search, "value") == [(0, 1.0)]


def test_a_trial_that_is_told_of_in_another_thread_is_trained_in_no_longer() -> None:
    study = new_study()
    trial = study.ask()
    thread = threading.Thread(target=lambda: study.tell(trial, 1.0))
    thread.start()
    thread.join()
    second = study.ask()
    fit(1.0)
    study.tell(second, 1.0)
    (search,) = top_level()
    first_run, second_run = children_of(search)
    assert "estimator_name" not in first_run.data.tags
    assert second_run.data.tags["estimator_name"] == "SVC"
    assert autolog.active_run() is None


def test_asking_inside_a_run_of_the_users_makes_it_the_searchs() -> None:
    with autolog.start_run(run_name="mine"):
        study = new_study()
        for _ in range(2):
            trial = study.ask()
            study.tell(trial, trial.suggest_float("x", 0, 1))
    search, trials = search_and_trials()
    assert search.info.run_name == "mine"
    assert search.info.status is RunStatus.FINISHED
    assert len(trials) == 2
    assert search.data.metrics["n_complete"] == 2
