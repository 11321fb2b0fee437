"""Numbers out of tensors, without making the program wait for a device.

What lies in the computer's own memory is read at once. What lies elsewhere may not have been computed yet:
reading it waits for everything that the device has been given to do, so that a thread of ours reads it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from autolog.guard import guard

# The numbers that TensorFlow's protocol has for types of real numbers and integers: DT_FLOAT, DT_DOUBLE, DT_INT32 ...
_REAL: Final = frozenset({1, 2, 3, 4, 5, 6, 9, 14, 17, 19, 22, 23})

Take = Callable[[float], object]

# So many wait at most; what is more is dropped, rather than keep the device's memory.
_MOST_WAITING: Final = 1024
# Seconds that the end of a run waits for what its last steps have computed.
_PATIENCE: Final = 5.0


def as_scalar(value: Any) -> Any:
    """Return a number where one is to be had at once, an eager tensor that holds one elsewhere, else None."""
    kind = type(value)
    if kind is float or kind is int:
        return float(value)
    if kind.__name__ != "EagerTensor" or not hasattr(value, "_datatype_enum"):
        return None
    if value._datatype_enum() not in _REAL or value._num_elements() != 1:  # noqa: SLF001  dtype takes ten times as long
        return None
    if "CPU:" not in value.device[-8:]:
        return value
    return float(value) if value._rank() == 0 else float(value.numpy().item())  # noqa: SLF001


def deliver(values: Sequence[Any], take: Take) -> None:
    """Give the mean of some values to a function: at once where all are numbers, else once they can be read.

    Args:
        values: numbers and tensors of one number each, as of ``as_scalar``.
        take: is called in another thread where there are tensors.
    """
    if not any(type(value) is not float for value in values):
        take(values[0] if len(values) == 1 else sum(values) / len(values))
        return
    _reading[0].put(values, take)


def wait_for_values() -> None:
    """Wait, for a while, until everything that was to be delivered has been."""
    _reading[0].wait()


class _Reading:
    """The thread that waits for devices; it is started with the first value that lies on one."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[Sequence[Any], Take] | threading.Event] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None

    def put(self, values: Sequence[Any], take: Take) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read, name="autolog-tensors", daemon=True)
            self._thread.start()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait((values, take))

    def wait(self) -> None:
        if self._thread is None or not self._thread.is_alive() or threading.current_thread() is self._thread:
            return
        done = threading.Event()
        try:
            self._waiting.put(done, timeout=_PATIENCE)
        except queue.Full:
            return
        done.wait(_PATIENCE)

    def _read(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            with guard("reading a tensor"):
                values, take = item
                numbers = [value if type(value) is float else float(value.numpy().item()) for value in values]
                take(sum(numbers) / len(numbers))
            del item


_reading: Final = [_Reading()]


def _begin_child() -> None:
    # The thread is the parent's, which may have been at the queue.
    _reading[0] = _Reading()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
