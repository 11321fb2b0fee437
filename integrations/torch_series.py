"""Series of losses: what they are called after the user's code, and their means over epochs and evaluations."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Final

from autolog.callers import name_in

_BACKWARD_OF: Final = re.compile(r"(\w+)\)?\.backward\(|\.backward\((\w+)[,)]")
_FRAMES_SEARCHED: Final = 50


class Means:
    """Means of values by their names, weighted by the rows that each was computed from."""

    __slots__ = ("sums",)

    def __init__(self) -> None:
        self.sums: Final[dict[str, list[float]]] = {}

    def add(self, name: str, value: float, rows: int) -> None:
        """Take a value in."""
        sums = self.sums.get(name)
        if sums is None:
            self.sums[name] = [value * rows, rows]
        else:
            sums[0] += value * rows
            sums[1] += rows

    def means(self) -> Iterator[tuple[str, float]]:
        """Yield names and means."""
        for name, (total, rows) in self.sums.items():
            yield name, total / rows


def name_loss(code: CodeType, offset: int, loss: Any) -> str | None:
    """Return what the user's code calls the loss whose backward pass it begins at a place; None where that has no name.

    Args:
        code: where ``backward`` is called.
        offset: of the instruction in it.
        loss: the loss, if it is still there.
    """
    frame = frame_of(code)
    if frame is not None and loss is not None and (name := name_in(frame, loss)) is not None:
        return name
    found = _BACKWARD_OF.search(linecache.getline(code.co_filename, line_of(code, offset)))
    return next(filter(None, found.groups()), None) if found else None


def frame_of(code: CodeType) -> FrameType | None:
    """Return the frame that runs some code, if it is one of those that have called."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the documented way to the caller
    for _ in range(_FRAMES_SEARCHED):
        if frame is None or frame.f_code is code:
            return frame
        frame = frame.f_back
    return None


def line_of(code: CodeType, offset: int) -> int:
    """Return the number of the line of an instruction in its file."""
    lines = (line for start, end, line in code.co_lines() if start <= offset < end and line is not None)
    return next(lines, code.co_firstlineno)
