"""Describe what a Keras model is trained on: pipelines, loaders and generators are never run through or counted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import FrameType
from typing import Any, Final

from autolog.callers import variable_name
from autolog.datasets import describe
from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.guard import guard
from autolog.run import ActiveRun

_TENSOR_LIBRARIES: Final = frozenset({"tensorflow", "torch", "jax", "jaxlib", "keras"})
# Keras' own, where nobody says.
_DEFAULT_BATCH_SIZE: Final = 32
_LONGEST_PIPELINE: Final = 100
# What a loader holds in plain sight.
_SETTINGS: Final = ("batch_size", "num_workers", "drop_last", "workers", "use_multiprocessing", "max_queue_size")


def log_data(run: ActiveRun, data: Any, targets: Any, context: str, frame: FrameType | None) -> None:
    """Log the use of a data set, under the name that it has in the user's code.

    Args:
        run: where.
        data: as ``fit`` takes it.
        targets: the same.
        context: ``train`` or ``eval``.
        frame: where to look for the name.
    """
    if data is None or not run.tracking.settings.log_datasets:
        return
    with guard("describing a data set"):
        described = describe_data(data, targets, name=variable_name(data, frame) or "dataset")
        run.log_inputs([DatasetInput(dataset=described, tags=(InputTag("mlflow.data.context", context),))])


def describe_data(data: Any, targets: Any, /, *, name: str) -> Dataset:
    """Describe what ``fit`` is given: arrays are read, tensors are told by their shapes, the rest by its type."""
    if (pipeline := _find_specification(data)) is not None:
        return _describe_plainly(name, {"type": _name_type(data), **_read_pipeline(data)}, pipeline)
    if _is_tensor(data) or _is_several(data):
        profile = _shapes("features", data) | ({} if targets is None else _shapes("targets", targets))
        return _describe_plainly(name, {"type": _name_type(data), **profile}, data, targets)
    if hasattr(type(data), "__iter__") or hasattr(type(data), "__getitem__"):
        told = {key: value for key in _SETTINGS if type(value := _held(data, key)) in (int, bool)}
        if told or hasattr(type(data), "__next__"):
            return _describe_plainly(name, {"type": _name_type(data), **told})
    return describe(data, targets, name=name)


def _describe_plainly(name: str, profile: Mapping[str, Any], features: Any = None, targets: Any = None) -> Dataset:
    import xxhash

    schema = None
    if features is not None:
        specs = {"features": _specify(features), "targets": None if targets is None else _specify(targets)}
        schema = json.dumps({"mlflow_tensorspec": specs})
    text = json.dumps(profile)
    digest = xxhash.xxh3_64_hexdigest(f"{text}{schema}".encode())
    return Dataset(name=name, digest=digest, schema=schema, profile=text)


def _specify(value: Any) -> str:
    specs = []
    for name, one in _flatten(value):
        shape = [-1, *(-1 if size is None else int(size) for size in _shape(one)[1:])]
        tensor = {"dtype": _name_dtype(one), "shape": shape}
        specs.append({"type": "tensor", "tensor-spec": tensor} | ({"name": name} if name else {}))
    return json.dumps(specs)


def _shapes(prefix: str, value: Any) -> dict[str, Any]:
    shapes = {name: [int(size) for size in _shape(one)] for name, one in _flatten(value)}
    sizes = sum(map(math.prod, shapes.values()))
    if list(shapes) == [""]:
        return {f"{prefix}_shape": shapes[""], f"{prefix}_size": sizes}
    return {f"{prefix}_shape": shapes, f"{prefix}_size": sizes}


def _flatten(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [one for key, item in value.items() for one in _flatten(item, f"{name}.{key}" if name else str(key))]
    if isinstance(value, (list, tuple)):
        return [one for key, item in enumerate(value) for one in _flatten(item, f"{name}.{key}" if name else str(key))]
    return [(name, value)] if hasattr(value, "shape") else []


def _is_tensor(value: Any) -> bool:
    return hasattr(type(value), "shape") and any(
        cls.__module__.partition(".")[0] in _TENSOR_LIBRARIES for cls in type(value).__mro__
    )


def _is_several(value: Any) -> bool:
    """Say whether these are the inputs or outputs of a model that has several."""
    parts = value.values() if isinstance(value, dict) else value if type(value) in (list, tuple) else ()
    first = next(iter(parts), None)
    return hasattr(type(first), "shape") and len(getattr(first, "shape", ())) > 0


def count_rows(data: Any) -> int | None:
    """Return how many rows arrays or tensors have; None of anything else."""
    found = _flatten(data)
    shape = _shape(found[0][1]) if found else ()
    return int(shape[0]) if shape and shape[0] is not None else None


def _shape(value: Any) -> tuple[Any, ...]:
    shape = value.shape
    return () if getattr(shape, "rank", 0) is None else tuple(shape)


def _name_dtype(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return str(getattr(dtype, "name", None) or dtype).rpartition(".")[2]


def _name_type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _held(value: Any, name: str) -> Any:
    held = getattr(value, "__dict__", {})
    return held.get(name, held.get(f"_{name}"))


# -- pipelines of tf.data ----------------------------------------------------------------------------------------------


def _find_specification(data: Any) -> Any:
    """Return the specification of a pipeline's elements; None of anything else."""
    if any(cls.__module__.startswith("tensorflow.python.") and "Dataset" in cls.__name__ for cls in type(data).__mro__):
        return data.element_spec
    return None


def _read_pipeline(dataset: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with guard("reading how long a pipeline is"):
        # What TensorFlow knows without running it: -1 for one that never ends, -2 where it does not know.
        count = int(dataset.cardinality())
        found["num_batches"] = {-1: "infinite", -2: "unknown"}.get(count, count)
    if (size := batch_size_of(dataset)) is not None:
        found["batch_size"] = size
    return found


def batch_size_of(data: Any, given: Any = None, steps: Any = None) -> int | None:
    """Return how many rows a batch has; None where that is not known without running something.

    Args:
        data: as ``fit`` takes it.
        given: the argument ``batch_size``.
        steps: the argument ``steps_per_epoch``.
    """
    if given is not None:
        return int(given)
    if _find_specification(data) is not None:
        for _ in range(_LONGEST_PIPELINE):
            if (size := _held(data, "batch_size")) is not None:
                return int(size)
            data = _held(data, "input_dataset")
            if data is None:
                break
        return None
    if hasattr(type(data), "__next__") or data is None:
        return None
    if _is_tensor(data) or _is_several(data) or hasattr(type(data), "shape"):
        rows = _shape(_flatten(data)[0][1])[0]
        return math.ceil(rows / steps) if steps else _DEFAULT_BATCH_SIZE
    size = _held(data, "batch_size")
    return size if type(size) is int else None
