"""A training in a process of its own that logs at every step, and says how long its steps took.

Its parent tells it, in a file that both map, which phase its steps belong to and when to end.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

RUN: Final = "steady"
STOP: Final = 255

# The work of a step is pure Python, which waits for the interpreter's lock wherever a thread of ours holds it.
PROGRAM = """
import mmap, sys, time
import numpy as np
import autolog
from autolog.lifecycle import begin_run
from autolog.run import activate
with open(sys.argv[1], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 16)
rate = float(sys.argv[3])
activate(begin_run(run_id="steady"))
phases, times, step = bytearray(), [], 0
clock = time.perf_counter
while (phase := shared[0]) != 255:
    began = clock()
    total = 0
    for number in range(2000):
        total += number
    autolog.log_metric("loss", step * 0.5, step=step)
    times.append(clock() - began)
    phases.append(phase)
    step += 1
    shared[8:16] = step.to_bytes(8, "little")
    if rate:
        time.sleep(1 / rate)
np.savez(sys.argv[2], times=times, phases=np.frombuffer(bytes(phases), np.uint8))
if sys.argv[4]:
    print(autolog.flush(float(sys.argv[4])))
"""


class SteadyTraining:
    """The process, from its parent's side.

    Args:
        folder: for its spool and its results.
        url: of the store.
        rate: most steps a second; 0 for as many as it can.
        flush: most seconds that it waits at its end for the store; None leaves that to its exit.
    """

    def __init__(self, folder: Path, url: str, rate: float = 0, flush: float | None = 120, **settings: Any) -> None:
        self.folder = folder
        self.url = url
        control = folder / "control"
        control.write_bytes(bytes(16))
        with control.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)
        self.environment = os.environ | {
            "AUTOLOG_BACKEND": url,
            "AUTOLOG_SPOOL": str(folder / "spool"),
            "AUTOLOG_ARTIFACT_ROOT": str(folder / "artifacts"),
            **{f"AUTOLOG_{name.upper()}": str(value) for name, value in settings.items()},
        }
        arguments = [str(control), str(folder / "steps.npz"), str(rate), "" if flush is None else str(flush)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stderr = self.stdout = ""

    @property
    def steps(self) -> int:
        """How many steps have been logged."""
        return int.from_bytes(self._shared[8:16], "little")

    def enter(self, phase: int) -> None:
        """Say what the steps from here on belong to."""
        self._shared[0] = phase

    def wait_for_steps(self, more: int) -> None:
        """Wait until so many more steps have been logged."""
        goal, deadline = self.steps + more, time.monotonic() + 120
        while self.steps < goal and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        assert self.steps >= goal, self.process.poll()

    def finish(self, timeout: float = 240) -> None:
        """Let it end, and take what it has said."""
        self.enter(STOP)
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, self.stderr

    def durations(self, *phases: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return how long the steps of some phases took, in seconds."""
        with np.load(self.folder / "steps.npz") as stored:
            chosen: np.ndarray[Any, np.dtype[np.float64]] = stored["times"][np.isin(stored["phases"], phases)]
            return chosen

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=30)
