"""A worker that is killed loses no call that had returned, and ends nobody's run."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import time
from pathlib import Path

import psutil
import pytest
from scripts import TORTURE, start_script, stored_points, stored_runs, wait_for

from autolog.entities import RunStatus
from autolog.recovery import recover, scan

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

KILLS = 10 if TORTURE else 1
WORKERS = 3

# Every worker says after every call, in memory that survives it, how many of its calls have returned.
PROGRAM = """
import mmap, multiprocessing, os, struct, sys, time
import autolog

def work(number, run_id):
    with open("counter", "r+b") as file:
        counter = mmap.mmap(file.fileno(), 8 * WORKERS)
    log = autolog.log_metric
    if multiprocessing.get_start_method() == "spawn":
        # The run is the parent's, so that this process may not end it.
        os.environ["AUTOLOG_RUN_ID"] = run_id
        client = autolog.Client()
        log = lambda key, value, step: client.log_metric(run_id, key, value, step=step)
    for step in range(100_000):
        log(f"worker{number}", step * 0.5, step=step)
        counter[number * 8 : number * 8 + 8] = struct.pack("<Q", step + 1)
    time.sleep(60)

WORKERS = int(sys.argv[2])
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with autolog.start_run() as run:
        assert autolog.flush(60)
        processes = [multiprocessing.Process(target=work, args=(number, run.info.run_id)) for number in range(WORKERS)]
        [process.start() for process in processes]
        for step in range(20_000):
            autolog.log_metric("parent", step, step=step)
        [process.join() for process in processes]
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_what_killed_workers_had_logged_into_their_parents_run_is_stored_once(
    scheme: str, method: str, tmp_path: Path
) -> None:
    moments = random.Random(f"{scheme} {method}")
    for attempt in range(KILLS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        url = f"file:{folder / 'runs'}" if scheme == "file" else f"sqlite:///{folder / 'runs.db'}"
        spool = folder / "spool"
        (folder / "counter").write_bytes(bytes(8 * WORKERS))
        parent = start_script(PROGRAM, folder, method, str(WORKERS), AUTOLOG_BACKEND=url, AUTOLOG_SPOOL=str(spool))
        with (folder / "counter").open("r+b") as file, mmap.mmap(file.fileno(), 8 * WORKERS) as memory:
            wait_for(
                lambda memory=memory, parent=parent: (
                    all(struct.unpack(f"<{WORKERS}Q", memory)) or parent.poll() is not None
                )
            )
            time.sleep(moments.uniform(0.0, 0.5))
            _kill_workers(parent.pid)
            _, errors = parent.communicate(timeout=120)
            assert (parent.returncode, errors) == (0, "")
            returned = struct.unpack(f"<{WORKERS}Q", memory)
        outcomes = recover(spool)
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        assert [outcome.damage for outcome in outcomes if outcome.damage] == []
        assert [outcome.runs_killed for outcome in outcomes if outcome.runs_killed] == []
        assert scan(spool) == []
        (run,) = stored_runs(url)
        assert run.info.status is RunStatus.FINISHED
        assert run.data.summaries["parent"].count == 20_000
        for number, count in enumerate(returned):
            points = stored_points(url, run.info.run_id, f"worker{number}")
            assert count <= len(points) <= count + 1
            assert points == [(step, step * 0.5) for step in range(len(points))]


def _kill_workers(parent: int) -> None:
    for child in psutil.Process(parent).children():
        # Not multiprocessing's own resource tracker.
        if "resource_tracker" not in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)


CRASHING_WRITER = """
import autolog
with autolog.start_run() as run:
    for step in range(STEPS):
        autolog.log_metric("loss", step * 0.5, step=step)
        if step % 10_000 == 0:
            autolog.log_param(f"p{step}", step)
    assert autolog.flush(300)
""".replace("STEPS", "400_000")


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_writers_process_that_is_killed_again_and_again_stores_everything_once(scheme: str, tmp_path: Path) -> None:
    # Each time it waits twice as long before it starts another.
    moments = random.Random(11)
    url = f"file:{tmp_path / 'runs'}" if scheme == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    process = start_script(CRASHING_WRITER, tmp_path, AUTOLOG_BACKEND=url, AUTOLOG_WRITER="process")
    kills = 0
    while process.poll() is None and kills < (8 if TORTURE else 4):
        time.sleep(moments.uniform(0.1, 0.8))
        try:
            writers = psutil.Process(process.pid).children()
        except psutil.NoSuchProcess:
            break
        for writer in writers:
            writer.kill()
            kills += 1
    output, errors = process.communicate(timeout=180)
    assert (process.returncode, output, errors) == (0, "", "")
    assert kills > 0
    recover(tmp_path / "spool")
    (run,) = stored_runs(url)
    assert run.info.status is RunStatus.FINISHED
    assert len(run.data.params) == 40
    assert stored_points(url, run.info.run_id, "loss") == [(step, step * 0.5) for step in range(400_000)]
