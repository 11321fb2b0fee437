"""Ctrl-C, SIGTERM and the interpreter's end, at any moment: no hang, no stray run, and a status that is true."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest
from scripts import TORTURE, run_script, start_script, stored_points, stored_runs, wait_for

from autolog.entities import RunStatus
from autolog.recovery import recover, scan

ATTEMPTS = 5 if TORTURE else 1

# A person who interrupts one fit after another, and goes on. It says how each fit ended.
INTERRUPTED_FITS = """
import signal, sys, time
import numpy as np
import autolog
from sklearn.linear_model import LogisticRegression

chance = __import__("random").Random(int(sys.argv[1]))
rows = np.arange(200.0).reshape(100, 2)
labels = (rows[:, 0] > 90).astype(int)
autolog.enable()
LogisticRegression().fit(rows, labels)
times = []
for _ in range(5):
    begun = time.monotonic()
    LogisticRegression().fit(rows, labels)
    times.append(time.monotonic() - begun)
# Of one that waited for a core, a strike at random would come after most fits have ended.
usual = min(times)
print(6 * "FINISHED ")
for number in range(FITS):
    model = LogisticRegression(C=1.0 + number)
    moment = chance.uniform(1e-6, usual * 1.2)
    try:
        signal.setitimer(signal.ITIMER_REAL, moment)
        model.fit(rows, labels)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print("FINISHED")
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        print("interrupted")
autolog.enable()
model = LogisticRegression().fit(rows, labels)
assert autolog.active_run() is None
"""
PREPARATION = """
import signal
signal.signal(signal.SIGALRM, signal.default_int_handler)
"""


@pytest.mark.parametrize("seed", range(ATTEMPTS))
def test_fits_that_ctrl_c_strikes_at_random_end_failed_or_finished_and_leave_nothing_open(
    seed: int, tmp_path: Path
) -> None:
    fits = 100 if TORTURE else 50
    done = run_script(PREPARATION + INTERRUPTED_FITS.replace("FITS", str(fits)), tmp_path, str(seed))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    interrupted = done.stdout.count("interrupted")
    assert interrupted > 0
    assert scan(tmp_path / "spool") == []
    runs = stored_runs(tmp_path / "runs")
    statuses = [run.info.status for run in runs]
    assert set(statuses) <= {RunStatus.FINISHED, RunStatus.FAILED}
    # Struck before the run began, there is none; struck after it had ended, it has finished.
    assert statuses.count(RunStatus.FAILED) <= interrupted
    assert statuses.count(RunStatus.FINISHED) >= done.stdout.count("FINISHED") + 1
    assert len(runs) <= fits + 7
    assert all("mlflow.parentRunId" not in run.data.tags for run in runs)
    for run in runs:
        if run.info.status is RunStatus.FAILED:
            assert run.data.tags["autolog.exception"].startswith("KeyboardInterrupt")


# Every other step of appending is struck by an exception out of a signal handler, rotation included.
INTERRUPTED_APPENDS = """
import json, signal, sys
from pathlib import Path
from autolog.events import TagsSet
from autolog.journal import Journal
from autolog.journal_reader import JournalReader
from autolog.segments import POINT_MARK, pack_point

journal = Journal(Path("spool").absolute(), "file:/nowhere")
series = journal.define_series("r", "loss")
reader = JournalReader(journal.folder)
struck = attempts = 0
numbers, steps = [], []
# A number of strikes and not a time: a busy machine gives fewer of them in the same time.
while struck < int(sys.argv[1]):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        while True:
            attempts += 1
            journal.append(TagsSet(run_id="r", tags={"number": "x" * 5000}))
            for _ in range(20):
                journal.append_point(pack_point(series, POINT_MARK, attempts, 1.5, 0.5) * 2)
    except KeyboardInterrupt:
        struck += 1
    while (batch := reader.read()) is not None:
        numbers += [number for number, _ in batch.facts]
        steps += [step for points in batch.points for step in points.steps.tolist()]
        reader.release(batch.end)
journal.append_point(pack_point(series, POINT_MARK, -1, 1.5, 0.5) * 2)
last = reader.read().points[-1].steps.tolist()
print(json.dumps([attempts, struck, journal.dropped, reader.damage, reader.position, journal.position(), last]))
print(json.dumps([numbers, steps]))
"""


def test_a_journal_that_ctrl_c_strikes_at_random_counts_its_records_right_and_goes_on(tmp_path: Path) -> None:
    done = run_script(PREPARATION + INTERRUPTED_APPENDS, tmp_path, "10000" if TORTURE else "1000")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = map(json.loads, done.stdout.splitlines())
    attempts, struck, dropped, damage, read, appended, last = first
    numbers, steps = second
    assert struck == (10_000 if TORTURE else 1_000)
    assert (dropped, damage, last) == (0, [], [-1])
    assert read == appended
    assert numbers == list(range(len(numbers)))
    assert attempts - struck <= len(numbers) <= attempts
    assert 20 * (attempts - struck) <= len(steps) <= 20 * attempts


TERMINATED = """
import os, signal, sys, time
import autolog
HANDLER
with autolog.start_run():
    for step in range(1000):
        autolog.log_metric("loss", step, step=step)
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("handler", "code", "status"),
    [
        ("", -signal.SIGTERM, RunStatus.KILLED),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))", 143, RunStatus.FAILED),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))", 0, RunStatus.FINISHED),
        ("signal.signal(signal.SIGTERM, signal.SIG_DFL)", -signal.SIGTERM, RunStatus.KILLED),
    ],
    ids=["no handler", "a handler that exits with an error", "a handler that exits well", "the default"],
)
def test_sigterm_ends_the_program_as_without_autolog_and_its_run_truthfully(
    handler: str, code: int, status: RunStatus, tmp_path: Path
) -> None:
    process = start_script(TERMINATED.replace("HANDLER", handler), tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")
    recover(tmp_path / "spool")
    assert scan(tmp_path / "spool") == []
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is status
    assert run.data.summaries["loss"].count == 1000


# The store's folder cannot be written to for as long as a file says so: the last flush is under way at the end.
SLOW_STORE = """
import time
import autolog
from autolog.backends.file import writer
write = writer.FileBackend.write
def write_slowly(self, batch):
    time.sleep(SECONDS)
    write(self, batch)
writer.FileBackend.write = write_slowly
run = autolog.start_run()
for step in range(1000):
    autolog.log_metric("loss", step, step=step)
"""


@pytest.mark.parametrize("seconds", [0.5, 200])
def test_an_interpreter_that_ends_during_a_flush_waits_for_its_deadline_and_no_longer(
    seconds: float, tmp_path: Path
) -> None:
    begun = time.monotonic()
    done = run_script(SLOW_STORE.replace("SECONDS", str(seconds)), tmp_path, AUTOLOG_EXIT_TIMEOUT="3")
    # Far from the deadline, and from what the store would take.
    assert time.monotonic() - begun < 100
    assert done.returncode == 0
    if seconds < 3:
        assert done.stderr == ""
    else:
        assert "safe in the journal" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    recover(tmp_path / "spool")
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is RunStatus.FINISHED
    assert stored_points(tmp_path / "runs", run.info.run_id, "loss") == [(step, step) for step in range(1000)]


@pytest.mark.parametrize("seed", range(ATTEMPTS))
def test_a_program_that_ctrl_c_ends_at_any_moment_dies_of_it_and_says_so(seed: int, tmp_path: Path) -> None:
    script = """
import numpy as np
import autolog
from sklearn.linear_model import LogisticRegression
autolog.enable()
rows = np.arange(200.0).reshape(100, 2)
labels = (rows[:, 0] > 90).astype(int)
print("ready", flush=True)
while True:
    LogisticRegression().fit(rows, labels)
"""
    chance = random.Random(seed)
    process = start_script(script, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    wait_for((tmp_path / "runs").exists)
    time.sleep(chance.uniform(0, 0.5))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert errors.count("KeyboardInterrupt") == 1
    assert "autolog failed" not in errors
    recover(tmp_path / "spool")
    assert scan(tmp_path / "spool") == []
    statuses = [run.info.status for run in stored_runs(tmp_path / "runs")]
    assert set(statuses) <= {RunStatus.FINISHED, RunStatus.FAILED}
    assert statuses.count(RunStatus.FAILED) <= 1


# Timers strike at any moment, and log as much as the loop that they strike does.
HANDLER = """
import signal
import autolog
run = autolog.start_run()
struck = [0]
def handle(*_):
    number = struck[0]
    struck[0] += 1
    run.log_metric("handled", number, step=number)
    run.log_param(f"handled{number}", "x" * 200)
    run.log_metric(f"new{number % 50}", number, step=number)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
step = 0
while struck[0] < 3_000:
    run.log_metric("loss", step, step=step)
    run.log_param(f"param{step % 1000}", "y" * 500)
    step += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert autolog.flush(60)
print(run.run_id, step, struck[0])
"""


def test_a_signal_handler_that_logs_loses_and_doubles_nothing(tmp_path: Path) -> None:
    done = run_script(HANDLER, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    run_id, steps, struck = done.stdout.split()
    assert int(struck) >= 3_000
    assert [step for step, _ in stored_points(tmp_path / "runs", run_id, "loss")] == list(range(int(steps)))
    assert [step for step, _ in stored_points(tmp_path / "runs", run_id, "handled")] == list(range(int(struck)))
    (run,) = stored_runs(tmp_path / "runs")
    assert {f"handled{number}" for number in range(int(struck))} <= run.data.params.keys()
