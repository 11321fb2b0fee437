"""A full disk harms no training, costs one message, and is over when there is room again."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import TORTURE, fill_disk, run_script, small_disk, start_script, stored_points, stored_runs, wait_for

from autolog.entities import RunStatus
from autolog.recovery import recover, scan

# A training that goes on while its disk is full, and after it. It tells where it is by files.
TRAINING = """
import sys, time
from pathlib import Path
import numpy as np
import autolog
from sklearn.linear_model import LogisticRegression

def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)

handle = autolog.enable()
rows = np.arange(200.0).reshape(100, 2)
labels = (rows[:, 0] > 90).astype(int)
step = 0
def train(seconds):
    global step
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(500):
            autolog.log_metric("loss", step * 0.5, step=step)
            step += 1
        autolog.log_param(f"param{step}", "x" * 1000)
        autolog.log_text("content" * 6_000, f"file{step % 3}.txt")
        time.sleep(0.01)
with autolog.start_run(run_name="long"):
    train(0.5)
    if sys.argv[1] == "wait-stored":
        assert autolog.flush(60)
    Path("before").write_text(str(step))
    wait_for("full")
    train(2.5)
    print(LogisticRegression().fit(rows, labels).predict(rows).tolist())
    try:
        LogisticRegression().fit(rows, labels[:5])
    except ValueError as error:
        print(type(error).__name__, error)
    Path("during").write_text(str(step))
    wait_for("room")
    time.sleep(1.2)
    # What is logged from here on has room.
    again = step
    train(0.5)
    Path("after").write_text(f"{again} {step}")
"""


def train_on_a_disk_that_fills_up(
    folder: Path, disk: Path, order: str, backend: str, spool: Path
) -> tuple[str, str, int, int, int, int]:
    """Return what it printed and complained, and up to which step it was before, during, and from and to after."""
    process = start_script(TRAINING, folder, order, AUTOLOG_BACKEND=backend, AUTOLOG_SPOOL=str(spool))
    try:
        wait_for(lambda: (folder / "before").exists() or process.poll() is not None)
        filler = fill_disk(disk)
        (folder / "full").touch()
        wait_for(lambda: (folder / "during").exists() or process.poll() is not None)
        filler.unlink()
        (folder / "room").touch()
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    before, during = (int((folder / name).read_text()) for name in ("before", "during"))
    again, end = map(int, (folder / "after").read_text().split())
    return output, errors, before, during, again, end


def steps_of(url: str, name: str) -> list[int]:
    (run,) = [run for run in stored_runs(url) if run.info.run_name == name]
    return [step for step, _ in stored_points(url, run.info.run_id, "loss")]


@pytest.fixture(scope="module")
def without_autolog(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the training prints with a disk that is never full."""
    folder = tmp_path_factory.mktemp("plain")
    for name in ("full", "room"):
        (folder / name).touch()
    done = run_script(
        TRAINING.replace("autolog.enable()", "None"),
        folder,
        "",
        AUTOLOG_BACKEND=str(folder / "runs"),
        AUTOLOG_SPOOL=str(folder / "spool"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_while_the_stores_disk_is_full_everything_waits_in_the_journal(
    scheme: str, tmp_path: Path, without_autolog: str
) -> None:
    with small_disk(tmp_path / "disk", "24m") as disk:
        url = f"file:{disk / 'runs'}" if scheme == "file" else f"sqlite:///{disk / 'runs.db'}"
        output, errors, _, _, _, end = train_on_a_disk_that_fills_up(
            tmp_path, disk, "wait-stored", url, tmp_path / "spool"
        )
        assert output == without_autolog
        lines = errors.splitlines()
        assert len([line for line in lines if "cannot grow" in line or "No space left" in line]) == 1, errors
        recover(tmp_path / "spool")
        assert scan(tmp_path / "spool") == []
        assert steps_of(url, "long") == list(range(end))
        statuses = sorted(run.info.status for run in stored_runs(url))
        assert statuses == [RunStatus.FAILED, RunStatus.FINISHED]


def test_while_the_spools_disk_is_full_points_wait_in_memory_files_are_counted_and_then_it_goes_on(
    tmp_path: Path, without_autolog: str
) -> None:
    with small_disk(tmp_path / "disk", "10m") as disk:
        url = f"file:{tmp_path / 'runs'}"
        output, errors, _, _, _, end = train_on_a_disk_that_fills_up(tmp_path, disk, "at-once", url, disk / "spool")
        assert output == without_autolog
        lines = [line for line in errors.splitlines() if "no room" in line or "takes no more" in line]
        assert len(lines) == 1, errors
        assert "were dropped" in errors
        assert "nothing was lost" not in errors
        recover(disk / "spool")
        assert scan(disk / "spool") == []
        assert steps_of(url, "long") == list(range(end))
        (long,) = [run for run in stored_runs(url) if run.info.run_name == "long"]
        assert all(long.data.params[f"param{step}"] == "x" * 1000 for step in range(500, end + 1, 500))
        assert long.info.status is RunStatus.FINISHED
        assert all(run.info.status is not RunStatus.RUNNING for run in stored_runs(url))


@pytest.mark.parametrize("scheme", ["file", "sqlite"] if TORTURE else ["sqlite"])
def test_on_one_full_disk_for_spool_and_store_what_had_been_logged_is_not_lost(scheme: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        url = f"file:{disk / 'runs'}" if scheme == "file" else f"sqlite:///{disk / 'runs.db'}"
        _, errors, before, _, again, end = train_on_a_disk_that_fills_up(tmp_path, disk, "at-once", url, disk / "spool")
        assert "nothing was lost" not in errors
        recover(disk / "spool")
        steps = steps_of(url, "long")
        assert len(steps) == len(set(steps))
        assert steps[:before] == list(range(before))
        assert steps[-(end - again) :] == list(range(again, end))


def test_a_spool_that_is_full_from_the_start_is_one_message_and_records_when_there_is_room(tmp_path: Path) -> None:
    script = """
import time
from pathlib import Path
import autolog
with autolog.start_run(run_name="late") as run:
    for step in range(10_000):
        autolog.log_metric("loss", step, step=step)
    Path("during").touch()
    while not Path("room").exists():
        time.sleep(0.01)
    time.sleep(5.5)
    autolog.log_param("late", 1)
    autolog.log_metric("loss", 1.0, step=10_000)
"""
    with small_disk(tmp_path / "disk", "4m") as disk:
        filler = fill_disk(disk)
        process = start_script(script, tmp_path, AUTOLOG_SPOOL=str(disk / "spool"))
        wait_for(lambda: (tmp_path / "during").exists() or process.poll() is not None)
        filler.unlink()
        (tmp_path / "room").touch()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert len([line for line in errors.splitlines() if "nothing is recorded until then" in line]) == 1
        (run,) = stored_runs(tmp_path / "runs")
        assert run.info.status is RunStatus.FINISHED
        assert run.data.params == {"late": "1"}
        assert steps_of(f"file:{tmp_path / 'runs'}", "late") == [10_000]
        assert list((disk / "spool").iterdir()) == []
