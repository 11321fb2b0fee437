"""Workers of every kind add to a run or train for themselves: nothing hangs, is doubled, or is a run too many."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from scripts import run_script, stored_points, stored_runs

from autolog.entities import RunStatus
from autolog.recovery import recover, scan

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def recover_all(folder: Path) -> None:
    """Send what processes left that ended without a word; none of them may have left a run open."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for outcome in recover(folder / "spool"):
            assert (outcome.error, outcome.damage, outcome.runs_killed) == ("", [], [])
        if not scan(folder / "spool"):
            return
        # A writer in a process of its own is still at a journal.
        time.sleep(0.05)
    raise AssertionError("there are journals left")


# As PyTorch's DataLoader has them: forked processes that live as long as the training does, take numbers from
# a queue each, put samples into another, and end with it, some of them killed.
LOADER = """
import multiprocessing, os, signal
import autolog

def load(number, orders, samples):
    for order in iter(orders.get, None):
        autolog.log_metric(f"worker{number}", order, step=order)
        samples.put(order * 2)
    if number % 4 == 1:
        os._exit(0)
    if number % 4 == 2:
        os.kill(os.getpid(), signal.SIGKILL)

context = multiprocessing.get_context("fork")
with autolog.start_run() as run:
    orders = [context.SimpleQueue() for _ in range(8)]
    samples = context.SimpleQueue()
    workers = [
        context.Process(target=load, args=(number, queue, samples), daemon=True) for number, queue in enumerate(orders)
    ]
    [worker.start() for worker in workers]
    for step in range(800):
        orders[step % 8].put(step)
        samples.get()
        autolog.log_metric("loss", step, step=step)
    [queue.put(None) for queue in orders]
    [worker.join() for worker in workers]
"""


@needs_fork
@pytest.mark.parametrize("writer", ["thread", "process"])
def test_eight_forked_loaders_add_to_the_run_of_the_training(writer: str, tmp_path: Path) -> None:
    done = run_script(LOADER, tmp_path, AUTOLOG_WRITER=writer)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    recover_all(tmp_path)
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is RunStatus.FINISHED
    assert stored_points(tmp_path / "runs", run.info.run_id, "loss") == [(step, step) for step in range(800)]
    for number in range(8):
        points = stored_points(tmp_path / "runs", run.info.run_id, f"worker{number}")
        assert points == [(step, step) for step in range(number, 800, 8)]


SEARCH = """
import numpy as np
import autolog
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
if __name__ == "__main__":
    autolog.enable()
    rows = np.random.default_rng(0).normal(size=(120, 3))
    labels = (rows[:, 0] > 0).astype(int)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=3, n_jobs=4).fit(rows, labels)
    print(search.best_params_)
"""


def test_a_search_in_processes_of_loky_is_one_run_and_its_candidates(tmp_path: Path) -> None:
    done = run_script(SEARCH, tmp_path)
    alone = run_script(SEARCH.replace("autolog.enable()", "pass"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, alone.stdout, alone.stderr)
    recover_all(tmp_path)
    runs = stored_runs(tmp_path / "runs")
    assert {run.info.status for run in runs} == {RunStatus.FINISHED}
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 1


LOKY = """
import os
import autolog
from joblib import Parallel, delayed

def work(number, run_id):
    client = autolog.Client()
    for step in range(100):
        client.log_metric(run_id, f"worker{number}", step, step=step)
    if number == 7:
        assert autolog.flush(60)
    return os.getpid()

if __name__ == "__main__":
    with autolog.start_run() as run:
        assert autolog.flush(60)
        processes = Parallel(n_jobs=4)(delayed(work)(number, run.info.run_id) for number in range(8))
    assert os.getpid() not in processes
"""


def test_tasks_in_processes_of_loky_log_into_a_run_by_its_id(tmp_path: Path) -> None:
    done = run_script(LOKY, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    recover_all(tmp_path)
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is RunStatus.FINISHED
    for number in range(8):
        points = stored_points(tmp_path / "runs", run.info.run_id, f"worker{number}")
        assert points == [(step, step) for step in range(100)]


SPAWN = """
import multiprocessing, os, sys
import autolog

def work(number):
    with autolog.start_run() as run:
        autolog.log_metric(f"worker{number}", number)
    if number % 2:
        assert autolog.flush(60)
        os._exit(0)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    processes = [context.Process(target=work, args=(number,)) for number in range(4)]
    [process.start() for process in processes]
    [process.join() for process in processes]
    assert [process.exitcode for process in processes] == [0] * 4
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_are_spawned_have_runs_of_their_own(method: str, tmp_path: Path) -> None:
    done = run_script(SPAWN, tmp_path, method)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    recover_all(tmp_path)
    runs = stored_runs(tmp_path / "runs")
    assert {run.info.status for run in runs} == {RunStatus.FINISHED}
    assert sorted(key for run in runs for key in run.data.metrics) == [f"worker{number}" for number in range(4)]


LAUNCHER = """
import os, subprocess, sys
import autolog
run = autolog.start_run()
work = "import autolog\\nfor step in range(10): autolog.log_metric(f'worker{os.getpid()}', step, step=step)"
environment = os.environ | {"AUTOLOG_RUN_ID": run.info.run_id}
workers = [subprocess.Popen([sys.executable, "-c", "import os;" + work], env=environment) for _ in range(3)]
assert [worker.wait() for worker in workers] == [0, 0, 0]
"""


def test_workers_that_start_before_their_launchers_run_is_stored_wait_for_it(tmp_path: Path) -> None:
    done = run_script(LAUNCHER, tmp_path, AUTOLOG_FLUSH_INTERVAL="2")
    assert (done.returncode, done.stderr) == (0, "")
    recover_all(tmp_path)
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is RunStatus.FINISHED
    assert [summary.count for summary in run.data.summaries.values()] == [10, 10, 10]
