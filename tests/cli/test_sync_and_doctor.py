"""``autolog sync`` and ``autolog doctor``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

KILLED = """\
import os, time
import autolog
autolog.enable()
run = autolog.start_run(run_name="victim")
for step in range(500):
    autolog.log_metric("loss", 1 / (step + 1), step)
os._exit(9)
"""


@pytest.fixture
def spool(tmp_path, monkeypatch):
    """The spool folder of a test."""
    monkeypatch.setenv("AUTOLOG_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


def die(store):
    """Let a process die in the middle of a run."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "AUTOLOG_BACKEND": store}
    environment |= {"AUTOLOG_FLUSH_INTERVAL": "60", "AUTOLOG_SILENT": "1"}
    result = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert result.returncode == 9


def test_what_a_dead_process_left_is_sent_and_its_run_closed(autolog, store, spool):
    die(store)
    (journal,) = (folder.name for folder in spool.iterdir() if folder.name.startswith("20"))
    result = autolog("sync")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"journal {journal}: ")
    assert "1 run closed as KILLED" in result.stdout
    victim = json.loads(autolog("show", "last", "--format", "json").stdout)
    assert (victim["run_name"], victim["status"]) == ("victim", "KILLED")
    assert victim["metric_summaries"]["loss"]["count"] == 500
    again = autolog("sync")
    assert (again.stdout, again.stderr.strip()) == ("", "nothing to send")


def test_only_the_journals_of_one_store_are_sent_on_demand(autolog, store, spool, tmp_path):
    die(store)
    assert "nothing to send" in autolog("sync", "--backend", f"file:{tmp_path / 'other'}").stderr
    assert "sent to" in autolog("sync", "--backend", store).stdout


def test_what_cannot_be_sent_waits_and_is_an_error(autolog, store, spool, tmp_path):
    die(store)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "store").write_text("in the way")
    result = autolog("sync")
    assert result.exit_code == 1
    assert "waits on for" in result.stderr
    (tmp_path / "store").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "store")
    assert autolog("sync").exit_code == 0


def test_the_doctor_finds_nothing_wrong_where_nothing_is(autolog, spool):
    result = autolog("doctor", columns=300)
    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")} <= {"ok", "warn"}
    assert "answers, 5 runs" in result.stdout


def test_the_doctor_warns_of_a_store_that_is_not_there(autolog, spool, tmp_path):
    url = f"file:{tmp_path / 'nowhere'}"
    result = autolog("doctor", "--backend", url, "--format", "json")
    assert result.exit_code == 0
    (check,) = (check for check in json.loads(result.stdout) if check["subject"] == "backend")
    assert (check["outcome"], check["found"]) == ("warn", f"there is no store {url}")
    assert not (tmp_path / "nowhere").exists()


def test_the_doctor_says_what_to_do_about_journals_that_wait(autolog, store, spool):
    die(store)
    checks = json.loads(autolog("doctor", "--format", "json").stdout)
    (check,) = (check for check in checks if check["subject"] == "journals")
    assert check["outcome"] == "warn"
    assert check["advice"] == "autolog sync sends them"
    assert store in check["found"]


def test_the_doctor_fails_where_the_store_or_the_spool_cannot_be_used(autolog, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AUTOLOG_SPOOL", str(tmp_path / "file" / "spool"))
    result = autolog("doctor", "--backend", "ftp://somewhere", "--format", "csv")
    assert result.exit_code == 1
    failed = [line.split(",")[0] for line in result.stdout.splitlines() if ",fail," in line]
    assert failed == ["backend", "spool"]
