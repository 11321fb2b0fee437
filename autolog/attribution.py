"""Which run a model was trained in: what is computed with it later belongs there."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from autolog.run import ActiveRun

# By the models' ids, since a model may compare and hash as it likes; an entry goes with its model.
_runs: Final[dict[int, tuple[weakref.ref[Any], ActiveRun]]] = {}


def attribute_model(model: Any, run: ActiveRun) -> None:
    """Note that a model was trained in a run; a later training of the same object takes its place.

    Args:
        model: anything; of what cannot be referred to weakly nothing is noted.
        run: the run, which may have ended when something is logged to it.
    """
    key = id(model)
    try:
        reference = weakref.ref(model, lambda _: _runs.pop(key, None))
    except TypeError:
        return
    _runs[key] = (reference, run)


def run_of_model(model: Any) -> ActiveRun | None:
    """Return the run that a model was trained in; None where that is not known."""
    found = _runs.get(id(model))
    return found[1] if found is not None and found[0]() is model else None


def attributed_models() -> Iterator[tuple[Any, ActiveRun]]:
    """Yield the models that are still there, with their runs; the latest first."""
    for reference, run in reversed(list(_runs.values())):
        if (model := reference()) is not None:
            yield model, run
