"""A Keras model's layers as a text, and its architecture as JSON, made without running any code of the user's."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

from autolog.integrations.keras_params import count_weights, is_of_keras, vars_of

_COLUMNS: Final = ("Layer", "Output shape", "Params", "Connected to")
_INDENT: Final = "  "


def summarize(model: Any) -> str:
    """Return a model's layers as a table, those of nested models below it.

    Shapes and connections are those that Keras has noted: a subclassed model's layers have none until somebody
    computes them, which ``Model.summary`` does by running the layers' code.

    Args:
        model: one that is built.
    """
    rows = [_COLUMNS, *_rows(model, "")]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    counts = [f"{name.replace('_', ' ')}: {count:,}" for name, count in count_weights(model).items()]
    return "\n".join([f"{type(model).__name__} {model.name!r}", "", *lines, "", *counts, ""])


def _rows(model: Any, indent: str) -> Iterator[tuple[str, str, str, str]]:
    for layer in model.layers:
        count = sum(math.prod(weight.shape) for weight in layer.weights)
        shapes, sources = _connections(layer)
        yield f"{indent}{layer.name} ({type(layer).__name__})", shapes, f"{count:,}", sources
        if is_of_keras(layer, "Model"):
            yield from _rows(layer, indent + _INDENT)


def _connections(layer: Any) -> tuple[str, str]:
    nodes = vars_of(layer).get("_inbound_nodes") or ()
    shapes = dict.fromkeys(str(tuple(one.shape)) for node in nodes for one in node.output_tensors)
    histories = (getattr(one, "_keras_history", None) for node in nodes for one in node.input_tensors)
    sources = dict.fromkeys(history.operation.name for history in histories if history is not None)
    return ", ".join(shapes), ", ".join(sources)


def describe_architecture(model: Any) -> str | None:
    """Return a model's architecture as ``keras.models.model_from_json`` reads it; it holds neither weights nor losses.

    Args:
        model: one that is built.

    Returns:
        None where code of the user's own would have to run: of a subclassed model, or of layers, initializers and the
        like that are not Keras'; where a function has no name; and where Keras would import TensorFlow for it, which
        it does as soon as it writes anything down, whatever it computes with.
    """
    if "tensorflow" not in sys.modules and find_spec("tensorflow") is not None:
        return None
    if type(model).__name__ not in {"Functional", "Sequential"} or not all(map(_is_plain, _parts(model))):
        return None
    config = {"module": "keras", "class_name": type(model).__name__, "config": model.get_config()}
    return json.dumps({**config, "registered_name": type(model).__name__}, indent=1)


def _parts(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():  # noqa: SLF001  the public property leaves out what is nested deeper
        yield layer
        if layer is not model and vars(layer).get("compiled"):
            # Its losses and metrics would be told too.
            yield vars(layer).get("loss")


def _is_plain(part: Any) -> bool:
    if not type(part).__module__.startswith("keras.") or is_of_keras(part, "Lambda"):
        return False
    for value in vars(part).values():
        if getattr(value, "__name__", "") == "<lambda>":
            return False
        if hasattr(type(value), "get_config") and not type(value).__module__.startswith("keras."):
            return False
    return True
