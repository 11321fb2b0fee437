"""Recovery sends what it can, and says of the rest whose it is and what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from autolog.backends import open_reader
from autolog.entities import RunStatus
from autolog.journal import read_info
from autolog.recovery import recover, scan
from autolog.writer import Writer

LEAVE_BEHIND = """
import os, signal
import autolog
from autolog.lifecycle import begin_run
run = begin_run(run_id="left")
for step in range(100):
    run.log_metric("m", step, step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return the journal of a process that was killed."""
    done = subprocess.run([sys.executable, "-c", LEAVE_BEHIND], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "spool").iterdir()
    return folder


def rewrite_info(of: Path, to: Path, **changes: str) -> None:
    info = msgspec.structs.replace(read_info(of), **changes).seal()
    (to / "journal.json").write_bytes(msgspec.json.encode(info))


def assert_sent(folder: Path) -> None:
    reader = open_reader(f"file:{folder / 'runs'}")
    run = reader.get_run("left")
    reader.close()
    assert run.data.summaries["m"].count == 100
    assert run.info.status is RunStatus.KILLED
    assert scan(folder / "spool") == []


def test_a_journal_of_another_machine_is_named_and_taken_only_on_demand(journal: Path, tmp_path: Path) -> None:
    rewrite_info(journal, journal, host="gone")
    (waiting,) = recover(tmp_path / "spool")
    assert "'gone'" in waiting.error
    assert "--any-host" in waiting.error
    assert journal.exists()
    (sent,) = recover(tmp_path / "spool", any_host=True)
    assert sent.error == ""
    assert_sent(tmp_path)


def test_a_journal_that_no_longer_says_where_it_belongs_is_sent_where_it_is_told(journal: Path, tmp_path: Path) -> None:
    (journal / "journal.json").write_text("{ torn")
    (waiting,) = recover(tmp_path / "spool")
    assert "--backend" in waiting.error
    (sent,) = recover(tmp_path / "spool", f"file:{tmp_path / 'runs'}")
    assert sent.error == ""
    assert_sent(tmp_path)


def test_a_journal_that_cannot_be_sent_does_not_keep_the_next_from_it(journal: Path, tmp_path: Path) -> None:
    first = tmp_path / "spool" / "00000000T000000-1-00000000000a"
    first.mkdir()
    rewrite_info(journal, first, journal=first.name, backend="nosuch://store")
    (first / "facts-00000001.segment").write_bytes((next(journal.glob("facts-*"))).read_bytes())
    waiting, sent = recover(tmp_path / "spool")
    assert "nosuch" in waiting.error
    assert sent.error == ""


def test_a_script_that_crashes_under_exec_has_failed_as_it_has_without(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import autolog\nautolog.start_run()\nraise ValueError('no good')\n")
    for command in (["train.py"], ["-m", "autolog", "exec", "train.py"]):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, timeout=60, capture_output=True, check=False)
        assert done.returncode == 1
    reader = open_reader(f"file:{tmp_path / 'runs'}")
    from autolog.backend import RunQuery

    runs = reader.search_runs(RunQuery()).items
    reader.close()
    assert [run.info.status for run in runs] == [RunStatus.FAILED] * 2
    assert {run.data.tags["autolog.exception"] for run in runs} == {"ValueError: no good"}


def test_a_user_without_a_home_has_a_spool_all_the_same(tmp_path: Path) -> None:
    if not hasattr(os, "setuid") or os.getuid() != 0:
        pytest.skip("only root can become a user without a home")
    # The user that it becomes may not read what it imports.
    script = """
import os, pwd, tempfile
from autolog.config import load_settings
tempfile.gettempdir()
os.setuid(54321)
print(load_settings(backend="/runs").spool)
"""
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "AUTOLOG_SPOOL"}}
    environment.pop("XDG_CACHE_HOME", None)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "autolog-54321" in done.stdout


def test_what_else_lies_in_the_folder_of_the_spool_is_left_alone(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    others = [spool / name for name in (".git", ".ssh", "project", "20200101")]
    for folder in others:
        folder.mkdir(parents=True)
        (folder / "precious").write_text("mine")
        os.utime(folder, (0, 0))
    assert scan(spool) == []
    assert recover(spool) == []
    assert all((folder / "precious").read_text() == "mine" for folder in others)


def test_two_threads_of_a_process_never_recover_one_journal_at_once(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    write = Writer.step

    def step_slowly(writer: Writer) -> bool:
        inside.set()
        assert go_on.wait(60)
        return write(writer)

    monkeypatch.setattr(Writer, "step", step_slowly)
    first = threading.Thread(target=recover, args=(tmp_path / "spool",))
    first.start()
    assert inside.wait(60)
    assert recover(tmp_path / "spool") == []
    # Nor has the attempt given the first one's lock away.
    (state,) = scan(tmp_path / "spool")
    assert state.alive
    other = subprocess.run(
        [sys.executable, "-c", "from autolog.recovery import recover; print(recover())"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert other.stdout.strip() == "[]"
    go_on.set()
    first.join(60)
    assert_sent(tmp_path)
