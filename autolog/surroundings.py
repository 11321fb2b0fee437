"""What is recorded beside a run by itself: the environment once a run, the machine's use every few seconds."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from autolog import lifecycle
from autolog.guard import guard
from autolog.late_imports import importing

if TYPE_CHECKING:
    from autolog.run import ActiveRun

# Seconds between two samples of the machine's use, as in MLflow.
SAMPLING_INTERVAL: Final = 10.0


class _Guest(NamedTuple):
    """What this process adds to a run of another one."""

    run: ActiveRun
    select: Callable[[Mapping[str, float]], Mapping[str, float]]
    goes_on: Callable[[], bool]


class _Observer:
    """Two daemon threads, started by the first run: one that describes the environment, one that samples."""

    def __init__(self) -> None:
        self._runs: queue.SimpleQueue[ActiveRun] = queue.SimpleQueue()
        self._waiting = 0
        self._patience = 0.0
        self._idle = threading.Condition()
        self._threads: dict[str, threading.Thread] = {}
        self._guests: list[_Guest] = []

    def observe(self, run: ActiveRun) -> None:
        """Take note of a run that begins; children share what their parent has."""
        settings = run.tracking.settings
        self._patience = settings.exit_timeout
        if run.parent_run_id is not None:
            return
        if settings.log_environment:
            with self._idle:
                self._waiting += 1
            self._runs.put(run)
            self._start("autolog-environment", self._describe)
        if settings.system_metrics:
            self._start("autolog-system-metrics", self._sample)

    def add_guest(self, guest: _Guest) -> None:
        """Sample for a run of another process as well."""
        if guest.run.tracking.settings.system_metrics:
            self._guests = [one for one in self._guests if one.goes_on()] + [guest]
            self._start("autolog-system-metrics", self._sample)

    def finish(self, timeout: float | None) -> None:
        """Wait for the environment of the last runs, within a time; by default within the settings' for the exit."""
        with self._idle:
            self._idle.wait_for(lambda: self._waiting <= 0, self._patience if timeout is None else timeout)

    def _start(self, name: str, target: Callable[[], None]) -> None:
        thread = self._threads.get(name)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads[name] = thread
            thread.start()

    def _describe(self) -> None:
        with importing():
            from autolog.environment import environment

        while True:
            run = self._runs.get()
            try:
                with guard("recording the environment"):
                    described = environment()
                    run.set_tags(described.tags())
                    for path, text in described.artifacts().items():
                        run.log_content(path, text.encode(errors="replace"))
            finally:
                with self._idle:
                    self._waiting -= 1
                    self._idle.notify_all()

    def _sample(self) -> None:
        with importing():
            from autolog.system_metrics import SystemSampler

            sampler = SystemSampler()
        step = 0
        while True:
            time.sleep(SAMPLING_INTERVAL)
            watched = [run for run in lifecycle.open_runs() if run.parent_run_id is None]
            guests = [guest for guest in self._guests if guest.goes_on()]
            if watched or guests:
                with guard("sampling the machine"):
                    metrics = sampler.sample()
                    for run in watched:
                        run.log_metrics(metrics, step)
                    for guest in guests:
                        guest.run.log_metrics(guest.select(metrics), step)
                step += 1


class _Process:
    """The observer of this process; a forked child has its own."""

    observer = _Observer()


def finish(timeout: float | None = None) -> None:
    """Wait for what is still being described, within a time; by default within the settings' for the exit."""
    _Process.observer.finish(timeout)


def sample_for(
    run: ActiveRun,
    select: Callable[[Mapping[str, float]], Mapping[str, float]],
    goes_on: Callable[[], bool],
) -> None:
    """Add this process's use of the machine to a run of another process.

    Args:
        run: a handle on it.
        select: given metrics, returns those to add, under the names that they are to have there.
        goes_on: asked before each sample whether to go on.
    """
    _Process.observer.add_guest(_Guest(run, select, goes_on))


def _observe(run: ActiveRun) -> None:
    _Process.observer.observe(run)


def _begin_child() -> None:
    _Process.observer = _Observer()


def _finish_at_exit() -> None:
    with guard("finishing the description of the environment"):
        finish()


lifecycle.observers.append(_observe)
atexit.register(_finish_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
