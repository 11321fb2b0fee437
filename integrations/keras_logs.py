"""What Keras says of a batch or a pass over data, as numbers by their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

# By the models' ids: where the logs go that somebody waits for.
_awaited: Final[dict[int, dict[str, Any]]] = {}


@contextmanager
def awaiting(model: Any) -> Iterator[dict[str, Any]]:
    """Fill a dictionary with what a call on a model has computed, though it may return that without the names."""
    told = _awaited[id(model)] = {}
    try:
        yield told
    finally:
        _awaited.pop(id(model), None)


def note_logs(model: Any, logs: Any) -> None:
    """Note what Keras is about to return as a list in the order of the metrics' names."""
    if (told := _awaited.get(id(model))) is not None:
        told.update(logs)


def read_logs(logs: Any) -> dict[str, float]:
    """Return the numbers among what Keras has told."""
    if all(type(value) is float for value in logs.values()):
        return dict(logs)
    from keras.src.utils.python_utils import pythonify_logs

    return {str(name): value for name, value in pythonify_logs(logs).items() if type(value) in (int, float)}
