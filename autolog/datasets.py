"""Describe the data sets of a training in MLflow's forms."""

from __future__ import annotations

import json
import math
from typing import Any

from autolog.digests import Part, read
from autolog.entities import Dataset
from autolog.redaction import redact_text, redact_url
from autolog.sources import Source, digest_file, find_source


def describe(data: Any, targets: Any = None, *, name: str = "dataset", source: str | None = None) -> Dataset:
    """Describe a data set as MLflow does.

    NumPy arrays, pandas, polars and Arrow tables, SciPy's sparse matrices, and lists are read, in part where they
    are large; anything else, lazy frames, iterators and generators among it, is only named by its type.

    Args:
        data: the features.
        targets: what is to be predicted, if it is kept apart from the features.
        name: the data set's name.
        source: the path or URL that it came from; without one it is what is known of where the features were loaded
            from (see ``sources``), and else the program itself.
    """
    import xxhash

    digest = xxhash.xxh3_64()
    features = read(data, digest)
    labels = None if targets is None else read(targets, digest)
    if source is not None:
        origin = _describe_source(source)
    else:
        known = find_source(data)
        origin = {} if known is None else _describe_loaded(known)
    return Dataset(
        name=name,
        digest=digest.hexdigest(),
        schema=_schema(features, labels),
        profile=_profile(features, labels),
        **origin,
    )


def _describe_loaded(source: Source) -> dict[str, str]:
    """Return a source in MLflow's form: of what has a place, with the loader and the file's digest beside it."""
    facts = {"loader": source.loader, **{name: redact_text(text) for name, text in source.arguments.items()}}
    if source.location is None:
        tags = {f"autolog.dataset.{name}": text for name, text in facts.items()}
        return {"source_type": "code", "source": json.dumps({"tags": tags})}
    origin = _describe_source(source.location)
    digest = digest_file(source.location)
    described = {**json.loads(origin["source"]), **facts, **({} if digest is None else {"digest": digest})}
    return {**origin, "source": json.dumps(described)}


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
