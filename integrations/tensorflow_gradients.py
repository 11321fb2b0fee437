"""What tapes have differentiated, and so the losses of steps that are yet to come."""

from __future__ import annotations

import weakref
from typing import Any, Final

from autolog.integrations.tensorflow_values import as_scalar

_NO_NUMBER: Final = "a loss that is not one number"
_SEVERAL: Final = "the losses of a tape that is used several times for a step"


class Gradient:
    """What has been differentiated for a step that is yet to come; several times where gradients are accumulated.

    ``target`` names the tensor in a graph, where it is one of those; ``losses`` are what it has been computed by, and
    ``name`` is the user's for it.
    """

    __slots__ = ("_tape", "hidden", "losses", "name", "target", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.losses: list[Any] = []
        self.name: str | None = None
        self.target: tuple[str, int] | None = None
        self.hidden = ""
        self._tape: weakref.ref[Any] | None = None

    def add(self, tape: Any, target: Any) -> None:
        """Note what a tape has differentiated."""
        if self._tape is not None and self._tape() is tape:
            self.hidden = _SEVERAL
        self._tape = weakref.ref(tape) if tape._persistent else None  # noqa: SLF001  there is no public way
        if type(target).__name__ == "SymbolicTensor":
            self.hidden = self.hidden if self.target is None else _SEVERAL
            self.target = target.op.name, target.value_index
            return
        value = as_scalar(target)
        if value is None:
            self.hidden = self.hidden or _NO_NUMBER
        else:
            self.values.append(value)
