"""Numbers that are still on a device, read without making the training wait for the device.

A window of them is stacked on the device, copied to pinned memory behind what the device has to do anyway, and read
when an event says that the copy is there. One stack and one copy serve all numbers of a window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import torch

# So many numbers wait for a copy, and no more are kept alive.
WINDOW: Final = 32

Deliver = Callable[[float], object]


class DeviceValues:
    """Scalars on devices, and what is to be called with each of them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, Deliver]] = []
        # Copies under way: the event that says that they are there, the numbers, and whom to tell.
        self._copies: deque[tuple[Any, Any, list[Any]]] = deque()

    def read(self, value: Any, deliver: Deliver) -> None:
        """Have a function called with a scalar's value, once that is known.

        Args:
            value: a detached tensor of one element, on any device.
            deliver: called in a later call of ``read`` or ``finish``, in the order of the values.
        """
        self._waiting.append((value, deliver))
        if len(self._waiting) >= WINDOW and not _is_capturing():
            self._copy()
            self._deliver(wait=False)

    def after(self, action: Callable[[], object]) -> None:
        """Have something done when all values that were read before have been delivered: at once where none is left."""
        if not self._waiting and not self._copies:
            action()
        elif not _is_capturing():
            self._copy()
            self._copies.append((None, None, [action]))

    def finish(self) -> None:
        """Deliver all that is left, waiting for the device."""
        if not _is_capturing():
            self._copy()
            self._deliver(wait=True)

    def _copy(self) -> None:
        waiting, self._waiting = self._waiting, []
        kinds: dict[Any, list[tuple[Any, Deliver]]] = {}
        for value, deliver in waiting:
            kinds.setdefault((value.device, value.dtype), []).append((value, deliver))
        with torch.no_grad():
            for (device, dtype), entries in kinds.items():
                stacked = torch.stack([value.reshape(()) for value, _ in entries])
                event = None
                pinned = torch.empty(len(entries), dtype=dtype, pin_memory=device.type == "cuda")
                pinned.copy_(stacked, non_blocking=True)
                with suppress(RuntimeError, NotImplementedError):
                    # A device without events has made the copy at once.
                    event = torch.Event(device.type)
                    event.record()
                self._copies.append((event, pinned, [deliver for _, deliver in entries]))

    def _deliver(self, *, wait: bool) -> None:
        while self._copies:
            event, numbers, recipients = self._copies[0]
            if event is not None:
                if wait:
                    event.synchronize()
                elif not event.query():
                    return
            self._copies.popleft()
            if numbers is None:
                recipients[0]()
                continue
            for number, deliver in zip(numbers.tolist(), recipients, strict=True):
                deliver(number)


def _is_capturing() -> bool:
    """Say whether what is done now becomes part of a CUDA graph."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
