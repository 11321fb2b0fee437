"""What a search with KerasTuner leaves in the store, and that it does what it does without autolog."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("keras_tuner")

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run, RunStatus

# It prints what the tests compare with, as KerasTuner itself has it.
PROGRAM = """
import json, random, sys
if sys.argv[1] == "recorded":
    import autolog
    autolog.enable(strict=True)
import keras, keras_tuner, numpy
from sklearn.svm import SVC

random.seed(1)
numpy.random.seed(1)
rows = numpy.random.default_rng(0).normal(size=(32, 3)).astype("float32")
classes = (rows[:, 0] > 0).astype(int)


def build(hp):
    keras.utils.set_random_seed(0)
    units = hp.Choice("units", [2, 3, 4])
    if units == 3:
        raise ValueError("three is too many")
    layers = [keras.layers.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.SGD(hp.Float("rate", 0.01, 0.1)), loss="binary_crossentropy")
    return model


class Fits(keras_tuner.RandomSearch):
    def run_trial(self, trial, rows, classes):
        hp = trial.hyperparameters
        model = SVC(C=hp.Float("C", 0.1, 10.0)).fit(rows, classes)
        return {"accuracy": model.score(rows, classes), "vectors": len(model.support_)}


class Interrupted(keras_tuner.RandomSearch):
    def run_trial(self, trial):
        x = trial.hyperparameters.Float("x", 0.0, 1.0)
        if trial.trial_id == "1":
            raise KeyboardInterrupt
        return x


class Retried(keras_tuner.RandomSearch):
    attempts = 0

    def run_trial(self, trial):
        trial.hyperparameters.Float("x", 0.0, 1.0)
        Retried.attempts += 1
        if Retried.attempts == 1:
            raise RuntimeError("try again")
        return 1.0


def tell(name, tuner):
    trials = [
        [one.trial_id, one.hyperparameters.values, one.status, one.score, one.best_step, one.message]
        for _, one in sorted(tuner.oracle.trials.items())
    ]
    best = [one.values for one in tuner.get_best_hyperparameters()]
    print("TOLD", json.dumps([name, trials, best, tuner.oracle.seed]))


def run(name, tuner, *args, **kwargs):
    try:
        tuner.search(*args, **kwargs)
    except KeyboardInterrupt:
        print("interrupted")
    tell(name, tuner)
    tuner.results_summary()


models = keras_tuner.RandomSearch(
    build, objective="val_loss", max_trials=3, executions_per_trial=2, seed=1, directory="kept", project_name="models"
)
run("models", models, rows, classes, epochs=2, validation_data=(rows, classes), verbose=1)
objective = keras_tuner.Objective("accuracy", "max")
run("fits", Fits(objective=objective, max_trials=3, seed=3, directory="kept", project_name="fits"), rows, classes)
run("interrupted", Interrupted(max_trials=4, seed=2, directory="kept", project_name="interrupted"))
run("retried", Retried(max_trials=1, max_retries_per_trial=2, seed=2, directory="kept", project_name="retried"))
print("STATE", random.getstate()[1][:5], numpy.random.get_state()[1][:5].tolist())
"""


class Side(NamedTuple):
    """One run of the program."""

    output: str
    told: dict[str, Any]
    files: dict[str, Any]
    runs: list[Run]


def run_program(folder: Path, how: str) -> Side:
    folder.mkdir()
    url = f"file:{folder / 'runs'}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        cwd=folder,
        env=os.environ
        | {"AUTOLOG_BACKEND": url, "AUTOLOG_SPOOL": str(folder / "spool"), "AUTOLOG_SYSTEM_METRICS": "0"}
        | {"AUTOLOG_LOG_ENVIRONMENT": "0", "PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = {}
    for line in done.stdout.splitlines():
        if line.startswith("TOLD"):
            name, *rest = json.loads(line.removeprefix("TOLD"))
            told[name] = rest
    files = {
        str(file.relative_to(folder)): json.loads(file.read_text())
        for file in sorted((folder / "kept").rglob("*.json"))
    }
    runs: list[Run] = []
    if how == "recorded":
        reader = open_reader(url)
        runs = list(reader.search_runs(RunQuery(max_results=1000)).items)
        reader.close()
    # What takes time takes another time every time.
    output = re.sub(r"\d+m?s(/step)?\b|\d\dh \d\dm \d\ds", "…", re.sub(r"\x08|\r", "", done.stdout))
    return Side(output, told, files, sorted(runs, key=lambda run: run.info.start_time or 0))


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    folder = tmp_path_factory.mktemp("keras_tuner")
    return {how: run_program(folder / how, how) for how in ("recorded", "plain")}


@pytest.fixture
def recorded(sides: dict[str, Side]) -> Side:
    return sides["recorded"]


def search_and_trials(side: Side, name: str) -> tuple[Run, list[Run]]:
    (search,) = [run for run in side.runs if run.data.params.get("project_name") == name]
    trials = [run for run in side.runs if run.data.tags.get("mlflow.parentRunId") == search.info.run_id]
    return search, sorted(trials, key=lambda run: run.data.tags["autolog.trial.number"])


def artifact(run: Run, path: str) -> str:
    return Path(run.info.artifact_uri.removeprefix("file://"), path).read_text()


def test_a_search_is_a_run_with_its_settings(recorded: Side) -> None:
    search, trials = search_and_trials(recorded, "models")
    expected = {
        "tuner": "RandomSearch",
        "oracle": "RandomSearchOracle",
        "hypermodel": "build",
        "objective": "val_loss",
        "direction": "min",
        "max_trials": "3",
        "executions_per_trial": "2",
        "seed": "1",
        "fit.epochs": "2",
    }
    assert {name: search.data.params.get(name) for name in expected} == expected
    assert search.info.run_name == "RandomSearch(build)"
    assert search.info.status is RunStatus.FINISHED
    assert search.data.tags["mlflow.autologging"] == "keras_tuner"
    assert len(trials) == 3


@pytest.mark.parametrize("name", ["models", "fits"])
def test_every_trial_is_a_child_with_its_hyperparameters_and_its_score(recorded: Side, name: str) -> None:
    _, trials = search_and_trials(recorded, name)
    told = recorded.told[name][0]
    assert len(trials) == len(told) == 3
    for run, (number, values, status, score, best_step, _) in zip(trials, told, strict=True):
        assert run.info.run_name == f"trial {number}"
        assert {key: run.data.params[key] for key in values} == {key: str(value) for key, value in values.items()}
        assert run.data.metrics.get("score") == score
        assert run.data.tags["autolog.trial.state"] == status
        if score is not None:
            assert run.data.metrics["best_step"] == (best_step or 0)


def test_the_search_names_the_best_trial_and_its_run(recorded: Side) -> None:
    for name, choose in (("models", min), ("fits", max)):
        search, trials = search_and_trials(recorded, name)
        best = choose((run for run in trials if "score" in run.data.metrics), key=lambda run: run.data.metrics["score"])
        values = recorded.told[name][1][0]
        assert search.data.metrics["best_score"] == best.data.metrics["score"]
        assert {key: search.data.params[f"best_{key}"] for key in values} == {
            key: str(value) for key, value in values.items()
        }
        # Of equal scores it is the first.
        assert search.data.tags["autolog.best_run_id"] == best.info.run_id
        assert search.data.tags["autolog.best_trial"] == best.data.tags["autolog.trial.number"]


def test_a_trial_that_raises_has_failed_with_its_exception_and_the_search_goes_on(recorded: Side) -> None:
    search, trials = search_and_trials(recorded, "models")
    failed = [number for number, _, status, *_ in recorded.told["models"][0] if status == "FAILED"]
    assert failed
    for number in failed:
        run = trials[int(number)]
        assert run.info.status is RunStatus.FAILED
        assert run.data.tags["autolog.exception"] == "ValueError: three is too many"
        assert "in build" in artifact(run, "exception.txt")
    assert search.data.metrics["n_failed"] == len(failed)
    assert search.data.metrics["n_trials"] == 3


def test_a_fit_inside_a_trial_goes_into_its_run(recorded: Side) -> None:
    search, trials = search_and_trials(recorded, "fits")
    for run in trials:
        assert run.data.tags["estimator_name"] == "SVC"
        assert run.data.params["kernel"] == "rbf"
        assert run.data.metrics["trial.accuracy"] == run.data.metrics["score"]
        assert run.data.metrics["trial.vectors"] > 0
    assert "estimator_name" not in search.data.tags


def test_a_fit_of_keras_goes_into_its_trial_and_that_of_a_further_execution_into_a_child_of_it(recorded: Side) -> None:
    search, trials = search_and_trials(recorded, "models")
    completed = [run for run in trials if run.info.status is RunStatus.FINISHED]
    assert completed
    for run in completed:
        (second,) = [one for one in recorded.runs if one.data.tags.get("mlflow.parentRunId") == run.info.run_id]
        for execution in (run, second):
            assert execution.data.params["epochs"] == "2"
            assert execution.data.summaries["val_loss"].count == 2
        # The score is the mean, over the executions, of the best epoch's loss.
        best = [execution.data.summaries["val_loss"].min for execution in (run, second)]
        assert run.data.metrics["score"] == pytest.approx(sum(best) / 2, rel=1e-6)
    assert "val_loss" not in search.data.metrics


def test_an_interrupted_search_has_failed_and_leaves_no_trial_open(recorded: Side) -> None:
    search, trials = search_and_trials(recorded, "interrupted")
    assert search.info.status is RunStatus.FAILED
    assert [run.info.status for run in trials] == [RunStatus.FINISHED, RunStatus.FAILED]
    assert "KeyboardInterrupt" in trials[1].data.tags["autolog.exception"]
    assert search.data.metrics["best_score"] == trials[0].data.metrics["score"]


def test_a_trial_that_is_tried_again_has_a_run_for_every_attempt(recorded: Side) -> None:
    _, trials = search_and_trials(recorded, "retried")
    assert sorted(run.data.tags["autolog.trial.state"] for run in trials) == ["COMPLETED", "INVALID"]
    status = {run.data.tags["autolog.trial.state"]: run.info.status for run in trials}
    assert status == {"COMPLETED": RunStatus.FINISHED, "INVALID": RunStatus.FAILED}


def test_the_table_and_the_space_are_stored(recorded: Side) -> None:
    search, trials = search_and_trials(recorded, "fits")
    rows = list(csv.DictReader(io.StringIO(artifact(search, "trials.csv"))))
    assert [row["run_id"] for row in rows] == [run.info.run_id for run in trials]
    assert [row["params_C"] for row in rows] == [run.data.params["C"] for run in trials]
    space = json.loads(artifact(search, "search_space.json"))
    assert space["C"]["class"] == "Float"
    assert (space["C"]["min_value"], space["C"]["max_value"]) == (0.1, 10.0)


def test_a_search_does_the_same_with_autolog(sides: dict[str, Side]) -> None:
    recorded, plain = sides["recorded"], sides["plain"]
    assert recorded.told == plain.told
    assert recorded.output == plain.output
    assert recorded.files.keys() == plain.files.keys()
    for path, content in plain.files.items():
        if not path.endswith("oracle.json"):
            assert recorded.files[path] == content
