"""What a loss has come from: found while its backward pass is just over, since a moment later it may be gone."""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType, FunctionType
from typing import Any, Final, NamedTuple

from autolog.guard import guard
from autolog.integrations.torch_sources import find_own_function, name_loss
from autolog.integrations.torch_threads import LossCall, Place

_DIVISIONS: Final = frozenset({"DivBackward0", "MulBackward0"})
# As far as a loss is looked into for what it is made of: it is a sum of a few, with weights.
_DEEPEST: Final = 8
_WIDEST: Final = 64


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
    last = getattr(loss, "grad_fn", None)
    is_divided = type(last).__name__ in _DIVISIONS
    steps = {number_of(loss): 0} if last is None else _number_graph(last)
    # The nearest to the loss comes first; what is not in its graph has computed something else.
    parts = sorted((call for call in calls if call.number in steps), key=lambda call: steps[call.number])
    if parts and (steps[parts[0].number] == 0 or (is_divided and steps[parts[0].number] == 1)):
        return Origin(name, is_divided, parts[0])
    own = None
    with guard("finding the function of a loss"):
        own = find_own_function(place, frame)
    return Origin(name, is_divided, None, own, parts)


def number_of(loss: Any) -> int:
    """Return the number of the node that a tensor comes out of, by which the node is known when the tensor is gone."""
    node = loss.grad_fn
    return -1 if node is None else int(node._sequence_nr())  # noqa: SLF001  there is no public way to know a node


def _number_graph(last: Any) -> dict[int, int]:
    """Return how far the nodes of a graph are from the last one, by their numbers: of the nearest of them."""
    steps: dict[int, int] = {}
    nodes = [last]
    for distance in range(_DEEPEST):
        for node in nodes:
            steps.setdefault(node._sequence_nr(), distance)  # noqa: SLF001  as above
        nodes = [one for node in nodes for one, _ in node.next_functions if one is not None][:_WIDEST]
    return steps
