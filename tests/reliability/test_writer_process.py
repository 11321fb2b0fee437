"""With the writer in a process of its own, nothing is lost whichever of the two processes dies, and how."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run, RunStatus
from autolog.recovery import recover, scan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the processes are ended by POSIX signals")

# It says which step it has reached, in a file that its end does not take back.
LOOP = """
import os, sys, time
import autolog
from autolog.lifecycle import begin_run
from autolog.run import activate
activate(begin_run(run_id="looping"))
out = open("reached", "wb", buffering=0)
for step in range(int(sys.argv[1])):
    autolog.log_metric("loss", step * 0.5, step=step)
    if step % 100 == 0:
        out.seek(0)
        out.write(b"%09d" % step)
        time.sleep(0.001)
"""


def start(
    script: str, folder: Path, *arguments: str, url: str | None = None, **variables: str
) -> subprocess.Popen[str]:
    variables = {"AUTOLOG_WRITER": "process", "AUTOLOG_BACKEND": url or f"sqlite:///{folder / 'runs.db'}", **variables}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | variables,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(script: str, folder: Path, *arguments: str, url: str | None = None, **variables: str) -> tuple[int, str, str]:
    process = start(script, folder, *arguments, url=url, **variables)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def stored(folder: Path) -> list[Run]:
    reader = open_reader(f"sqlite:///{folder / 'runs.db'}")
    try:
        return list(reader.search_runs(RunQuery()))
    finally:
        reader.close()


def steps_of(folder: Path, run_id: str = "looping") -> list[int]:
    reader = open_reader(f"sqlite:///{folder / 'runs.db'}")
    try:
        return reader.metric_history(run_id, "loss").steps.tolist()
    finally:
        reader.close()


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def reached(folder: Path) -> int:
    try:
        return int((folder / "reached").read_bytes() or b"-1")
    except FileNotFoundError:
        return -1


def writer_of(process: subprocess.Popen[str]) -> psutil.Process:
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = psutil.Process(process.pid).children()
        return bool(found)

    wait_until(look)
    return found[0]


def test_a_script_is_recorded_without_numpy_or_a_driver_in_its_process(tmp_path: Path) -> None:
    script = """
import sys
import autolog
with autolog.start_run():
    for step in range(1000):
        autolog.log_metric("loss", step / 2, step=step)
    autolog.log_text("hello", "a.txt")
    assert autolog.flush(30)
loaded = {"numpy", "sqlalchemy", "sqlite3", "fsspec"} & set(sys.modules)
print(sorted(loaded))
"""
    assert run(script, tmp_path) == (0, "[]\n", "")
    (only,) = stored(tmp_path)
    assert only.info.status is RunStatus.FINISHED
    assert steps_of(tmp_path, only.info.run_id) == list(range(1000))
    assert scan(tmp_path / "spool") == []


def test_the_run_of_a_killed_process_is_closed_at_once_by_its_writer(tmp_path: Path) -> None:
    process = start(LOOP, tmp_path, "10000000")
    wait_until(lambda: reached(tmp_path) > 20_000)
    process.kill()
    process.communicate()
    last = reached(tmp_path)
    wait_until(lambda: scan(tmp_path / "spool") == [])
    (only,) = stored(tmp_path)
    assert only.info.status is RunStatus.KILLED
    steps = steps_of(tmp_path)
    assert steps == list(range(len(steps)))
    assert len(steps) > last


def test_recovery_leaves_a_journal_to_the_writer_that_is_still_at_it(tmp_path: Path) -> None:
    process = start(LOOP, tmp_path, "10000000")
    wait_until(lambda: reached(tmp_path) > 20_000)
    writer = writer_of(process)
    writer.suspend()
    process.kill()
    process.communicate()
    try:
        assert recover(tmp_path / "spool") == []
        (state,) = scan(tmp_path / "spool")
        assert state.alive
    finally:
        writer.resume()
    wait_until(lambda: scan(tmp_path / "spool") == [])
    steps = steps_of(tmp_path)
    assert steps == list(range(len(steps)))
    assert len(steps) > reached(tmp_path)


def test_a_writer_that_is_killed_again_and_again_loses_and_repeats_nothing(tmp_path: Path) -> None:
    process = start(LOOP, tmp_path, "500000")
    killed = set()
    while len(killed) < 4:
        writer = writer_of(process)
        if writer.pid not in killed:
            at = reached(tmp_path)
            wait_until(lambda at=at: reached(tmp_path) > at + 3_000)
            writer.kill()
            killed.add(writer.pid)
        time.sleep(0.02)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    wait_until(lambda: scan(tmp_path / "spool") == [])
    assert steps_of(tmp_path) == list(range(500_000))


def test_where_no_process_can_be_started_the_writer_is_a_thread(tmp_path: Path) -> None:
    script = """
import sys, threading
sys.executable = "/nonexistent/python"
import autolog
with autolog.start_run():
    autolog.log_metric("loss", 1.0)
    assert autolog.flush(30)
assert "sqlalchemy" in sys.modules
"""
    assert run(script, tmp_path) == (0, "", "")
    (only,) = stored(tmp_path)
    assert only.data.metrics == {"loss": 1.0}


def test_a_process_that_ends_at_once_again_and_again_is_replaced_by_a_thread(tmp_path: Path) -> None:
    script = """
import sys
sys.executable = "/bin/false"
import autolog
with autolog.start_run():
    autolog.log_metric("loss", 1.0)
    assert autolog.flush(60)
"""
    code, _, err = run(script, tmp_path)
    assert code == 0
    assert err.splitlines() == ["the writer's process does not run (no word); it is a thread instead"]
    (only,) = stored(tmp_path)
    assert only.data.metrics == {"loss": 1.0}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("allowed", [0, 1])
def test_where_a_container_allows_no_more_processes_everything_is_still_recorded(tmp_path: Path, allowed: int) -> None:
    anyones = Path(tempfile.mkdtemp())
    anyones.chmod(0o777)
    script = f"""
import os, resource, warnings
warnings.simplefilter("ignore")
import autolog, autolog.backends.file, autolog.writer_program, autolog.names, numpy, concurrent.futures.thread
with autolog.start_run():  # what else is imported late must be so before the files cannot be read any more
    pass
autolog.tracking.close()
os.setgid(54321)
os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1 + {allowed}, 1 + {allowed}))
os.environ.update(AUTOLOG_SPOOL="{anyones}/spool", AUTOLOG_BACKEND="file:{anyones}/runs")
with autolog.start_run():
    autolog.log_metric("loss", 1.0)
    try:
        os.fork()
    except BlockingIOError:
        print("no more")
"""
    assert run(script, tmp_path, HOME=str(tmp_path), OPENBLAS_NUM_THREADS="1") == (0, "no more\n", "")
    reader = open_reader(f"file:{anyones}/runs")
    (only,) = reader.search_runs(RunQuery())
    reader.close()
    shutil.rmtree(anyones)
    assert only.data.metrics == {"loss": 1.0}


def test_a_forked_child_that_lives_on_does_not_hide_the_end_of_its_parent(tmp_path: Path) -> None:
    script = """
import os, time
import autolog
from autolog.lifecycle import begin_run
begin_run(run_id="parent").log_metric("loss", 1.0)
assert autolog.flush(30)
child = os.fork()
if child == 0:
    os.close(1), os.close(2)
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), 9)
"""
    code, out, _ = run(script, tmp_path)
    try:
        assert code == -signal.SIGKILL
        wait_until(lambda: scan(tmp_path / "spool") == [])
        assert [each.info.status for each in stored(tmp_path)] == [RunStatus.KILLED]
    finally:
        os.kill(int(out), signal.SIGKILL)


def test_what_the_end_of_a_script_does_not_wait_for_still_arrives(tmp_path: Path) -> None:
    script = """
import autolog
with autolog.start_run():
    for step in range(100_000):
        autolog.log_metric("loss", 0.0, step)
"""
    assert run(script, tmp_path, AUTOLOG_EXIT_TIMEOUT="0") == (0, "", "")
    wait_until(lambda: scan(tmp_path / "spool") == [])
    (only,) = stored(tmp_path)
    assert only.info.status is RunStatus.FINISHED
    assert steps_of(tmp_path, only.info.run_id) == list(range(100_000))


def test_ctrl_c_is_for_the_training_alone(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP, "10000000"],
        env=os.environ | {"AUTOLOG_WRITER": "process", "AUTOLOG_BACKEND": f"sqlite:///{tmp_path / 'runs.db'}"},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: reached(tmp_path) > 10_000)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    wait_until(lambda: scan(tmp_path / "spool") == [])
    (only,) = stored(tmp_path)
    assert only.info.status is RunStatus.FAILED
    assert steps_of(tmp_path) == list(range(len(steps_of(tmp_path))))


def test_a_backend_that_does_not_answer_is_told_in_the_training_s_process(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    script = """
import logging, sys, time
import autolog
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append((record.levelname, record.getMessage()))
logging.getLogger("autolog").addHandler(handler)
autolog.start_run()
autolog.log_metric("loss", 1.0)
assert not autolog.flush(8)
assert [level for level, _ in lines] == ["WARNING"], lines
assert "records wait in the journal" in lines[0][1]
"""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/none"
        code, out, err = run(script, tmp_path, url=url, AUTOLOG_EXIT_TIMEOUT="1")
    # The program's own handler has taken the lines, also the one that says what stays behind.
    assert (code, out, err) == (0, "", "")
    (left,) = scan(tmp_path / "spool")
    assert left.left > 0
