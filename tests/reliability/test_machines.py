"""Processes and machines that share one file store, and no locks, lose nothing and mix nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import TORTURE, start_script, stored_points, stored_runs

from autolog.entities import RunStatus
from autolog.recovery import recover, scan

WRITERS = 6 if TORTURE else 3
POINTS = 100_000 if TORTURE else 10_000

# A machine has a name, a spool and locks of its own; what it has with the others is the store's folder.
PROGRAM = """
import fcntl, os, platform, sys
number, run_id = sys.argv[1], sys.argv[2]
platform.node = lambda: f"machine{number}"
# No lock of another machine is ever seen.
fcntl.lockf = lambda *_: None
import autolog
key = f"metric{number}, " + '"' * int(number)
for attempt in range(3):
    with autolog.start_run(run_id=run_id or None, run_name="same name") as run:
        for step in range(POINTS):
            run.log_metric(key, step * 0.5, step=attempt * POINTS + step)
            if step % 1000 == 0:
                run.log_param(f"param{number}.{attempt}.{step}", step)
                run.set_tag("last", number)
        autolog.log_text(number, f"{number}.txt")
""".replace("POINTS", str(POINTS))


def run_machines(folder: Path, run_id: str = "") -> None:
    machines = []
    for number in range(WRITERS):
        home = folder / f"machine{number}"
        home.mkdir()
        machines.append(
            start_script(
                PROGRAM,
                home,
                str(number),
                run_id,
                AUTOLOG_BACKEND=f"file:{folder / 'runs'}",
                AUTOLOG_SPOOL=str(home / "spool"),
            )
        )
    for machine in machines:
        _, errors = machine.communicate(timeout=300)
        assert (machine.returncode, errors) == (0, "")
    for number in range(WRITERS):
        assert scan(folder / f"machine{number}" / "spool") == []


def check_lines(folder: Path) -> int:
    """Check that every line of every metrics file is a whole one; return how many there are."""
    count = 0
    for path in (folder / "runs").rglob("metrics*.csv"):
        header, *lines = path.read_text().splitlines()
        assert header == "time,step,key,value"
        for line in lines:
            time, step, rest = line.split(",", 2)
            key, _, value = rest.rpartition(",")
            assert time.isdigit()
            assert key.startswith('"metric')
            assert float(value) == int(step) % POINTS * 0.5
        count += len(lines)
    return count


def test_machines_that_write_runs_of_their_own_into_one_store_at_once(tmp_path: Path) -> None:
    run_machines(tmp_path)
    assert check_lines(tmp_path) == WRITERS * 3 * POINTS
    runs = stored_runs(tmp_path / "runs")
    assert len(runs) == WRITERS * 3
    assert {run.info.status for run in runs} == {RunStatus.FINISHED}
    assert {run.info.run_name for run in runs} == {"same name"}
    assert len({run.info.experiment_id for run in runs}) == 1
    for run in runs:
        ((key, summary),) = run.data.summaries.items()
        assert summary.count == POINTS
        assert len(run.data.params) == POINTS // 1000
        values = [value for _, value in stored_points(tmp_path / "runs", run.info.run_id, key)]
        assert values == [step * 0.5 for step in range(POINTS)]


def test_machines_that_write_into_one_run_at_once(tmp_path: Path) -> None:
    script = "import autolog, sys; run = autolog.start_run(); sys.stdout.write(run.info.run_id)"
    environment = os.environ | {"AUTOLOG_BACKEND": f"file:{tmp_path / 'runs'}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    run_machines(tmp_path, done.stdout)
    assert check_lines(tmp_path) == WRITERS * 3 * POINTS
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is RunStatus.FINISHED
    assert len(run.data.params) == WRITERS * 3 * (POINTS // 1000)
    assert len(run.data.summaries) == WRITERS
    for key in run.data.summaries:
        points = stored_points(tmp_path / "runs", run.info.run_id, key)
        assert points == [(step, step % POINTS * 0.5) for step in range(3 * POINTS)]


def test_a_machine_leaves_alone_what_another_records_in_a_spool_that_they_share(tmp_path: Path) -> None:
    """Locks on a network file system may not be seen from elsewhere: a journal that looks dead may be filled."""
    script = """
import sys
import autolog
with autolog.start_run() as run:
    autolog.log_metric("loss", 0.5)
    print("ready", flush=True)
    sys.stdin.readline()
"""
    (tmp_path / "a").mkdir()
    train = tmp_path / "a" / "train.py"
    train.write_text("import fcntl, platform\nplatform.node = lambda: 'a'\nfcntl.lockf = lambda *_: None\n" + script)
    alive = subprocess.Popen([sys.executable, str(train)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert alive.stdout is not None
    assert alive.stdout.readline() == "ready\n"
    (outcome,) = recover(tmp_path / "spool")
    assert "of the machine 'a'" in outcome.error
    assert len(scan(tmp_path / "spool")) == 1
    alive.communicate("end\n", timeout=60)
    (run,) = stored_runs(tmp_path / "runs")
    assert run.info.status is RunStatus.FINISHED


CLOCK = """
import sys, time
real, real_ns = time.time, time.time_ns
shift = 0
time.time = lambda: real() + shift
time.time_ns = lambda: real_ns() + int(shift * 1e9)
import autolog
"""
SET_BACK = (
    CLOCK
    + """
with autolog.start_run(run_name="set back") as run:
    for step in range(100):
        autolog.log_metric("loss", step, step=step)
    autolog.log_param("when", "before")
    shift = -86_400 * 365
    autolog.log_param("when", "after")
    for step in range(100, 200):
        autolog.log_metric("loss", step, step=step)
print(run.info.run_id)
"""
)
RESUMED = (
    CLOCK
    + """
shift = float(sys.argv[2])
try:
    with autolog.start_run(run_id=sys.argv[1]):
        autolog.log_param("when", sys.argv[3])
        autolog.set_tag("when", sys.argv[3])
        if sys.argv[3] == "third":
            raise ValueError(sys.argv[3])
except ValueError:
    pass
"""
)


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_clock_that_is_set_back_while_a_training_runs_changes_only_the_times(scheme: str, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'runs'}" if scheme == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    process = start_script(SET_BACK, tmp_path, AUTOLOG_BACKEND=url)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    run_id = output.strip()
    (run,) = stored_runs(url)
    assert run.info.status is RunStatus.FINISHED
    assert run.data.params == {"when": "after"}
    assert run.data.metrics == {"loss": 199.0}
    assert stored_points(url, run_id, "loss") == [(step, step) for step in range(200)]
    for command in ("runs", "show"):
        shown = subprocess.run(
            [sys.executable, "-m", "autolog", command, *([run_id] if command == "show" else []), "--backend", url],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (shown.returncode, shown.stderr) == (0, ""), shown.stderr
        assert "set back" in shown.stdout


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_of_processes_whose_clock_goes_back_the_later_one_counts(scheme: str, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'runs'}" if scheme == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    process = start_script(SET_BACK, tmp_path, AUTOLOG_BACKEND=url)
    run_id = process.communicate(timeout=60)[0].strip()
    for shift, name, status in ((0, "first", "FINISHED"), (-3600, "second", "FINISHED"), (-7200, "third", "FAILED")):
        resumed = start_script(RESUMED, tmp_path, run_id, str(shift), name, AUTOLOG_BACKEND=url)
        _, errors = resumed.communicate(timeout=60)
        assert (resumed.returncode, errors) == (0, "")
        (run,) = stored_runs(url)
        assert run.data.params == {"when": name}
        assert run.data.tags["when"] == name
        assert run.info.status.value == status
