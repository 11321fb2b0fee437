"""The writer: drains one journal into one backend, batch by batch, exactly once.

It knows a journal by its folder and a backend by its URL and nothing else of the process that trains,
so that it runs as well in a thread of that process as in another, while the process lives or after its death.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autolog.backend import Backend, Batch, Position
from autolog.backends import open_backend
from autolog.entities import Artifact
from autolog.errors import AutologError
from autolog.events import ArtifactLogged
from autolog.journal_reader import JournalReader, write_committed
from autolog.late_imports import importing
from autolog.values import shorten

if TYPE_CHECKING:
    from autolog.artifact_store import ArtifactStore

logger = logging.getLogger("autolog")

# What could not be stored or read is kept in this folder of the spool.
DAMAGED: Final = "damaged"

# A file system that answers so will answer so again: the name is too long, or a folder is where a file should be.
_NEVER: Final = frozenset({errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP})

# Seconds. What is logged in the first moments of a script should be seen soon; after that, larger batches are cheaper.
_FIRST_DELAY: Final = 0.05
_IDLE_DELAY: Final = 2.0
_EARLY_ROUNDS: Final = 10
_QUIET_ROUNDS: Final = 40
_BACK_OFF: Final = (0.5, 60.0)


class Writer:
    """Moves the records of a journal into a backend.

    Args:
        folder: the journal's folder.
        url: of the backend, which is opened before the first batch, and again after a failure.
        finished: the journal's process is gone.
    """

    def __init__(self, folder: Path, url: str, *, finished: bool = False) -> None:
        self.reader = JournalReader(folder, finished=finished)
        self.committed = self.reader.position
        self._url = url
        self._backend: Backend | None = None
        self._pending: Batch | None = None

    def step(self) -> bool:
        """Move one batch; return whether there was one.

        A batch that fails stays pending and is the next to be tried: nothing is passed over.

        Raises:
            AutologError: the backend or the artifact store cannot take it now.
            OSError: the same, from below.
        """
        batch = self._pending or self.reader.read()
        if batch is None:
            return False
        self._pending = batch
        if self._backend is None:
            self._backend = open_backend(self._url)
        self._backend.write(batch)
        self._store_artifacts(self._backend, batch)
        self._pending = None
        self.committed = batch.end
        write_committed(self.reader.folder, batch.end)
        self.reader.release(batch.end)
        return True

    def reset(self) -> None:
        """Close the backend, so that the next step opens it anew."""
        if self._backend is not None:
            backend, self._backend = self._backend, None
            backend.close()

    def close(self) -> None:
        """Give everything back."""
        self.reader.close()
        self.reset()

    def _store_artifacts(self, backend: Backend, batch: Batch) -> None:
        logged: dict[str, list[ArtifactLogged]] = defaultdict(list)
        for _, fact in batch.facts:
            if isinstance(fact, ArtifactLogged):
                logged[fact.run_id].append(fact)
        if not logged:
            return
        with importing():
            from autolog.artifact_store import ArtifactStore
        for run_id, facts in logged.items():
            store = ArtifactStore(backend.artifact_uri(run_id))
            stored = [artifact for fact in facts if (artifact := self._store(store, fact)) is not None]
            backend.record_artifacts(run_id, stored)
            for fact in facts:
                (self.reader.folder / "stage" / fact.staged).unlink(missing_ok=True)

    def _store(self, store: ArtifactStore, fact: ArtifactLogged) -> Artifact | None:
        staged = self.reader.folder / "stage" / fact.staged
        if not staged.exists():
            # Stored in an earlier try of the same batch, which failed after it.
            return None
        try:
            return store.put(staged, fact.path)
        except OSError as error:
            if error.errno not in _NEVER:
                raise
            self._set_aside(staged, fact, error)
            return None

    def _set_aside(self, staged: Path, fact: ArtifactLogged, error: OSError) -> None:
        """Keep a file that its store will never take, so that it does not hold up what comes after it."""
        aside = self.reader.folder.parent / DAMAGED
        aside.mkdir(mode=0o700, exist_ok=True)
        kept = staged.replace(aside / f"{self.reader.folder.name}-{staged.name}")
        logger.warning(
            "the artifact %s of the run %s cannot be stored (%s); its content is kept as %s",
            shorten(fact.path),
            fact.run_id,
            error.strerror,
            kept,
        )


class WriterThread:
    """Runs a writer in a daemon thread.

    Args:
        make_writer: makes the writer; called in the thread.
        interval: seconds between batches once the process has been running for a while.
    """

    def __init__(self, make_writer: Callable[[], Writer], interval: float) -> None:
        self._make_writer = make_writer
        self._interval = interval
        self._writer: Writer | None = None
        self._wake = threading.Event()
        self._stop = False
        self._progress = threading.Condition()
        self._complained = False
        self._thread = threading.Thread(target=self._run, name="autolog-writer", daemon=True)
        self.error: BaseException | None = None

    @property
    def committed(self) -> Position:
        """How much of the journal the backend holds."""
        return self._writer.committed if self._writer is not None else Position()

    def start(self) -> None:
        """Start the thread. Raises RuntimeError where the interpreter is shutting down."""
        self._thread.start()

    def wait(self, position: Position, timeout: float | None) -> bool:
        """Wait until the backend holds everything up to a position; return whether it does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._progress:
            while not self._has_reached(position):
                self._wake.set()
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not self._thread.is_alive():
                    return False
                self._progress.wait(0.1 if left is None else min(left, 0.1))
        return True

    def stop(self, timeout: float | None) -> bool:
        """Ask the thread to end after its present batch; return whether it has, within the timeout."""
        self._stop = True
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _has_reached(self, position: Position) -> bool:
        committed = self.committed
        return committed.facts >= position.facts and committed.points >= position.points

    def _run(self) -> None:
        failures = rounds = quiet = 0
        while True:
            stop = self._stop
            try:
                moved = self._move_all()
            except Exception as error:  # noqa: BLE001  whatever it is, the training goes on and the journal keeps
                failures += 1
                self._complain(error)
                delay = self._back_off(failures)
            else:
                failures = 0
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
            self._close()

    def _move_all(self) -> bool:
        moved = False
        if self._writer is None:
            with importing():
                import numpy  # noqa: F401
            self._writer = self._make_writer()
        while not (moved and self._stop) and self._writer.step():
            moved = True
            self.error = None
            if self._complained:
                self._complained = False
                logger.warning("the backend answers again; nothing was lost")
            with self._progress:
                self._progress.notify_all()
        return moved

    def _complain(self, error: Exception) -> None:
        self.error = error
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
        return min(low * 2.0 ** (failures - 1), high) * (0.5 + os.urandom(1)[0] / 510)

    def _close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except Exception:
            logger.debug("closing the writer failed", exc_info=True)
