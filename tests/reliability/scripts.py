"""Programs of users as processes of their own, and what their store holds afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run

TORTURE: Final = "AUTOLOG_TORTURE" in os.environ
# What takes a minute on a quiet machine may take many on a busy one.
DEADLINE: Final = 1200 if TORTURE else 180


def start_script(script: str, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a program in a folder, as a file of which processes that are spawned can import the functions."""
    path = folder / "train.py"
    path.write_text(script)
    return subprocess.Popen(
        [sys.executable, str(path), *arguments],
        # On a busy machine the default is too short for what is compared here.
        env=os.environ | {"AUTOLOG_EXIT_TIMEOUT": "120"} | variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(script: str, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a program that hangs is a failure."""
    process = start_script(script, folder, *arguments, **variables)
    try:
        output, errors = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the program hangs")
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def stored_runs(url: str | Path) -> list[Run]:
    """Return the runs of a store."""
    reader = open_reader(f"file:{url}" if isinstance(url, Path) else url)
    try:
        return list(reader.search_runs(RunQuery()).items)
    finally:
        reader.close()


def stored_points(url: str | Path, run_id: str, key: str) -> list[tuple[int, float]]:
    """Return the steps and values of a metric."""
    reader = open_reader(f"file:{url}" if isinstance(url, Path) else url)
    try:
        history = reader.metric_history(run_id, key)
        return list(zip(history.steps.tolist(), history.values.tolist(), strict=True))
    finally:
        reader.close()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a function returns something true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.01)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Lend a file system of its own, of a few megabytes."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "autolog-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        if "CI" in os.environ and os.getuid() == 0:
            pytest.fail(f"a file system cannot be mounted: {mounted.stderr.decode()}")
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path) -> Path:
    """Take all that is free on a file system; return the file that holds it."""
    path = folder / "everything-else"
    with path.open("wb", buffering=0) as file:
        for block in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(block)) == block:
                    pass
    return path
