"""Which run takes what is written for TensorBoard, and under which names."""

from __future__ import annotations

import re
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final

from autolog import loops
from autolog.run import ActiveRun, active_run
from autolog.training import current_training, is_silenced

Write = Callable[[ActiveRun], object]

MOST_HELD: Final = 256
"""So many values wait in a thread, while there is no run, for a loop that may be about to begin."""

# Seconds that they wait, and bytes that one of them may have.
_LONGEST_WAIT: Final = 600.0
_LARGEST_HELD: Final = 1 << 18

DENSE: Final = 50
"""So many files of a tag are kept one by one; of what comes then, every second for as many files, every fourth ..."""

_WRITERS: Final = frozenset({"autolog", "torch", "tensorboardX", "tensorboard", "tensorflow"})
# What these log of their trainings is recorded of the trainings themselves.
_FRAMEWORKS: Final = frozenset(
    {"keras", "tf_keras", "lightning", "pytorch_lightning", "lightning_fabric", "transformers"}
)
_ODD: Final = re.compile(r"[^\w. +=,@-]")


def find_run() -> ActiveRun | None:
    """Return the run that takes what is written here; None where there is none, or where it is recorded already."""
    training = current_training()
    if training is None:
        return active_run()
    return None if is_elsewhere() else active_run() or training.run


def is_elsewhere() -> bool:
    """Say whether what is written here is part of a training, and is recorded of that, or not at all."""
    if current_training() is None:
        return False
    if is_silenced():
        return True
    frame = sys._getframe()  # noqa: SLF001  the documented way to the caller
    while frame.f_back is not None:
        frame = frame.f_back
        library = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if library not in _WRITERS:
            return library in _FRAMEWORKS
    return False


class _Held(threading.local):
    def __init__(self) -> None:
        self.writes: deque[tuple[float, Write]] = deque(maxlen=MOST_HELD)


_held: Final = _Held()


def hold(write: Write, size: int) -> None:
    """Keep what is written while there is no run, for the loop that may begin with the next step of an optimizer.

    Args:
        write: records it in a run.
        size: bytes that it holds; what is large is let go.
    """
    if size <= _LARGEST_HELD and not is_elsewhere():
        _held.writes.append((time.monotonic(), write))


def _deliver(loop: loops.Loop) -> None:
    earliest = time.monotonic() - _LONGEST_WAIT
    while _held.writes:
        moment, write = _held.writes.popleft()
        if moment >= earliest:
            write(loop.run)


loops.observers.append(_deliver)


class Tags:
    """The tags of one run: what their metrics are called, and how many of their files are kept."""

    def __init__(self) -> None:
        # By folder and tag; and the folder that a metric comes from.
        self._keys: Final[dict[tuple[Any, str], str]] = {}
        self._folders: Final[dict[str, str]] = {}
        self._counts: Final[dict[str, tuple[int, int]]] = {}

    def name(self, folder: Any, tag: str) -> str:
        """Return what a tag is called: as it is; where another folder has it, with the folder's name before it."""
        name = self._keys.get((folder, tag))
        if name is None:
            name = tag or "untitled"
            place = str(folder)
            if self._folders.setdefault(name, place) != place:
                name = f"{PurePath(place).name}/{name}"
            self._keys[folder, tag] = name
        return name

    def keeps(self, path: str) -> bool:
        """Say whether the next file of a tag is kept."""
        seen, kept = self._counts.get(path, (0, 0))
        is_kept = seen % (1 << kept // DENSE) == 0
        self._counts[path] = seen + 1, kept + is_kept
        return is_kept


_of_runs: Final[weakref.WeakKeyDictionary[ActiveRun, Tags]] = weakref.WeakKeyDictionary()
# The one that was asked for last, since looking it up takes a fifth of what recording a scalar does.
_latest: Final[list[tuple[ActiveRun, Tags]]] = []


def tags_of(run: ActiveRun) -> Tags:
    """Return the tags of a run."""
    if _latest and _latest[0][0] is run:
        return _latest[0][1]
    tags = _of_runs.setdefault(run, Tags())
    _latest[:] = [(run, tags)]
    return tags


def store(run: ActiveRun, kind: str, name: str, step: int, suffix: str, content: bytes) -> None:
    """Store a file of a tag, unless there are many of it already.

    Args:
        run: where to.
        kind: the folder, such as ``images``.
        name: the tag's.
        step: is the file's name.
        suffix: ends the file's name.
        content: what it holds.
    """
    path = "/".join([kind, *(_ODD.sub("_", part).strip(". ") or "_" for part in name.split("/"))])
    if tags_of(run).keeps(path):
        run.log_content(f"{path}/{step}{suffix}", content)
