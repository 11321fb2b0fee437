"""What a thread has seen of a training since its last optimizer step, for the step to make sense of."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from autolog.integrations.torch_loops import TorchLoop
    from autolog.integrations.torch_passes import Pass

Place = tuple[CodeType, int]
"""Where in the user's code something is called: the code, and the offset of the instruction in it."""


@dataclass(slots=True, eq=False)
class LossCall:
    """A loss that a known function has computed, with a graph."""

    function: Any
    reference: weakref.ref[Any]
    settings: dict[str, Any]
    module: str | None
    autocast: str | None


@dataclass(slots=True, eq=False)
class Seen:
    """What one thread has seen."""

    # Of every backward pass since the last step: where, the loss's value (a tensor on another device), and the loss.
    backwards: list[tuple[Place, Any, weakref.ref[Any]]] = field(default_factory=list)
    # Losses, with what a GradScaler has made of them.
    scaled: list[tuple[weakref.ref[Any], Any]] = field(default_factory=list)
    has_scaler: bool = False
    # The latest calls of loss functions, while it is not known which of them is the one that is trained for.
    losses: list[LossCall] = field(default_factory=list)
    settled_at: int = -1
    # Norms of gradients, as what clips them has returned them.
    norms: list[Any] = field(default_factory=list)
    clipping: dict[str, Any] = field(default_factory=dict)
    # The latest passes over data, the newest first, and the one that a batch was taken from last.
    passes: list[Pass] = field(default_factory=list)
    current: Pass | None = None
    loop: TorchLoop | None = None


class _Local(threading.local):
    def __init__(self) -> None:
        self.seen: Final = Seen()


local: Final = _Local()
