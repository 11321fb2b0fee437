"""Describe the data sets of a training in MLflow's forms, and find the names that the user has for them."""

from __future__ import annotations

import inspect
import json
import math
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from autolog.digests import Part, read
from autolog.entities import Dataset
from autolog.redaction import redact_url

_FRAMES_SEARCHED: Final = 20
# The frame's, that of the variable here, and that of the argument of getrefcount().
_REFERENCES_OF_A_SNAPSHOT: Final = 3
_LIBRARIES: Final = tuple(
    str(Path(folder)) for name, folder in sysconfig.get_paths().items() if name in {"stdlib", "platstdlib"}
)


def describe(data: Any, targets: Any = None, *, name: str = "dataset", source: str | None = None) -> Dataset:
    """Describe a data set as MLflow does.

    NumPy arrays, pandas, polars and Arrow tables, SciPy's sparse matrices, and lists are read, in part where they
    are large; anything else, lazy frames, iterators and generators among it, is only named by its type.

    Args:
        data: the features.
        targets: what is to be predicted, if it is kept apart from the features.
        name: the data set's name.
        source: the path or URL that it came from; without one the program itself is its source.
    """
    import xxhash

    digest = xxhash.xxh3_64()
    features = read(data, digest)
    labels = None if targets is None else read(targets, digest)
    origin = {} if source is None else _describe_source(source)
    return Dataset(
        name=name,
        digest=digest.hexdigest(),
        schema=_schema(features, labels),
        profile=_profile(features, labels),
        **origin,
    )


def variable_name(data: Any, frame: FrameType | None) -> str | None:
    """Return the name that an object has in the user's code.

    Args:
        data: the object.
        frame: where to begin; frames of autolog, of installed packages and of the standard library are passed over.

    Returns:
        The local or global name in the innermost of the user's frames; None where it has none there.
    """
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            return None
        if not _is_library(frame):
            return _name_in_locals(frame, data) or _name_in(frame.f_globals, data)
        frame = frame.f_back
    return None


def _name_in_locals(frame: FrameType, data: Any) -> str | None:
    names: Any = frame.f_locals
    name = _name_in(names, data)
    # Before Python 3.13 a function's frame keeps the dictionary, and with it all its locals alive after the program
    # has deleted them. Emptied only where nobody else has it: neither a debugger nor who has called locals().
    is_snapshot = sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if is_snapshot and sys.gettrace() is None and sys.getrefcount(names) <= _REFERENCES_OF_A_SNAPSHOT:
        names.clear()
    return name


def _name_in(names: Mapping[str, Any], data: Any) -> str | None:
    # Copied first, since another thread may be adding to them; what is no identifier is the interpreter's own.
    bound = [name for name, value in dict(names).items() if value is data and name.isidentifier()]
    # IPython keeps its results under names that begin with an underscore.
    return min(bound, key=lambda name: name.startswith("_"), default=None)


def _is_library(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    module = str(frame.f_globals.get("__name__", ""))
    if module == "autolog.demo":
        # It stands for what a user would write.
        return False
    return (
        module.partition(".")[0] == "autolog"
        or file.startswith(("<frozen ", *_LIBRARIES))
        or "site-packages" in file
        or "dist-packages" in file
    )


def _describe_source(source: str) -> dict[str, str]:
    address = redact_url(source)
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in {"http", "https"}:
        return {"source_type": "http", "source": json.dumps({"url": address})}
    kind = "local" if scheme in {"", "file"} else scheme
    return {"source_type": kind, "source": json.dumps({"uri": address})}


def _schema(features: Part, targets: Part | None) -> str | None:
    if features.columns is not None:
        return json.dumps({"mlflow_colspec": features.columns})
    if features.dtype is None:
        return None
    specs = {"features": _tensor_spec(features), "targets": None if targets is None else _tensor_spec(targets)}
    return json.dumps({"mlflow_tensorspec": specs})


def _tensor_spec(part: Part) -> str | None:
    if part.dtype is None or part.shape is None:
        return None
    # The first axis is as long as the data set happens to be.
    shape = [-1, *part.shape[1:]] if part.shape else []
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": part.dtype, "shape": shape}}])


def _profile(features: Part, targets: Part | None) -> str:
    profile: dict[str, Any] = {}
    if features.dtype is None or features.columns is not None:
        profile["type"] = features.type
        if features.shape is not None:
            profile |= {"num_rows": features.shape[0], "num_elements": math.prod(features.shape)}
    else:
        profile |= _tensor_profile("features", features)
    if targets is not None:
        profile |= _tensor_profile("targets", targets)
    read_in_part = {"features": features.sampled, "targets": targets and targets.sampled}
    return json.dumps(profile | {f"{part}_digest_of": text for part, text in read_in_part.items() if text})


def _tensor_profile(prefix: str, part: Part) -> dict[str, Any]:
    if part.shape is None:
        return {f"{prefix}_type": part.type}
    profile = {f"{prefix}_shape": part.shape, f"{prefix}_size": math.prod(part.shape)}
    return profile if part.nbytes is None else profile | {f"{prefix}_nbytes": part.nbytes}
