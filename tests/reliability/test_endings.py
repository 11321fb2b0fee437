"""How a process ends, or where it runs, costs it no record and none of its own behaviour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run
from autolog.recovery import recover

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def run_script(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=folder,
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )


def stored(folder: Path) -> list[Run]:
    reader = open_reader(f"file:{folder / 'runs'}")
    try:
        return list(reader.search_runs(RunQuery()).items)
    finally:
        reader.close()


@needs_fork
def test_a_child_forked_right_after_enabling_can_import_what_our_threads_import(tmp_path: Path) -> None:
    script = """
import os, time, warnings
warnings.simplefilter("ignore")
import autolog
for delay in (0, 0.0005, 0.001, 0.002, 0.004, 0.008):
    autolog.disable()
    autolog.enable()
    time.sleep(delay)
    child = os.fork()
    if child == 0:
        from importlib.metadata import entry_points
        import email.message, numpy
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    for _ in range(5):
        done = run_script(script, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


@needs_fork
def test_what_processes_of_multiprocessing_log_is_there_when_they_have_ended(tmp_path: Path) -> None:
    script = """
import multiprocessing, warnings
warnings.simplefilter("ignore")
import autolog
def work(number):
    autolog.log_metric(f"worker{number}", number)
context = multiprocessing.get_context("fork")
with autolog.start_run():
    processes = [context.Process(target=work, args=(number,)) for number in range(4)]
    [process.start() for process in processes]
    [process.join() for process in processes]
"""
    done = run_script(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = stored(tmp_path)
    assert run.data.metrics == {f"worker{number}": float(number) for number in range(4)}


def test_a_thread_that_logs_to_the_end_makes_no_false_alarm(tmp_path: Path) -> None:
    script = """
import threading, time
import autolog
run = autolog.start_run()
def log():
    step = 0
    while True:
        run.log_metric("m", step, step=step)
        step += 1
threading.Thread(target=log, daemon=True).start()
time.sleep(0.3)
"""
    for _ in range(3):
        done = run_script(script, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert [outcome.error for outcome in recover(tmp_path / "spool") if outcome.error] == []
    for run in stored(tmp_path):
        steps = read_steps(tmp_path, run.info.run_id)
        assert steps == list(range(len(steps)))
        assert len(steps) > 0


def read_steps(folder: Path, run_id: str) -> list[int]:
    reader = open_reader(f"file:{folder / 'runs'}")
    try:
        return sorted(reader.metric_history(run_id, "m").steps.tolist())
    finally:
        reader.close()


def test_a_relative_spool_stays_where_it_was_when_the_program_goes_elsewhere(tmp_path: Path) -> None:
    script = """
import os
import autolog
with autolog.start_run():
    os.chdir("/")
    for step in range(20_000):
        autolog.log_metric("m", step, step=step)
"""
    done = run_script(script, tmp_path, AUTOLOG_SPOOL="relative")
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = stored(tmp_path)
    assert run.data.summaries["m"].count == 20_000


def test_a_folder_that_is_gone_is_an_error_that_says_so(tmp_path: Path) -> None:
    script = """
import os
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
import autolog
try:
    autolog.enable("file:./runs")
except autolog.AutologError as error:
    print(error)
"""
    assert "working folder that is gone" in run_script(script, tmp_path).stdout


def test_an_artifact_that_can_never_be_stored_holds_nothing_up(tmp_path: Path) -> None:
    script = """
import autolog
with autolog.start_run():
    autolog.log_text("one", "a")
    autolog.log_text("two", "a/b")
    autolog.log_text("three", "x" * 300)
    autolog.log_metric("after", 1)
assert autolog.flush(30)
"""
    done = run_script(script, tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("cannot be stored") == 2
    (run,) = stored(tmp_path)
    assert run.data.metrics == {"after": 1.0}
    assert len(list((tmp_path / "spool" / "damaged").iterdir())) == 2


@pytest.mark.parametrize("moment", ["inf", "nan", "1e300"])
def test_a_timestamp_that_no_calendar_has_is_refused(moment: str, tmp_path: Path) -> None:
    script = f"""
import autolog
with autolog.start_run():
    try:
        autolog.log_metric("m", 1, timestamp=float("{moment}"))
    except autolog.AutologError as error:
        print(error)
"""
    done = run_script(script, tmp_path)
    assert "milliseconds since the epoch" in done.stdout
    assert done.stderr == ""
