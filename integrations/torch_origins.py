"""What a loss has come from: found while its backward pass is just over, since a moment later it may be gone."""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType, FunctionType
from typing import Any, NamedTuple

from autolog.guard import guard
from autolog.integrations.torch_sources import find_own_function, name_loss
from autolog.integrations.torch_threads import LossCall, Place


class Origin(NamedTuple):
    """What the loss at one place of the user's code has come from.

    Attributes:
        name: that it has there, if any.
        is_divided: whether it is another one divided or multiplied, as where gradients are accumulated.
        call: the known function that has returned it, whatever the program has divided it by.
        own: the user's own function that has, if no known one, and which of several results it is.
        parts: the calls of known functions on the way.
    """

    name: str | None = None
    is_divided: bool = False
    call: LossCall | None = None
    own: tuple[FunctionType, int] | None = None
    parts: Sequence[LossCall] = ()


def find_origin(place: Place, loss: Any, calls: Sequence[LossCall], frame: FrameType) -> Origin:
    """Find out what a loss has come from.

    Args:
        place: where its backward pass has begun.
        loss: which is not divided by a GradScaler's scale.
        calls: the latest of known functions.
        frame: that of the place.
    """
    name = name_loss(place, loss)
    is_divided = type(getattr(loss, "grad_fn", None)).__name__ in {"DivBackward0", "MulBackward0"}
    alive = [(call, result) for call in calls if (result := call.reference()) is not None]
    for call, result in alive:
        if result is loss or (is_divided and _is_made_of(loss, result)):
            return Origin(name, is_divided, call)
    own = None
    with guard("finding the function of a loss"):
        own = find_own_function(place, frame)
    return Origin(name, is_divided, None, own, calls)


def _is_made_of(loss: Any, part: Any) -> bool:
    return any(node is part.grad_fn for node, _ in loss.grad_fn.next_functions)
