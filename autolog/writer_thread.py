"""The writer in a daemon thread: when it looks for records, and what it does while the backend refuses them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from autolog.backend import Position
from autolog.errors import AutologError
from autolog.late_imports import importing
from autolog.writer import Writer
from autolog.writer_home import WriterHome

logger = logging.getLogger("autolog")

# Seconds. What is logged in the first moments of a script should be seen soon; after that, larger batches are cheaper.
_FIRST_DELAY: Final = 0.05
_IDLE_DELAY: Final = 2.0
_EARLY_ROUNDS: Final = 10
_QUIET_ROUNDS: Final = 40
_BACK_OFF: Final = (0.5, 60.0)


class WriterThread(WriterHome):
    """Runs a writer in a daemon thread.

    Args:
        make_writer: makes the writer; called in the thread.
        interval: seconds between batches once the process has been running for a while.
        report: is called in the thread whenever it has got on or met a problem, with ``committed`` and ``problem``.
    """

    def __init__(
        self,
        make_writer: Callable[[], Writer],
        interval: float,
        report: Callable[[Position, str | None], None] | None = None,
    ) -> None:
        super().__init__()
        self._make_writer = make_writer
        self._interval = interval
        self._report = report or self.note
        self._writer: Writer | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._complained = False
        self._failures = 0
        self._thread = threading.Thread(target=self.run, name="autolog-writer", daemon=True)

    def start(self) -> None:
        """See ``WriterHome.start``."""
        self._thread.start()

    def wake(self) -> None:
        """See ``WriterHome.wake``."""
        self._wake.set()

    def is_alive(self) -> bool:
        """See ``WriterHome.is_alive``."""
        return self._thread.is_alive()

    def stop(self, timeout: float | None) -> bool:
        """See ``WriterHome.stop``; None waits as long as it takes."""
        self.ask_to_stop()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def ask_to_stop(self) -> None:
        """Have the loop end after its present batch."""
        self._stopping.set()
        self._wake.set()

    def leave(self) -> bool:
        """See ``WriterHome.leave``: a thread ends with its process."""
        return False

    def abandon(self) -> None:
        """See ``WriterHome.abandon``: the child has no such thread."""

    def run(self) -> None:
        """Write until the end is asked for, in the thread that calls this."""
        rounds = quiet = 0
        while True:
            stop = self._stopping.is_set()
            try:
                moved = self._move_all()
            except Exception as error:  # noqa: BLE001  whatever it is, the training goes on and the journal keeps
                self._failures += 1
                self._complain(error)
                delay = self._back_off(self._failures)
                # Somebody who waits for the store wakes this thread again and again: a store in trouble is spared that.
                self._stopping.wait(min(delay, _BACK_OFF[0]))
            else:
                rounds += moved
                quiet = 0 if moved else quiet + 1
                if quiet > _QUIET_ROUNDS:
                    delay = max(self._interval, _IDLE_DELAY)
                else:
                    delay = self._interval if rounds > _EARLY_ROUNDS else min(_FIRST_DELAY, self._interval)
            if stop:
                break
            self._wake.wait(delay)
            self._wake.clear()
        if self._writer is not None:
            self._close(self._writer)

    def _move_all(self) -> bool:
        moved = False
        if self._writer is None:
            with importing():
                import numpy  # noqa: F401
            self._writer = self._make_writer()
        while not (moved and self._stopping.is_set()) and self._writer.step():
            moved = True
            # Here, and not when all has been moved: a training that logs on and on never lets that be.
            self._failures = 0
            if self._complained:
                self._complained = False
                logger.warning("the backend answers again; it gets what has waited in the journal")
            self._report(self._writer.committed, None)
        return moved

    def _complain(self, error: Exception) -> None:
        self._report(self._writer.committed if self._writer is not None else self.committed, str(error))
        if not self._complained:
            self._complained = True
            logger.warning(
                "the backend cannot be written (%s); records wait in the journal",
                error,
                exc_info=None if isinstance(error, (AutologError, OSError)) else error,
            )
        if self._writer is not None:
            try:
                self._writer.reset()
            except Exception:
                logger.debug("closing the backend failed", exc_info=True)

    def _back_off(self, failures: int) -> float:
        low, high = _BACK_OFF
        # Jitter from the system: the random module's global generator belongs to the user's program.
        return min(low * 2.0 ** min(failures - 1, 10), high) * (0.5 + os.urandom(1)[0] / 510)

    def _close(self, writer: Writer) -> None:
        try:
            writer.close()
        except Exception:
            logger.debug("closing the writer failed", exc_info=True)
