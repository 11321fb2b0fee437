"""The writer in a process of its own, as the training's process sees it.

That process tails the journal, so that no database driver, no batch and no wait for the interpreter's lock is in
the training. It is told to look for records, and to end, through a pipe; what it says comes back through another.
A pipe that ends means that the training's process is gone: then it sends the rest, and closes the runs left open.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Union

import msgspec
from msgspec import Struct

from autolog.backend import Position
from autolog.late_imports import importing
from autolog.writer import Writer
from autolog.writer_home import WriterHome
from autolog.writer_thread import WriterThread

logger = logging.getLogger("autolog")

WAKE: Final = b"wake\n"
STOP: Final = b"stop\n"

# Isolated from the environment's PYTHON* variables; what the training's process can import, it can import too.
_BOOT: Final = (
    "import json, sys; order = json.loads(sys.stdin.readline()); sys.path[:] = order['path']; "
    "from autolog.writer_program import main; main(order['folder'], order['interval'])"
)
# Seconds before a process that has ended unasked is started again; how often that is tried in vain.
_RESTART: Final = 0.1
_TRIES: Final = 5


class Progress(Struct, frozen=True, tag=True):
    """How the writer stands."""

    committed: Position
    problem: str | None


class Message(Struct, frozen=True, tag=True):
    """A line for the ``autolog`` logger."""

    level: int
    text: str


encode_report: Final = msgspec.json.Encoder().encode
_decode_report: Final = msgspec.json.Decoder(Union[Progress, Message]).decode


class WriterProcess(WriterHome):
    """Runs a writer in a process of its own, and starts another where that one dies.

    Where no process can be started, as in a container that allows no more of them, it is a thread after all.

    Args:
        folder: the journal's.
        interval: seconds between batches once the process has been running for a while.
        make_writer: makes the writer, should it have to be a thread.
    """

    def __init__(self, folder: Path, interval: float, make_writer: Callable[[], Writer]) -> None:
        super().__init__()
        self._folder = folder
        self._interval = interval
        self._make_writer = make_writer
        self._orders: int | None = None
        self._turn = threading.RLock()
        self._stopping = False
        self._substitute: WriterThread | None = None
        self._thread = threading.Thread(target=self._run, name="autolog-writer", daemon=True)

    def start(self) -> None:
        """See ``WriterHome.start``: what is started here is the thread that starts, and listens to, the process."""
        self._thread.start()

    def wake(self) -> None:
        """See ``WriterHome.wake``."""
        if self._substitute is not None:
            self._substitute.wake()
        else:
            self._order(WAKE)

    def is_alive(self) -> bool:
        """See ``WriterHome.is_alive``: a process that dies is started again."""
        return self._thread.is_alive()

    def stop(self, timeout: float) -> bool:
        """See ``WriterHome.stop``."""
        self._stopping = True
        if self._substitute is not None:
            self._substitute.ask_to_stop()
        else:
            self._order(STOP)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def leave(self) -> bool:
        """See ``WriterHome.leave``."""
        return self._orders is not None

    def abandon(self) -> None:
        """See ``WriterHome.abandon``: the writer must see the pipe end with the parent, not with the child."""
        if self._orders is not None:
            with contextlib.suppress(OSError):
                os.close(self._orders)

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            before = self.committed
            try:
                process = self._launch()
            except (OSError, ValueError, RuntimeError) as error:
                logger.debug("no process can be started for the writer (%s); it is a thread", error)
                self._write_here()
                return
            last_words = self._listen(process)
            self._hang_up()
            process.wait()
            if self._stopping:
                return
            logger.debug("the writer's process ended by itself (%s): %s", process.returncode, last_words)
            failures = 0 if self.committed != before else failures + 1
            if failures >= _TRIES:
                logger.warning(
                    "the writer's process does not run (%s); it is a thread instead", last_words or "no word"
                )
                self._write_here()
                return
            time.sleep(_RESTART * 2.0**failures)

    def _write_here(self) -> None:
        self._substitute = WriterThread(self._make_writer, self._interval, self.note)
        if self._stopping:
            self._substitute.ask_to_stop()
        self._substitute.run()

    def _launch(self) -> subprocess.Popen[bytes]:
        if not sys.executable or getattr(sys, "frozen", False):
            raise OSError("this program is not Python's own")
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109  an entry of sys.path is a text
        order = {"path": path, "folder": str(self._folder), "interval": self._interval}
        # A child that is forked in the middle of this would keep the pipes open, and wait for it.
        with importing():
            theirs, ours = os.pipe()
            try:
                process = subprocess.Popen(  # noqa: S603  this interpreter, with our own text
                    [sys.executable, "-I", *(["-B"] if sys.dont_write_bytecode else []), "-c", _BOOT],
                    stdin=theirs,
                    stdout=subprocess.PIPE,
                    # Not the training's: whoever reads that to its end must not wait for the writer.
                    stderr=subprocess.STDOUT,
                    # Ctrl-C in a terminal is meant for the training.
                    start_new_session=True,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except BaseException:
                os.close(ours)
                raise
            finally:
                os.close(theirs)
            with self._turn:
                self._orders = ours
        if sys.platform != "win32":
            # A process that is stuck must not hold up the one that wakes it.
            os.set_blocking(ours, False)
        self._order(msgspec.json.encode(order) + b"\n" + (STOP if self._stopping else b""))
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> str:
        """Take what the process says until it ends; return the last of it that is no report."""
        words = ""
        with process.stdout or contextlib.nullcontext() as output:
            for line in output or ():
                try:
                    report = _decode_report(line)
                except msgspec.DecodeError:
                    words = line.decode(errors="replace").strip()
                    continue
                if isinstance(report, Progress):
                    self.note(report.committed, report.problem)
                else:
                    logger.log(report.level, "%s", report.text)
        return words

    def _order(self, text: bytes) -> None:
        with self._turn, contextlib.suppress(OSError):
            if self._orders is not None:
                os.write(self._orders, text)

    def _hang_up(self) -> None:
        with self._turn:
            if self._orders is not None:
                os.close(self._orders)
                self._orders = None
