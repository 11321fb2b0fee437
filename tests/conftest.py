"""Every test has a spool and a store of its own, and leaves nothing of autolog behind in the process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import autolog
from autolog import lifecycle, surroundings, tracking
from autolog.guard import _reported
from autolog.run import active_runs

# Of properties that hold for everything, `pytest --hypothesis-profile torture` tries more cases.
# How long an example takes says more of the machine than of the code.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tests", _patient)
settings.register_profile("torture", _patient, max_examples=500)
settings.load_profile("tests")

# A shell that starts this in the background has Ctrl-C ignored, here and in every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def untraced() -> Iterator[None]:
    """Nothing traces the test: for a debugger's sake, a caller's locals are not let go of under a tracer."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AUTOLOG_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("AUTOLOG_BACKEND", f"file:{tmp_path / 'runs'}")
    monkeypatch.setenv("AUTOLOG_SYSTEM_METRICS", "0")
    monkeypatch.setenv("AUTOLOG_LOG_ENVIRONMENT", "0")
    monkeypatch.delenv("AUTOLOG_RUN_ID", raising=False)
    _reported.clear()
    token = active_runs.set(())
    yield
    active_runs.reset(token)
    autolog.disable()
    for run in lifecycle.open_runs():
        run.end("KILLED")
    surroundings.finish(10)
    tracking.close()
    tracking.set_experiment_name(None)
