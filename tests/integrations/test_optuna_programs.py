"""Studies of programs that end, are killed, or go on where another has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("optuna")

import autolog
from autolog.entities import Run, RunStatus
from autolog.recovery import recover

PREAMBLE = """
import autolog, optuna, os
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
autolog.enable(strict=True, system_metrics=False, log_environment=False)
def open_study():
    sampler = optuna.samplers.RandomSampler(seed=os.getpid())
    return optuna.create_study(study_name="shared", storage="sqlite:///study.db", load_if_exists=True, sampler=sampler)
"""


def run_program(program: str, folder: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(program)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def searches() -> list[Run]:
    return [run for run in recorded() if "mlflow.parentRunId" not in run.data.tags]


def trials_of(search: Run) -> dict[int, Run]:
    return {
        int(run.data.tags["autolog.trial.number"]): run
        for run in recorded()
        if run.data.tags.get("mlflow.parentRunId") == search.info.run_id
    }


def test_a_study_that_another_process_goes_on_with_has_a_run_of_each_and_the_best_of_both(tmp_path: Path) -> None:
    program = "open_study().optimize(lambda trial: trial.suggest_float('x', {0}, {0} + 1), n_trials=3)"
    run_program(program.format(0), tmp_path)
    run_program(program.format(5), tmp_path)
    first, second = searches()
    assert first.data.params["study_name"] == second.data.params["study_name"] == "shared"
    assert list(trials_of(first)) == [0, 1, 2]
    assert list(trials_of(second)) == [3, 4, 5]
    best = min(trials_of(first).values(), key=lambda run: run.data.metrics["value"])
    assert second.data.tags["autolog.best_trial"] == best.data.tags["autolog.trial.number"]
    assert second.data.metrics["best_value"] == best.data.metrics["value"]
    assert second.data.params["best_x"] == best.data.params["x"]


def test_a_study_that_is_asked_ends_with_its_program(tmp_path: Path) -> None:
    run_program(
        """
        study = open_study()
        first = study.ask()
        study.tell(first, first.suggest_float("x", 0, 1))
        second = study.ask()
        second.suggest_float("x", 0, 1)
        """,
        tmp_path,
    )
    (search,) = searches()
    assert search.info.status is RunStatus.FINISHED
    assert search.data.metrics["n_complete"] == 1
    assert search.data.tags["autolog.best_trial"] == "0"
    assert trials_of(search)[1].data.tags["autolog.trial.state"] == "RUNNING"
    assert all(run.info.status is RunStatus.FINISHED for run in trials_of(search).values())


def test_of_a_program_that_is_killed_the_trials_until_then_are_there(tmp_path: Path) -> None:
    run_program(
        """
        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            if trial.number == 2:
                os.kill(os.getpid(), 9)
            return x
        open_study().optimize(objective, n_trials=5)
        """,
        tmp_path,
        -signal.SIGKILL,
    )
    recover(tmp_path / "spool")
    (search,) = searches()
    trials = trials_of(search)
    assert [trials[number].info.status for number in range(3)] == [RunStatus.FINISHED] * 2 + [RunStatus.KILLED]
    assert "x" in trials[2].data.params
    assert search.info.status is RunStatus.KILLED
    assert search.data.metrics["best_value"] == min(trials[number].data.metrics["value"] for number in range(2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_processes_that_share_a_study_have_a_run_each(tmp_path: Path) -> None:
    run_program(
        """
        import multiprocessing
        def work():
            open_study().optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
        if __name__ == "__main__":
            open_study()
            context = multiprocessing.get_context("fork")
            workers = [context.Process(target=work) for _ in range(2)]
            [worker.start() for worker in workers]
            [worker.join() for worker in workers]
        """,
        tmp_path,
    )
    first, second = searches()
    numbers = sorted([*trials_of(first), *trials_of(second)])
    assert numbers == list(range(6))
    assert all(len(trials_of(search)) == 3 for search in (first, second))
