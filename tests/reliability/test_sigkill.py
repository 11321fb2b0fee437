"""A process that is killed loses no call that had returned."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import autolog
from autolog.backends import open_reader
from autolog.entities import RunStatus
from autolog.recovery import recover, scan

KILLS = 20

# It says after every call, in memory that survives it, how many calls have returned.
PROGRAM = """
import mmap, struct, sys
import autolog
with open(sys.argv[1], "r+b") as file:
    counter = mmap.mmap(file.fileno(), 8)
from autolog.lifecycle import begin_run
from autolog.run import activate
activate(begin_run(run_id="killed"))
autolog.log_param("kind", "victim")
for step in range(1_000_000):
    autolog.log_metric("loss", step * 0.5, step=step)
    # One store: pack_into would write zeros first, and the process may be killed in between.
    counter[:] = struct.pack("<Q", step + 1)
"""


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_every_call_that_had_returned_is_stored_once_after_recovery(scheme: str, tmp_path: Path) -> None:
    moments = random.Random(7)
    for attempt in range(KILLS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        url = f"file:{folder / 'runs'}" if scheme == "file" else f"sqlite:///{folder / 'runs.db'}"
        returned = _kill_at(folder, url, moments.uniform(0.0, 0.5))
        (outcome,) = recover(folder / "spool")
        assert outcome.error == ""
        assert outcome.damage == []
        assert scan(folder / "spool") == []
        reader = open_reader(url)
        history = reader.metric_history("killed", "loss")
        stored = reader.get_run("killed")
        reader.close()
        # The last call may have been recorded without having returned.
        assert returned <= len(history) <= returned + 1
        assert history.steps.tolist() == list(range(len(history)))
        assert (history.values == history.steps * 0.5).all()
        assert stored.data.params == {"kind": "victim"}
        assert stored.data.summaries["loss"].count == len(history)
        assert stored.info.status is RunStatus.KILLED
        assert stored.info.end_time is not None


def _kill_at(folder: Path, url: str, seconds: float) -> int:
    """Kill a process some time after its first call has returned; return how many had."""
    counter = folder / "counter"
    counter.write_bytes(bytes(8))
    environment = os.environ | {"AUTOLOG_BACKEND": url, "AUTOLOG_SPOOL": str(folder / "spool")}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(counter)], env=environment)
    with counter.open("r+b") as file, mmap.mmap(file.fileno(), 8) as memory:
        deadline = time.monotonic() + 60
        while struct.unpack_from("<Q", memory)[0] == 0 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, "the process ended before it could be killed"
        return int(struct.unpack_from("<Q", memory)[0])


def test_a_run_that_another_process_goes_on_with_is_not_closed(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'runs'}"
    _kill_at(tmp_path, url, 0.0)
    recover(tmp_path / "spool")
    assert autolog.get_run("killed").info.status is RunStatus.KILLED
    resumed = autolog.start_run(run_id="killed")
    _leave_journal_behind(tmp_path, url)
    recover(tmp_path / "spool")
    assert autolog.get_run("killed").info.status is RunStatus.RUNNING
    resumed.end()
    assert autolog.get_run("killed").info.status is RunStatus.FINISHED


def _leave_journal_behind(folder: Path, url: str) -> None:
    program = "import autolog, os; autolog.start_run(run_id='killed'); autolog.flush(); os.kill(os.getpid(), 9)"
    environment = os.environ | {"AUTOLOG_BACKEND": url, "AUTOLOG_SPOOL": str(folder / "spool")}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=60)
