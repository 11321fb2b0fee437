"""What cannot work: an explicit call says why in one sentence; inside a training it is at most one line of log."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import autolog
from autolog import guard, tracking
from autolog.errors import AutologError, InvalidFilter, InvalidParameter, NotFound, StoreCorrupted, StoreTooNew

linear_model = pytest.importorskip("sklearn.linear_model")


def make_store(url):
    """Record a run, and give the store up."""
    autolog.set_tracking_uri(url)
    with autolog.start_run() as run:
        autolog.log_metric("loss", 1.0)
    assert autolog.flush(30)
    tracking.close()
    return run.run_id


def unknown_scheme(folder):
    return "ftp://host/runs"


def file_in_the_way(folder):
    (folder / "file").write_text("no folder")
    return f"file:{folder / 'file'}"


def file_above(folder):
    (folder / "file").write_text("no folder")
    return f"sqlite:///{folder / 'file' / 'runs.db'}"


def proc(folder):
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    return "file:/proc/autolog-runs"


def proc_database(folder):
    proc(folder)
    return "sqlite:////proc/runs.db"


def corrupt_database(folder):
    (folder / "runs.db").write_bytes(b"SQLite format 3\0" + b"rubbish " * 1000)
    return f"sqlite:///{folder / 'runs.db'}"


def text_for_a_database(folder):
    (folder / "runs.db").write_text("this is a text\n" * 200)
    return f"sqlite:///{folder / 'runs.db'}"


def newer_file_store(folder):
    make_store(f"file:{folder / 'newer'}")
    (marker,) = [path for path in (folder / "newer").iterdir() if path.is_file() and "format" in path.read_text()]
    marker.write_text(re.sub(r'("format[^"]*": *)\d+', r"\g<1>99", marker.read_text()))
    return f"file:{folder / 'newer'}"


def newer_database(folder):
    make_store(f"sqlite:///{folder / 'newer.db'}")
    with contextlib.closing(sqlite3.connect(folder / "newer.db")) as database, database:
        database.execute("UPDATE autolog_version SET version_num = '9999'")
    return f"sqlite:///{folder / 'newer.db'}"


BAD_STORES = [
    unknown_scheme,
    file_in_the_way,
    file_above,
    proc,
    proc_database,
    corrupt_database,
    text_for_a_database,
    newer_file_store,
    newer_database,
]


def assert_is_a_sentence(error):
    """Say that an error is ours, and reads as one clear line without the words of a library below."""
    text = str(error)
    assert isinstance(error, AutologError)
    assert 20 < len(text) < 500
    assert "Traceback" not in text
    assert "sqlalche.me" not in text
    assert "0x" not in text


@pytest.mark.parametrize("bad", BAD_STORES)
def test_an_explicit_call_says_why_a_store_cannot_be_read(bad, tmp_path):
    url = bad(tmp_path)
    with pytest.raises(AutologError) as raised:
        autolog.Client(url).get_run("a")
    assert_is_a_sentence(raised.value)
    # Where nothing is, an empty store is read.
    assert isinstance(raised.value, NotFound) == (bad in {proc, proc_database})


TRAINING = """
import os, sys, warnings
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.random.default_rng(0).normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)
if sys.argv[1:]:
    import autolog
    autolog.enable(sys.argv[1])
print(LogisticRegression().fit(X, y).coef_.tolist(), np.random.random() >= 0)
"""


@pytest.fixture(scope="module")
def unrecorded(tmp_path_factory):
    """The training without autolog."""
    return train(tmp_path_factory.mktemp("unrecorded"))


def train(folder, *arguments, exit_timeout="2"):
    (folder / "training.py").write_text(TRAINING)
    return subprocess.run(
        [sys.executable, str(folder / "training.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "AUTOLOG_EXIT_TIMEOUT": exit_timeout,
            "PYTHONPATH": str(Path(autolog.__file__).parents[1]),
        },
    )


@pytest.mark.parametrize("bad", BAD_STORES[1:])
def test_a_training_is_unharmed_by_a_store_that_cannot_be_written(bad, tmp_path, unrecorded):
    url = bad(tmp_path)
    recorded = train(tmp_path, url)
    if len(recorded.stderr.splitlines()) == 1:
        # On a busy machine the program has ended before the store was tried.
        recorded = train(tmp_path, url, exit_timeout="30")
    assert (recorded.returncode, recorded.stdout) == (unrecorded.returncode, unrecorded.stdout)
    why, left = recorded.stderr.splitlines()
    assert why.startswith("the backend cannot be written (")
    # The other line is of the end of the program: how many records stay behind, and what sends them.
    assert "autolog sync" in left


def test_enable_refuses_a_scheme_that_nothing_serves():
    with pytest.raises(InvalidParameter, match="no backend serves the scheme 'ftp'; use one of file, "):
        autolog.enable("ftp://host/runs")
    with pytest.raises(InvalidParameter, match="no backend serves the scheme 'ftp'"):
        autolog.set_tracking_uri("ftp://host/runs")
    assert not autolog.is_enabled()


@pytest.mark.parametrize("newer", [newer_file_store, newer_database])
def test_a_store_of_a_newer_version_is_neither_read_nor_written(newer, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOLOG_EXIT_TIMEOUT", "0")
    url = newer(tmp_path)
    with pytest.raises(StoreTooNew, match=r"(?i)upgrade autolog"):
        autolog.Client(url).search_experiments()
    autolog.set_tracking_uri(url)
    with autolog.start_run():
        pass
    assert autolog.flush(1) is False
    assert "upgrade autolog" in str(tracking.current().recorder.problem)


def test_a_corrupt_database_is_called_corrupt(tmp_path):
    with pytest.raises(StoreCorrupted):
        autolog.Client(text_for_a_database(tmp_path)).search_experiments()


def test_a_locked_database_is_waited_for_and_nothing_is_lost(tmp_path, caplog):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    make_store(url)
    autolog.set_tracking_uri(url)
    with contextlib.closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with autolog.start_run() as run:
            autolog.log_metric("loss", 2.0)
        assert autolog.flush(0.5) is False
        other.execute("ROLLBACK")
    assert autolog.flush(60) is True
    assert run.data.metrics == {"loss": 2.0}


def test_a_metric_that_is_a_text_is_refused_by_name():
    with autolog.start_run(), pytest.raises(InvalidParameter) as refused:
        autolog.log_metric("accuracy", "0.9")
    assert str(refused.value) == (
        "the metric 'accuracy' has the value '0.9' of type str, which is not a number; "
        "log texts with log_param or set_tag"
    )


def test_a_metric_that_is_a_text_costs_a_hook_one_line(caplog):
    with caplog.at_level(logging.WARNING, "autolog"), autolog.start_run() as run:
        for _ in range(3):
            with guard.guard("recording a text as a metric"):
                run.log_metric("accuracy", "0.9")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("call", [autolog.get_run, autolog.delete_run, autolog.get_parent_run])
def test_a_run_that_does_not_exist_is_named(call):
    with pytest.raises(NotFound) as raised:
        call("0123456789abcdef")
    assert "0123456789abcdef" in str(raised.value)
    assert_is_a_sentence(raised.value)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("metrics.acc >> 0.9", "> 0.9"),
        ("metric.acc > 0.9 adn params.C = '1'", "adn"),
        ("params.C = '1", "'1"),
        ("metrics.acc > ", None),
        ("colour.acc > 1", "colour"),
    ],
)
def test_a_typo_in_a_filter_is_pointed_at(text, at):
    with pytest.raises(InvalidFilter) as raised:
        autolog.search_runs(filter_string=text)
    lines = str(raised.value).splitlines()
    (caret,) = [number for number, line in enumerate(lines) if line.strip() == "^"]
    shown = lines[caret - 1][lines[caret].index("^") :]
    assert shown.startswith(at) if at else shown.strip() == ""


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    yield folder
    tracking.close()
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    with contextlib.suppress(OSError), (folder / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.parametrize("what", ["store", "spool", "both"])
@pytest.mark.parametrize("scheme", ["file:", "sqlite:///"])
def test_a_training_is_unharmed_by_a_full_disk(small_disk, tmp_path, monkeypatch, unrecorded, what, scheme):
    fill(small_disk)
    store = small_disk if what in {"store", "both"} else tmp_path
    if what in {"spool", "both"}:
        monkeypatch.setenv("AUTOLOG_SPOOL", str(small_disk / "spool"))
    recorded = train(tmp_path, f"{scheme}{store / 'runs'}")
    assert (recorded.returncode, recorded.stdout) == (unrecorded.returncode, unrecorded.stdout)
    why, left = recorded.stderr.splitlines()
    if what == "store":
        assert re.match(r"the backend cannot be written \(the store .*/runs cannot grow: .*; make room on its", why)
        assert "autolog sync" in left
    else:
        assert re.match(r"the spool folder .* cannot be written \(No space left on device\)", why)
        assert "records were dropped" in left


def test_an_explicit_call_on_a_full_disk_loses_nothing_once_there_is_room(small_disk, tmp_path):
    fill(small_disk)
    autolog.set_tracking_uri(f"file:{small_disk / 'runs'}")
    with autolog.start_run() as run:
        autolog.log_metric("loss", 1.0)
    assert autolog.flush(0.5) is False
    (small_disk / "rest").unlink()
    assert autolog.flush(60) is True
    assert run.data.metrics == {"loss": 1.0}


def test_a_time_that_no_store_can_hold_is_refused_and_the_run_can_still_be_ended():
    with autolog.start_run() as run:
        pass
    client = autolog.Client()
    with pytest.raises(InvalidParameter, match="9223372036854775808"):
        client.set_terminated(run.run_id, end_time=2**63)
    with pytest.raises(InvalidParameter, match="milliseconds"):
        client.create_run("0", start_time=2**63)
    client.set_terminated(run.run_id, end_time=5)
    assert autolog.get_run(run.run_id).info.end_time == 5


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names of files")
def test_a_file_whose_name_is_no_utf8_is_stored_with_question_marks(tmp_path):
    file = tmp_path / os.fsdecode(b"caf\xe9.txt")
    file.write_text("content")
    with autolog.start_run() as run:
        autolog.log_artifact(file)
        autolog.log_text("content", "a\udcffb.txt")
    assert autolog.flush(30)
    names = {found.path for found in autolog.Client().list_artifacts(run.run_id)}
    assert {"caf?.txt", "a?b.txt"} <= names
