"""The recorder: this process's journal and writer, made when the first record comes, remade in a forked child."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from autolog.backend import Position
from autolog.config import Settings
from autolog.errors import JournalError
from autolog.events import Fact
from autolog.guard import guard
from autolog.journal import OUT_OF_SPACE, Journal, JournalClosed
from autolog.journal_reader import count_left
from autolog.late_imports import importing
from autolog.writer import Writer
from autolog.writer_home import WriterHome
from autolog.writer_process import WriterProcess
from autolog.writer_thread import WriterThread

logger = logging.getLogger("autolog")

# A journal that could not be made is tried again after this many seconds.
_RETRY_AFTER: Final = 5.0


class Recorder:
    """Takes the records of this process, and sees that they reach the backend.

    Nothing here raises for a reason that is ours: where no journal can be made, records are dropped and counted.

    Args:
        settings: where the spool and the backend are, and how often to write.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._journal: Journal | None = None
        self._home: WriterHome | None = None
        self._turn = threading.RLock()
        self._retry_at = 0.0
        self._lost = 0
        self._on_fork: weakref.WeakSet[ForkAware] = weakref.WeakSet()
        _RECORDERS.add(self)

    @property
    def journal(self) -> Journal | None:
        """The journal; None where none can be made now."""
        return self._journal or self._open()

    @property
    def dropped(self) -> int:
        """How many records were lost because no journal could take them."""
        return self._lost + (self._journal.dropped if self._journal is not None else 0)

    @property
    def problem(self) -> str | None:
        """Why the backend does not take records at present; None while it does."""
        return self._home.problem if self._home is not None else None

    def record(self, fact: Fact, *, owns_run: bool = True) -> bool:
        """Take a fact; ``owns_run``, and what is returned, as in ``Journal.append``."""
        while (journal := self._journal or self._open()) is not None:
            # Another thread may close it at any moment; the next one is then made here.
            with contextlib.suppress(JournalClosed):
                return journal.append(fact, owns_run=owns_run)
        self.drop()
        return False

    def drop(self) -> None:
        """Count a record that no journal could take."""
        self._lost += 1

    def record_file(self, fact: Callable[[str], Fact], fill: Callable[[Path], None]) -> None:
        """Take a file.

        Args:
            fact: makes the event from the name of the staged file.
            fill: writes the content to the path that it is given; what it raises is raised.
        """
        journal = self._journal or self._open()
        if journal is None:
            self.drop()
            return
        path: Path | None = None
        try:
            path = journal.stage()
            fill(path)
        except OSError as error:
            if path is not None:
                path.unlink(missing_ok=True)
            if journal.closed:
                self.drop()
                return
            if error.errno not in OUT_OF_SPACE:
                raise
            journal.complain(error)
            journal.dropped += 1
        else:
            self._append_file(journal, fact, path)

    def _append_file(self, journal: Journal | None, fact: Callable[[str], Fact], path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            while journal is not None:
                with contextlib.suppress(JournalClosed):
                    journal.append(fact(path.name))
                    return
                # Another thread has closed it: the file goes into the next one.
                journal = self._journal or self._open()
                if journal is not None:
                    path = path.replace(journal.stage())
        self.drop()

    def watch_fork(self, member: ForkAware) -> None:
        """Tell an object, for as long as it lives, when a forked child begins."""
        self._on_fork.add(member)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the backend holds everything recorded before the call.

        Args:
            timeout: most seconds to wait; None waits as long as it takes.

        Returns:
            Whether the backend holds it all.
        """
        if self._journal is None:
            return self._lost == 0
        position = self._journal.position()
        if self._home is None:
            return position == Position()
        return self._home.wait(position, timeout) and self.dropped == 0

    def close(self, timeout: float) -> int:
        """Write what is left, within a time, and end.

        Args:
            timeout: most seconds that this may take.

        Returns:
            How many records stay in the journal, for ``autolog sync`` to send.
        """
        deadline = time.monotonic() + timeout
        with self._turn:
            journal, home = self._journal, self._home
            self._journal = self._home = None
        _RECORDERS.discard(self)
        if journal is None:
            return 0
        # What a thread that runs on logs from here on goes into a new journal, for recovery to find.
        position = journal.close()
        self._lost += journal.dropped
        if home is not None:
            reached = home.wait(position, max(0.0, deadline - time.monotonic()))
            if not reached and home.problem is None and home.leave():
                # It takes the journal over, and sends the rest, when this process has ended.
                return 0
            if not home.stop(max(0.05, deadline - time.monotonic())):
                # It hangs in the backend. The journal stays locked by this process, and so its own, until it ends.
                return max(1, count_left(journal.folder))
        # Another thread may have appended between the two lines above: what counts is in the files.
        left = count_left(journal.folder)
        if left and (home is None or home.problem is None):
            self._drain(journal, deadline)
            left = count_left(journal.folder)
        # Where a run's end may have been dropped, recovery ends it.
        journal.release(remove=left == 0 and journal.dropped == 0)
        return left

    def _drain(self, journal: Journal, deadline: float) -> None:
        # Where no thread could be started, or one has missed the last records, the work is done here.
        try:
            writer = self._make_writer(journal)
        except JournalError:
            return
        try:
            while time.monotonic() < deadline and writer.step():
                pass
        except Exception:
            logger.debug("writing at the end failed", exc_info=True)
        finally:
            writer.close()

    def _open(self) -> Journal | None:
        with self._turn:
            if self._journal is not None or time.monotonic() < self._retry_at:
                return self._journal
            try:
                journal = Journal(self.settings.spool, self.settings.backend, self.settings.spool_limit)
            except JournalError as error:
                if not self._lost:
                    logger.warning("%s; nothing is recorded until then", error)
                self._retry_at = time.monotonic() + _RETRY_AFTER
                return None
            self._journal = journal
            self._start(journal)
            return journal

    def _start(self, journal: Journal) -> None:
        home = self._make_home(journal)
        try:
            home.start()
        except RuntimeError:
            logger.debug("no thread can be started; records are written at the end")
            return
        self._home = home
        if isinstance(home, WriterThread):
            with guard("recovering what earlier processes left"):
                self._recover_others(journal)

    def _make_home(self, journal: Journal) -> WriterHome:
        if self.settings.writer == "process":
            return WriterProcess(journal.folder, self.settings.flush_interval, lambda: self._make_writer(journal))
        # fsspec needs it; it sets up for forks, and must not do so on a thread of ours while a fork waits for us.
        import concurrent.futures.thread  # noqa: F401

        return WriterThread(lambda: self._make_writer(journal), self.settings.flush_interval)

    def _recover_others(self, journal: Journal) -> None:
        if any(other.name != journal.id for other in self.settings.spool.iterdir()):
            threading.Thread(target=_recover, args=(self.settings.spool,), name="autolog-recovery", daemon=True).start()

    def _make_writer(self, journal: Journal) -> Writer:
        return Writer(journal.folder, self.settings.backend)

    def _begin_child(self) -> None:
        # What the parent's thread has open must not be closed by the child's garbage collector.
        journal, home = self._journal, self._home
        _INHERITED.append((journal, home))
        self._journal = self._home = None
        self._turn = threading.RLock()
        self._lost = 0
        if journal is not None:
            journal.abandon()
        if home is not None:
            home.abandon()
        # A process of multiprocessing's ends without running what atexit has; this runs once it has set itself up.
        processes = sys.modules.get("multiprocessing.util")
        if processes is not None:
            processes.register_after_fork(self, _close_with_process)
        for member in list(self._on_fork):
            member.begin_child()


class ForkAware(Protocol):
    """Something that holds what belongs to one process."""

    def begin_child(self) -> None:
        """Forget it, in a forked child."""


def _close_with_process(recorder: Recorder) -> None:
    from multiprocessing.util import Finalize

    Finalize(recorder, recorder.close, args=(recorder.settings.exit_timeout,), exitpriority=1)


def _recover(spool: Path) -> None:
    with guard("recovering what earlier processes left"):
        with importing():
            from autolog.recovery import recover

        recover(spool)


_RECORDERS: Final[weakref.WeakSet[Recorder]] = weakref.WeakSet()
_INHERITED: Final[list[object]] = []


def _begin_child() -> None:
    for recorder in list(_RECORDERS):
        recorder._begin_child()  # noqa: SLF001  the one caller, in the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
