"""Steps inside of ``tf.function``: seen once, while they are traced, and then known by the calls of the function.

While a function is traced, an optimizer's step says which graph it is in and what was differentiated for it; no value
is there yet. What each call of the function then does follows from that where it is certain: so many steps, and the
loss is the result, or a part of it. Where it is not, because a step is inside of a loop or a condition of the graph,
the optimizer's own count of its iterations tells how many steps there have been. Nothing is added to a graph.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from autolog.integrations.tensorflow_gradients import Gradient
from autolog.integrations.tensorflow_loops import (
    HIDDEN_LOSS,
    Later,
    begin_loop,
    find_loop,
    is_replica,
)
from autolog.integrations.tensorflow_values import as_scalar, deliver


class TracedSteps:
    """The steps of one optimizer that a graph has.

    ``count`` is how many of them every call does; None where that depends. ``place`` is that of the loss among the
    function's results; None where it is none of them.
    """

    def __init__(self, optimizer: Any, model: Any, gradient: Gradient | None) -> None:
        self.optimizer: Final = weakref.ref(optimizer)
        self.model: Final = (lambda: None) if model is None else weakref.ref(model)
        self.gradient: Final = gradient
        self.target = None if gradient is None or gradient.hidden else gradient.target
        self.count: int | None = 0
        self.place: int | None = None


Steps = dict[int, TracedSteps]

# What has been traced, by the graphs; and by the ids of the functions what their calls do.
_traced: Final[weakref.WeakKeyDictionary[Any, Steps]] = weakref.WeakKeyDictionary()
_functions: Final[dict[int, tuple[weakref.ref[Any], Steps]]] = {}
# The graphs that no function is known to have yet.
_untaken: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def note_traced_step(optimizer: Any, model: Any, gradient: Gradient | None) -> None:
    """Note a step that is being traced, in its graph and in those around that.

    Args:
        optimizer: whose it is.
        model: what it trains, or None.
        gradient: what has been differentiated for it, or None.
    """
    # One function of a replica stands for several, of which one counts.
    is_certain = not is_replica()
    for graph in _graphs():
        present = TracedSteps(optimizer, model, gradient)
        steps = _note(graph, present)
        if steps.count is not None:
            steps.count = steps.count + 1 if is_certain else None
        if steps.target != present.target:
            steps.target = None
        is_certain = False


def note_call(function: Any, result: Any) -> None:
    """Record the steps that a call of a ``tf.function`` has done.

    Args:
        function: which it was.
        result: what it has returned.
    """
    found = _functions.get(id(function))
    steps = found[1] if found is not None and found[0]() is function else None
    if _untaken:
        steps = _take(function, steps)
    if steps is None:
        return
    import tensorflow as tf

    if tf.executing_eagerly():
        _record(steps, result)
        return
    # A function that has been traced before is called by one that is being traced.
    for one in steps.values():
        if (optimizer := one.optimizer()) is not None:
            for graph in _graphs():
                _note(graph, TracedSteps(optimizer, one.model(), one.gradient)).count = None


def _record(steps: Steps, result: Any) -> None:
    for one in steps.values():
        optimizer = one.optimizer()
        if optimizer is None:
            continue
        found = find_loop(optimizer) or begin_loop(optimizer, one.model(), one.gradient, "graph")
        if found is None:
            continue
        loop, part = found
        if one.count is None or not part.advance(one.count):
            part.step = _read_step(optimizer)
        value = None if one.place is None else as_scalar(_flatten(result)[one.place])
        if value is None:
            loop.hide(HIDDEN_LOSS if one.place is None else "a loss that is not one number")
        else:
            part.record_loss(loop.run, [value])
        part.record_rate(loop.run, None)
        loop.touch()


def _read_step(optimizer: Any) -> int | Later:
    """Return the number of the step that has just been done."""
    import tensorflow as tf

    variable = optimizer._iterations.value  # noqa: SLF001  the public property computes
    value = as_scalar(tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype))
    if type(value) is float:
        return int(value) - 1
    later = Later()
    deliver((value,), lambda iterations: later.set(iterations - 1))
    return later


def _graphs() -> Iterator[Any]:
    """Yield the graph that is being traced, and those around it."""
    import tensorflow as tf

    graph: Any = tf.compat.v1.get_default_graph()
    while getattr(graph, "building_function", False):
        yield graph
        graph = getattr(graph, "outer_graph", None)


def _note(graph: Any, steps: TracedSteps) -> TracedSteps:
    traced = _traced.get(graph)
    if traced is None:
        traced = _traced[graph] = {}
        _untaken.add(graph)
    return traced.setdefault(id(steps.optimizer()), steps)


def _take(function: Any, known: Steps | None) -> Steps | None:
    """Return what calls of a function do, now that it may have been traced."""
    found = known
    for concrete in list(function._function_cache.values()):  # noqa: SLF001  the public way may trace again
        graph = concrete.graph
        if graph in _untaken:
            _untaken.discard(graph)
            traced = _traced[graph]
            _find_places(traced, graph)
            found = traced if found is None else _merge(found, traced)
    if found is not None and found is not known:
        key = id(function)
        _functions[key] = weakref.ref(function, lambda _: _functions.pop(key, None)), found
    return found


def _merge(one: Mapping[int, TracedSteps], other: Mapping[int, TracedSteps]) -> Steps:
    """Return what is known of a call where it is not known which of two graphs it runs."""
    merged: Steps = {**one, **other}
    for key, steps in merged.items():
        former, latter = one.get(key), other.get(key)
        steps.count = (
            former.count if former is not None and latter is not None and former.count == latter.count else None
        )
        if former is None or latter is None or former.place != latter.place:
            steps.place = None
    return merged


def _find_places(traced: Steps, graph: Any) -> None:
    """Find out which of a graph's results is what has been differentiated: the same tensor, passed on."""
    for place, output in enumerate(_flatten(graph.structured_outputs)):
        names = set(_passed_on(output))
        for steps in traced.values():
            if steps.count == 1 and steps.target in names:
                steps.place = place


def _passed_on(tensor: Any) -> Iterator[tuple[str, int]]:
    """Yield the names of a tensor of a graph, and of what it is the same as."""
    while hasattr(tensor, "op"):
        yield tensor.op.name, tensor.value_index
        tensor = tensor.op.inputs[0] if tensor.op.type == "Identity" else None


def _flatten(values: Any) -> Sequence[Any]:
    if type(values).__name__ == "EagerTensor":
        return (values,)
    import tensorflow as tf

    flat: Sequence[Any] = tf.nest.flatten(values)
    return flat
