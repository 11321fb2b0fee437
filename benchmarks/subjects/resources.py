"""What a tool takes of the machine, in this process and in those that it started."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil


def tool_cpu(others: tuple[int, ...] = ()) -> int:
    """Return the nanoseconds of CPU of this process, its children dead and alive, and other processes."""
    spent = time.process_time()
    times = os.times()
    spent += times.children_user + times.children_system
    for process in _family(others):
        with contextlib.suppress(psutil.Error):
            used = process.cpu_times()
            spent += used.user + used.system + used.children_user + used.children_system
    return int(spent * 1e9)


def own_memory() -> int:
    """Return the bytes of memory that are this process's, its share of what it shares with others included."""
    return _memory(os.getpid())


def family_memory(others: tuple[int, ...] = ()) -> int:
    """Return the same of this process, its children and others together."""
    return own_memory() + sum(_memory(process.pid) for process in _family(others))


def _family(others: tuple[int, ...]) -> list[psutil.Process]:
    found = {process.pid: process for process in psutil.Process().children(recursive=True)}
    for pid in others:
        with contextlib.suppress(psutil.Error):
            found[pid] = psutil.Process(pid)
    return list(found.values())


def _memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
