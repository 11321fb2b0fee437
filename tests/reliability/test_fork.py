"""A child that is forked at any moment neither hangs nor loses or doubles anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import run_script, stored_runs

from autolog.backends import open_reader
from autolog.entities import RunStatus
from autolog.recovery import recover

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# The children are forked while the parent's threads still import the backend, and import it themselves.
PROGRAM = """
import os, sys, time, warnings
warnings.simplefilter("ignore")
import autolog
with autolog.start_run(run_name="parent") as run:
    autolog.log_metric("parent", 1)
    children = []
    for number in range(8):
        time.sleep(number * 0.01)
        child = os.fork()
        if child == 0:
            autolog.log_metric(f"child{number}", number)
            autolog.log_param(f"child{number}", number)
            if number % 2:
                os._exit(0)
            sys.exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    autolog.log_metric("parent", 2)
"""


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_forked_children_add_to_the_parents_run_and_the_parent_ends_it(scheme: str, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'runs'}" if scheme == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    environment = os.environ | {"AUTOLOG_BACKEND": url}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, timeout=120, check=False)
    assert done.returncode == 0
    outcomes = recover(tmp_path / "spool")
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert [run for outcome in outcomes for run in outcome.runs_killed] == []
    reader = open_reader(url)
    from autolog.backend import RunQuery

    (run,) = reader.search_runs(RunQuery()).items
    reader.close()
    assert run.info.status is RunStatus.FINISHED
    assert run.data.metrics == {"parent": 2.0} | {f"child{number}": float(number) for number in range(8)}
    assert run.data.params == {f"child{number}": str(number) for number in range(8)}
    assert {summary.count for key, summary in run.data.summaries.items() if key != "parent"} == {1}


PROCESSES = """
import multiprocessing
import autolog

def succeed():
    autolog.start_run(run_name="succeeds")
    autolog.log_metric("loss", 1.0)

def fail():
    autolog.start_run(run_name="fails")
    raise ValueError("on purpose")

autolog.start_run(run_name="parent")
autolog.end_run()
forked = multiprocessing.get_context("fork")
for target in (succeed, fail):
    process = forked.Process(target=target)
    process.start()
    process.join()
"""


def test_a_run_that_a_process_of_multiprocessing_leaves_open_ends_as_the_process_did(tmp_path: Path) -> None:
    done = run_script(PROCESSES, tmp_path)
    assert done.returncode == 0, done.stderr
    statuses = {run.info.run_name: run.info.status for run in stored_runs(tmp_path / "runs")}
    assert statuses == {
        "parent": RunStatus.FINISHED,
        "succeeds": RunStatus.FINISHED,
        "fails": RunStatus.FAILED,
    }
