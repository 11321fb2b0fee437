"""A journal that a power cut or a bad disk has damaged gives what is intact, says what is not, and invents nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from damage import check_store, damage, expect, is_damaged, make_journal
from scripts import TORTURE, stored_points, stored_runs

import autolog
from autolog.recovery import recover, scan

SEEDS = range(300 if TORTURE else 20)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_intact_is_stored_what_is_not_is_reported_and_nothing_is_invented(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    known = make_journal(tmp_path, f"file:{tmp_path / 'runs'}", chance)
    how = [damage(known, chance) for _ in range(chance.choice([1, 1, 1, 2, 4]))]
    expected, damaged = expect(known), is_damaged(known)
    (seen,) = scan(tmp_path / "spool")
    assert not damaged or seen.damage or seen.error, how
    (outcome,) = recover(tmp_path / "spool")
    assert not damaged or outcome.damage or outcome.error, how
    if outcome.error:
        # Nothing is lost: it waits for a person to say where it belongs.
        (outcome,) = recover(tmp_path / "spool", known.url)
    assert outcome.error == "", how
    check_store(known, expected)
    assert scan(tmp_path / "spool") == []


@pytest.mark.parametrize("seed", range(6))
def test_a_person_who_asks_is_told_what_is_damaged(seed: int, tmp_path: Path) -> None:
    chance = random.Random(1000 + seed)
    known = make_journal(tmp_path, f"file:{tmp_path / 'runs'}", chance)
    while not is_damaged(known):
        damage(known, chance)
    expected = expect(known)
    doctor = run_autolog("doctor")
    assert "damaged" in doctor.stdout or "cannot be read" in doctor.stdout, doctor.stdout
    assert "Traceback" not in doctor.stderr
    sync = run_autolog("sync")
    if sync.returncode:
        assert "--backend" in sync.stderr
        sync = run_autolog("sync", "--backend", known.url)
    else:
        assert "damaged" in sync.stderr
    assert sync.returncode == 0
    check_store(known, expected)


def run_autolog(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autolog", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_metrics_file_that_has_lost_its_end_gives_whole_lines_and_takes_new_ones(tmp_path: Path) -> None:
    chance = random.Random(5)
    for attempt in range(20 if TORTURE else 5):
        with autolog.enable(f"file:{tmp_path / str(attempt)}"):
            with autolog.start_run() as run:
                for step in range(200):
                    autolog.log_metric("loss", step + 0.123456789, step=step)
            assert autolog.flush(60)
            (path,) = (tmp_path / str(attempt)).rglob("metrics.csv")
            size = path.stat().st_size
            os.truncate(path, size - chance.randrange(1, size))
            run_id = run.info.run_id
            points = stored_points(tmp_path / str(attempt), run_id, "loss")
            assert points == [(step, step + 0.123456789) for step in range(len(points))]
            with autolog.start_run(run_id=run_id):
                autolog.log_metric("loss", 1.5, step=1000)
            assert autolog.flush(60)
        assert stored_points(tmp_path / str(attempt), run_id, "loss") == [*points, (1000, 1.5)]
        assert path.read_bytes().endswith(b"\n")


def test_a_run_file_that_is_torn_is_left_out_by_name_and_the_others_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"file:{tmp_path / 'runs'}"
    with autolog.enable(url):
        for number in range(3):
            with autolog.start_run(run_name=f"run{number}"):
                autolog.log_param("number", number)
        assert autolog.flush(60)
    torn = sorted((tmp_path / "runs").rglob("run.json"))[1]
    os.truncate(torn, torn.stat().st_size - 5)
    assert len(stored_runs(url)) == 2
    assert str(torn) in caplog.text
