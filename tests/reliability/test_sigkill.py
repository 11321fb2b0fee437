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
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripts import TORTURE

import autolog
from autolog.backends import open_reader
from autolog.entities import RunStatus
from autolog.recovery import recover, scan

# 200 moments in all under `make torture`.
KILLS = {"file": 80, "sqlite": 80, "postgresql": 40} if TORTURE else {"file": 20, "sqlite": 20, "postgresql": 0}

# It says after every call, in memory that survives it, how many calls have returned.
PROGRAM = """
import mmap, struct, sys
import autolog
with open(sys.argv[1], "r+b") as file:
    counter = mmap.mmap(file.fileno(), 8)
from autolog.lifecycle import begin_run
from autolog.run import activate
activate(begin_run(run_id=sys.argv[2]))
autolog.log_param("kind", "victim")
for step in range(1_000_000):
    autolog.log_metric("loss", step * 0.5, step=step)
    # One store: pack_into would write zeros first, and the process may be killed in between.
    counter[:] = struct.pack("<Q", step + 1)
"""


@pytest.fixture
def url_of(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Return what gives the URL of a store for a folder; of PostgreSQL there is one for all folders."""
    if request.param != "postgresql":
        yield lambda folder: f"file:{folder / 'runs'}" if request.param == "file" else f"sqlite:///{folder / 'runs.db'}"
        return
    if not KILLS["postgresql"]:
        pytest.skip("a database server is part of `make torture`")
    server = os.environ.get("AUTOLOG_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    psycopg = pytest.importorskip("psycopg")
    name = f"autolog_sigkill_{os.getpid()}"
    try:
        connection = psycopg.connect(server, autocommit=True)
    except psycopg.OperationalError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"no PostgreSQL server answers: {error}")
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield lambda _: f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("url_of", ["file", "sqlite", "postgresql"], indirect=True)
def test_every_call_that_had_returned_is_stored_once_after_recovery(
    url_of: Callable[[Path], str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    moments = random.Random(7)
    for attempt in range(KILLS[request.node.callspec.params["url_of"]]):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        url = url_of(folder)
        run_id = f"killed{attempt}"
        returned = _kill_at(folder, url, moments.uniform(0.0, 0.5), run_id)
        (outcome,) = recover(folder / "spool")
        assert outcome.error == ""
        assert outcome.damage == []
        assert scan(folder / "spool") == []
        reader = open_reader(url)
        history = reader.metric_history(run_id, "loss")
        stored = reader.get_run(run_id)
        reader.close()
        # The last call may have been recorded without having returned.
        assert returned <= len(history) <= returned + 1
        assert history.steps.tolist() == list(range(len(history)))
        assert (history.values == history.steps * 0.5).all()
        assert stored.data.params == {"kind": "victim"}
        assert stored.data.summaries["loss"].count == len(history)
        assert stored.info.status is RunStatus.KILLED
        assert stored.info.end_time is not None


def _kill_at(folder: Path, url: str, seconds: float, run_id: str = "killed") -> int:
    """Kill a process some time after its first call has returned; return how many had."""
    counter = folder / "counter"
    counter.write_bytes(bytes(8))
    environment = os.environ | {"AUTOLOG_BACKEND": url, "AUTOLOG_SPOOL": str(folder / "spool")}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(counter), run_id], env=environment)
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
