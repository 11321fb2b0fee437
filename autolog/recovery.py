"""What dead processes left behind: their journals are sent, and their runs closed with the status that is true."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autolog.backend import Batch, Position
from autolog.backends import open_backend, open_reader
from autolog.config import default_spool
from autolog.entities import Run, RunStatus
from autolog.errors import AutologError, JournalError, NotFound
from autolog.events import RunUpdated
from autolog.journal import (
    ALIVE,
    WRITING,
    JournalInfo,
    host_name,
    is_journal,
    is_own_journal,
    read_info,
    remove_journal,
)
from autolog.journal_reader import JournalReader
from autolog.liveness import ProcessLock
from autolog.segments import list_segments
from autolog.writer import DAMAGED, Writer

logger = logging.getLogger("autolog")

# A folder without a journal in it that is younger than this many seconds may be about to get one.
_YOUNG: Final = 60.0
# Most seconds between the end of a process's pipes and that of its locks.
_ENDING: Final = 10.0


@dataclass(frozen=True)
class JournalState:
    """A journal as it lies in the spool.

    ``left`` counts the records that no backend is known to hold; ``size`` is in bytes; ``error`` says why a journal
    cannot be read at all.
    """

    journal: str
    folder: Path
    info: JournalInfo | None
    alive: bool
    left: int = 0
    size: int = 0
    open_runs: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    error: str = ""


@dataclass
class Recovered:
    """What became of one dead process's journal; ``error`` says why it waits on."""

    journal: str
    backend: str
    records: int = 0
    runs_killed: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    error: str = ""


def scan(spool: Path | None = None) -> list[JournalState]:
    """Describe every journal of the spool, oldest first; nothing is changed."""
    folders = _journal_folders(spool or default_spool())
    return [_describe(folder) for folder in folders if is_own_journal(folder.name) or _has_content(folder)]


def recover(
    spool: Path | None = None,
    backend: str | None = None,
    progress: Callable[[str, int], None] | None = None,
    *,
    any_host: bool = False,
) -> list[Recovered]:
    """Send what dead processes of this machine left in the spool, and close the runs that they left open.

    A run is closed as KILLED, at the time of its process's last sign of life; how it ended otherwise would be in
    the journal. A journal is worked on by one process at a time, and removed when its backend holds all of it.

    Args:
        spool: the folder of journals; the default one where it is not given.
        backend: only journals for the store at this URL, and those that do not say any more where they belong.
        progress: is called with a journal's id and how many of its records have been sent so far.
        any_host: also journals of other machines, which must be gone: their locks cannot be trusted from here.

    Returns:
        An entry for every journal of a dead process.
    """
    where = spool or default_spool()
    for remains in filter(is_journal, where.glob(".*")):
        # Somebody is deleting it, or ended while doing so.
        shutil.rmtree(remains, ignore_errors=True)
    done = []
    for folder in _journal_folders(where):
        if is_own_journal(folder.name):
            continue
        if not _has_content(folder):
            _sweep(folder)
            continue
        with _claim(folder) as claimed:
            if claimed:
                outcome = _recover_or_say_why_not(folder, backend, progress, any_host=any_host)
                if outcome is not None:
                    done.append(outcome)
    return done


def recover_journal(folder: Path) -> None:
    """Do for one journal what ``recover`` does, as soon as its process, which is ending, has let go of it.

    The caller is the journal's writer, and holds the lock that says so.
    """
    lock = ProcessLock(folder / ALIVE)
    deadline = time.monotonic() + _ENDING
    while not lock.acquire():
        if time.monotonic() > deadline or not folder.exists():
            return
        time.sleep(0.01)
    try:
        _recover_or_say_why_not(folder, None, None, any_host=False)
    finally:
        lock.release()


@contextlib.contextmanager
def _claim(folder: Path) -> Iterator[bool]:
    """Take a journal for this process, if its process is gone, and its writer too; say whether that is so."""
    locks = [ProcessLock(folder / name) for name in (ALIVE, WRITING)]
    try:
        yield all(lock.acquire() for lock in locks)
    finally:
        for lock in reversed(locks):
            lock.release()


def _recover_or_say_why_not(
    folder: Path, backend: str | None, progress: Callable[[str, int], None] | None, *, any_host: bool
) -> Recovered | None:
    try:
        info = read_info(folder)
    except JournalError as error:
        if backend is None:
            hint = "say where its records belong: autolog sync --backend URL"
            return Recovered(folder.name, "", error=f"{error}; {hint}")
        info = JournalInfo(journal=folder.name, backend=backend, pid=0, host=host_name(), started=0)
    if backend not in {None, info.backend}:
        return None
    if info.host != host_name() and not any_host:
        return Recovered(
            info.journal,
            info.backend,
            error=f"it is of the machine {info.host!r}; run autolog sync there, or, if that is gone, with --any-host",
        )
    try:
        return _recover(folder, info, progress)
    except Exception as error:  # noqa: BLE001  the next journal must have its turn
        return Recovered(info.journal, info.backend, error=f"{type(error).__name__}: {error}")


def _recover(folder: Path, info: JournalInfo, progress: Callable[[str, int], None] | None) -> Recovered:
    outcome = Recovered(info.journal, info.backend)
    try:
        writer = Writer(folder, info.backend, finished=True)
    except (JournalError, OSError) as error:
        outcome.error = str(error)
        return outcome
    start, end_time = writer.committed, _last_sign_of_life(folder, info)
    try:
        while writer.step():
            outcome.records = sum(writer.committed) - sum(start)
            if progress is not None:
                progress(info.journal, outcome.records)
        outcome.runs_killed = _close_runs(folder, info, writer.reader.open_runs, end_time)
    except (AutologError, OSError) as error:
        outcome.error = str(error)
    finally:
        outcome.damage = writer.reader.damage
        writer.close()
    if not outcome.error:
        if outcome.damage:
            logger.warning("the journal %s is damaged: %s; what was intact was sent", folder, "; ".join(outcome.damage))
            _set_aside(folder)
        else:
            remove_journal(folder)
    return outcome


def _close_runs(folder: Path, info: JournalInfo, runs: list[str], end_time: int) -> list[str]:
    if not runs:
        return []
    elsewhere = {
        run for other in _journal_folders(folder.parent) if other != folder for run in _open_runs_if_alive(other)
    }
    reader = open_reader(info.backend)
    try:
        running = [run for run in runs if run not in elsewhere and _is_running(reader.get_run, run)]
    finally:
        reader.close()
    if running:
        facts = [
            (number, RunUpdated(run_id=run, status=RunStatus.KILLED, end_time=end_time))
            for number, run in enumerate(running)
        ]
        backend = open_backend(info.backend)
        try:
            # A journal of its own, so that a second recovery of the same runs changes nothing.
            backend.write(Batch(f"{info.journal}-end", Position(facts=len(facts)), facts))
        finally:
            backend.close()
    return running


def _is_running(get_run: Callable[[str], Run], run_id: str) -> bool:
    try:
        return not get_run(run_id).info.status.is_terminated
    except NotFound:
        return False


def _last_sign_of_life(folder: Path, info: JournalInfo) -> int:
    signs = [info.started]
    for name in ("committed", ALIVE, "journal.json"):
        try:
            signs.append(int((folder / name).stat().st_mtime * 1000))
        except OSError:
            continue
    return max(signs)


def _open_runs_if_alive(folder: Path) -> list[str]:
    try:
        info = read_info(folder)
        if not is_own_journal(info.journal) and not _is_alive(folder):
            return []
        return _read_open_runs(folder)
    except (JournalError, OSError):
        return []


def _read_open_runs(folder: Path) -> list[str]:
    reader = JournalReader(folder)
    try:
        reader.read_index()
        return reader.open_runs
    finally:
        reader.close()


def _describe(folder: Path) -> JournalState:
    size = _size(folder)
    try:
        info = read_info(folder)
    except JournalError as error:
        return JournalState(folder.name, folder, None, alive=False, size=size, error=str(error))
    alive = is_own_journal(info.journal) or _is_alive(folder)
    try:
        reader = JournalReader(folder, finished=not alive)
    except (JournalError, OSError) as error:
        return JournalState(folder.name, folder, info, alive=alive, size=size, error=str(error))
    try:
        start = reader.position
        while reader.read() is not None:
            pass
        left = sum(reader.position) - sum(start)
        return JournalState(
            folder.name, folder, info, alive, max(0, left), size, tuple(reader.open_runs), tuple(reader.damage)
        )
    finally:
        reader.close()


def _size(folder: Path) -> int:
    size = 0
    # Its writer may be removing it.
    with contextlib.suppress(FileNotFoundError):
        for path in folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size if path.is_file() else 0
    return size


def _has_content(folder: Path) -> bool:
    """Say whether there is something to recover; if not, the journal is just being made, or has been finished with."""
    return bool((folder / "journal.json").exists() or list_segments(folder, "facts") or list_segments(folder, "points"))


def _sweep(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - folder.stat().st_mtime > _YOUNG:
            remove_journal(folder)


def _is_alive(folder: Path) -> bool:
    """Say whether the journal's process lives, or its writer, which will close its runs."""
    with _claim(folder) as claimed:
        return not claimed


def _journal_folders(spool: Path) -> Iterator[Path]:
    try:
        entries = sorted(entry.path for entry in os.scandir(spool) if entry.is_dir() and entry.name != DAMAGED)
    except OSError:
        return
    for folder in map(Path, entries):
        # What begins with a dot is being deleted; what else there is in the folder is somebody else's.
        if is_journal(folder) and not folder.name.startswith("."):
            yield folder


def _set_aside(folder: Path) -> None:
    try:
        aside = folder.parent / DAMAGED
        aside.mkdir(mode=0o700, exist_ok=True)
        folder.rename(aside / folder.name)
    except OSError as error:
        logger.warning("the damaged journal %s cannot be moved aside (%s)", folder, error)
