"""The writer in a process of its own, from the inside: what that process runs."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

from autolog.backend import Position
from autolog.guard import guard
from autolog.journal import WRITING, adopt_journal, read_info
from autolog.liveness import ProcessLock
from autolog.writer import Writer
from autolog.writer_process import STOP, Message, Progress, encode_report
from autolog.writer_thread import WriterThread

# Most seconds for the batch that is under way when the training's process has gone.
_LAST_BATCH: Final = 60.0

_claims: Final[list[ProcessLock]] = []


def main(folder: str, interval: float) -> None:
    """Write a journal until the process that fills it says stop or is gone; orders come through the standard input.

    Args:
        folder: the journal's.
        interval: seconds between batches.
    """
    _Reports.descriptor = _take_over_output()
    logger = logging.getLogger("autolog")
    logger.addHandler(_ReportHandler(logging.INFO))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    journal = Path(folder)
    if not _claim(journal):
        os._exit(1)
    writer = WriterThread(lambda: Writer(journal, read_info(journal).backend), interval, _report_progress)
    writer.start()
    threading.Thread(target=_recover_others, args=(journal.parent,), daemon=True).start()
    stopped = False
    for order in sys.stdin.buffer:
        if order == STOP:
            stopped = True
            break
        writer.wake()
    ended = writer.stop(None if stopped else _LAST_BATCH)
    if ended and not stopped:
        from autolog.recovery import recover_journal

        recover_journal(journal)
    # Nothing is left to be done, and somebody waits for the end.
    os._exit(0)


class _Reports:
    """Where reports go, one line each."""

    descriptor: int = 1
    turn: Final = threading.Lock()

    @classmethod
    def send(cls, report: Progress | Message) -> None:
        # The one that listened may be gone.
        with cls.turn, contextlib.suppress(OSError):
            os.write(cls.descriptor, encode_report(report) + b"\n")


class _ReportHandler(logging.Handler):
    """Hands the logger's lines to the training's process, where the user's handlers are."""

    def emit(self, record: logging.LogRecord) -> None:
        _Reports.send(Message(record.levelno, self.format(record)))


def _claim(journal: Path) -> bool:
    """Keep every other writer from the journal, recovery's too; an earlier one may still be at its last batch."""
    adopt_journal(journal.name)
    lock = ProcessLock(journal / WRITING)
    deadline = time.monotonic() + _LAST_BATCH
    while not lock.acquire():
        if time.monotonic() > deadline or not journal.exists():
            return False
        time.sleep(0.05)
    # Until the process ends.
    _claims.append(lock)
    return True


def _report_progress(committed: Position, problem: str | None) -> None:
    _Reports.send(Progress(committed, problem))


def _take_over_output() -> int:
    """Keep the standard output for reports: what a library prints goes nowhere."""
    descriptor = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return descriptor


def _recover_others(spool: Path) -> None:
    with guard("recovering what earlier processes left"):
        from autolog.recovery import recover

        recover(spool)
