"""What a thread has seen of a training since its last optimizer step, for the step to make sense of."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Final

Place = tuple[CodeType, int]
"""Where in the user's code something is called: the code, and the offset of the instruction in it."""

Backward = tuple[CodeType, int, Any]
"""A backward pass: its place, and the loss's value, which is a tensor where that is on a device."""


@dataclass(slots=True, eq=False)
class LossCall:
    """A loss that a known function has computed, with a graph: which one says the number of the graph's last node."""

    function: Any
    number: int
    settings: dict[str, Any]
    module: str | None
    autocast: str | None
    inputs: list[str]


class _NoBatches:
    _num_yielded = 0


def _no_iterator() -> Any:
    return _NoBatches


@dataclass(slots=True, eq=False)
class Seen:
    """What one thread has seen, of ``Pass`` and ``TorchLoop`` among it, whose modules build on this one."""

    # Those since the last step.
    backwards: list[Backward] = field(default_factory=list)
    # Losses, with what a GradScaler has made of them.
    scaled: list[tuple[weakref.ref[Any], Any]] = field(default_factory=list)
    has_scaler: bool = False
    # The latest calls of loss functions, while it is not known which of them is the one that is trained for.
    losses: list[LossCall] = field(default_factory=list)
    settled_at: int = -1
    # What losses have come from, by where their backward passes begin; and the optimizer since which that holds.
    origins: dict[Place, Any] = field(default_factory=dict)
    origins_since: int = -1
    # The code that has called Tensor.backward, by the offset of the call in it.
    places: dict[int, CodeType] = field(default_factory=dict)
    # Norms of gradients, as what clips them has returned them.
    norms: list[Any] = field(default_factory=list)
    clipping: dict[str, Any] = field(default_factory=dict)
    # The latest passes over data, the newest first; the one that trains, and what gives its iterator, while it is sure.
    passes: list[Any] = field(default_factory=list)
    current: Any = None
    iterator: Callable[[], Any] | None = _no_iterator
    loop: Any = None

    def find_pass(self, former: Any) -> None:
        """Find out which pass over data the present step belongs to.

        Args:
            former: that of the step before.
        """
        active = [one for one in self.passes if not one.is_evaluation and one.has_new_batches()]
        if former is not None and former in self.passes and not active and not former.is_over:
            # A further step for the same batch.
            active = [former]
        loader = None if former is None else former.loader()
        of_the_same = [one for one in active if loader is not None and one.loader() is loader]
        found = of_the_same or active
        # The newest: one that nobody goes on with may be there still, as with workers that are kept.
        self.current = found[0] if found else None
        self.iterator = _no_iterator if self.current is None else self.current.iterator


class _Local(threading.local):
    def __init__(self) -> None:
        self.seen: Final = Seen()


local: Final = _Local()
