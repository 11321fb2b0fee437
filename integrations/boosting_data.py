"""Describe XGBoost's DMatrix and LightGBM's Dataset: never densified, constructed or evaluated for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from autolog.datasets import describe
from autolog.digests import read
from autolog.entities import Dataset
from autolog.sampling import choose, describe_choice, indexes
from autolog.sources import digest_file
from autolog.trust import is_known_code

# A value that is stored takes an index beside it.
_STORED_BYTES: Final = 12

# Labels and weights are copied to be read; of more rows they are not.
MOST_ROWS: Final = 4_000_000

# MLflow's name for a column's type, by XGBoost's.
_COLUMN_TYPES: Final = {"q": "double", "float": "double", "int": "long", "i": "boolean", "c": "string"}


def describe_matrix(matrix: Any, name: str) -> Dataset:
    """Describe a DMatrix or QuantileDMatrix as XGBoost holds it.

    Of a DMatrix with more than 4 MiB of values, rows spread evenly are read for the digest;
    of a QuantileDMatrix of that size, of external memory and of a Dask matrix none are.

    Args:
        matrix: of XGBoost's own classes; of any other only the type is told.
        name: the data set's name.
    """
    import xxhash

    digest = xxhash.xxh3_64()
    kind = f"{type(matrix).__module__}.{type(matrix).__qualname__}"
    profile: dict[str, Any] = {"type": kind}
    if not is_known_code(matrix) or not hasattr(matrix, "num_nonmissing"):
        # Of one on a cluster only what the client knows without asking.
        columns = vars(matrix).get("_n_cols") if is_known_code(matrix) and hasattr(matrix, "worker_map") else None
        if columns is not None:
            profile["num_columns"] = columns
        digest.update(json.dumps(profile).encode())
        return Dataset(name=name, digest=digest.hexdigest(), profile=json.dumps(profile))
    rows, columns = matrix.num_row(), matrix.num_col()
    names, types = matrix.feature_names, matrix.feature_types
    profile |= {"num_rows": rows, "num_elements": rows * columns, "features_shape": [rows, columns]}
    profile |= {"num_nonmissing": matrix.num_nonmissing()}
    digest.update(json.dumps([rows, columns, names, types]).encode())
    values, read_of = _read_values(matrix, rows, columns)
    if values is not None:
        read(values, digest)
    if rows <= MOST_ROWS:
        profile |= _read_fields(matrix, digest)
    if read_of is not None:
        profile["features_digest_of"] = read_of
    if types:
        profile["categorical_features"] = types.count("c")
    return Dataset(
        name=name,
        digest=digest.hexdigest(),
        schema=_matrix_schema(columns, names, types),
        profile=json.dumps(profile),
    )


def _read_values(matrix: Any, rows: int, columns: int) -> tuple[Any, str | None]:
    """Return the values that are read for the digest, and in words which these are if not all."""
    from xgboost.core import XGBoostError

    kind = type(matrix).__name__
    stored = matrix.num_nonmissing()
    chosen = choose((rows, columns), _STORED_BYTES * stored / max(rows * columns, 1))
    # What is kept in external memory has neither values at hand nor slices.
    with suppress(XGBoostError):
        if kind in {"DMatrix", "QuantileDMatrix"} and choose((stored,), _STORED_BYTES) is None:
            return matrix.get_data(), None
        if kind == "DMatrix" and chosen is not None:
            part = matrix.slice(indexes(chosen[0]), allow_groups=True)
            return part.get_data(), describe_choice((rows,), chosen[:1])
    return None, "nothing"


def _read_fields(matrix: Any, digest: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in ("label", "weight", "base_margin"):
        values = matrix.get_float_info(field)
        found[field] = bool(values.size)
        read(values, digest)
    groups = matrix.get_uint_info("group_ptr")
    read(groups, digest)
    found["groups"] = max(groups.size - 1, 0)
    return found


def _matrix_schema(columns: int, names: list[str] | None, types: list[str] | None) -> str:
    if names is None:
        spec = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, columns]}}]
        return json.dumps({"mlflow_tensorspec": {"features": json.dumps(spec), "targets": None}})
    kinds = types or ["float"] * len(names)
    specs = [
        {"type": _COLUMN_TYPES.get(kind, "any"), "name": name, "required": False}
        for name, kind in zip(names, kinds, strict=True)
    ]
    return json.dumps({"mlflow_colspec": specs})


def describe_dataset(dataset: Any, name: str) -> Dataset:
    """Describe a LightGBM Dataset by the data that it was made of, or by what it keeps once those are freed.

    Args:
        dataset: constructed or not; it is not constructed for this.
        name: the data set's name.
    """
    fields = vars(dataset)
    data, label = fields.get("data"), fields.get("label")
    told: dict[str, Any] = {field: fields.get(field) is not None for field in ("label", "weight", "init_score")}
    group = fields.get("group")
    told["groups"] = 0 if group is None else len(group) if is_known_code(group) or type(group) is list else None
    if isinstance(fields.get("categorical_feature"), list):
        told["categorical_features"] = len(fields["categorical_feature"])
    if isinstance(data, (str, os.PathLike)):
        path = os.fspath(data)
        described = describe(None, label, name=name, source=path)
        return _complete(replace(described, digest=digest_file(path) or described.digest), told)
    if data is not None:
        return _complete(describe(data, label, name=name), told)
    return _describe_freed(dataset, told, name)


def _describe_freed(dataset: Any, told: dict[str, Any], name: str) -> Dataset:
    import xxhash

    fields = vars(dataset)
    digest = xxhash.xxh3_64()
    used, names = fields.get("used_indices"), fields.get("feature_name")
    if fields.get("_handle") is not None:
        rows, columns = dataset.num_data(), dataset.num_feature()
        told |= {"num_rows": rows, "num_elements": rows * columns, "features_shape": [rows, columns]}
    elif used is not None:
        told["num_rows"] = len(used)
    digest.update(json.dumps([told, names if isinstance(names, list) else None]).encode())
    for values in (used, fields.get("label")):
        read(values, digest)
    told["features_digest_of"] = "nothing"
    schema = None
    if isinstance(names, list) and names:
        specs = [{"type": "double", "name": column, "required": False} for column in names]
        schema = json.dumps({"mlflow_colspec": specs})
    described = Dataset(name=name, digest=digest.hexdigest(), schema=schema)
    return _complete(described, {"type": "lightgbm.basic.Dataset", **told})


def _complete(dataset: Dataset, told: Mapping[str, Any]) -> Dataset:
    profile = json.loads(dataset.profile or "{}")
    return replace(dataset, profile=json.dumps(profile | told))
