"""Where a journal's writer runs: what the recorder asks of it, whether it is a thread or a process of its own."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod

from autolog.backend import Position

# Seconds between two looks at whether the writer is still there, while somebody waits for it.
_LOOK: float = 0.1


class WriterHome(ABC):
    """Runs the writer of one journal.

    ``committed`` is how much of the journal the backend holds, ``problem`` why it does not take records at present;
    None while it does.
    """

    def __init__(self) -> None:
        self.committed = Position()
        self.problem: str | None = None
        self._progress = threading.Condition()

    @abstractmethod
    def start(self) -> None:
        """Start it. Raises RuntimeError where no thread can be started."""

    @abstractmethod
    def wake(self) -> None:
        """Have it look for records now."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Say whether it runs."""

    @abstractmethod
    def stop(self, timeout: float) -> bool:
        """Ask it to end after its present batch; return whether it has, within a timeout in seconds."""

    @abstractmethod
    def leave(self) -> bool:
        """Let it go on alone after this process; return whether it will."""

    @abstractmethod
    def abandon(self) -> None:
        """In a forked child: leave it to the parent."""

    def wait(self, position: Position, timeout: float | None) -> bool:
        """Wait until the backend holds everything up to a position; return whether it does, within the timeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._progress:
            while not self._has_reached(position):
                self.wake()
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not self.is_alive():
                    return False
                self._progress.wait(_LOOK if left is None else min(left, _LOOK))
        return True

    def note(self, committed: Position, problem: str | None) -> None:
        """Take notice of how the writer stands, and tell those who wait."""
        with self._progress:
            self.committed, self.problem = committed, problem
            self._progress.notify_all()

    def _has_reached(self, position: Position) -> bool:
        return self.committed.facts >= position.facts and self.committed.points >= position.points
