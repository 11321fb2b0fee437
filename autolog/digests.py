"""Read the shape, the columns and a digest of data without copying, evaluating or keeping it.

Data of up to 4 MiB are read whole for the digest, larger ones in part (see ``sampling``), so that the cost does not
grow with the data. The same content has the same digest in every process, however it lies in memory;
two large data sets that differ in unread rows alone share theirs.

Nothing here imports a data library that the program does not use: a reader is chosen by the names of
the classes that the data's type derives from.
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from autolog.sampling import choose, count, describe_choice, indexes

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

# What a Python object is taken to cost; of one that is longer only so many characters or items are read.
_OBJECT_BYTES: Final = 256
_LONGEST_TEXT: Final = 1024
_LONGEST_LIST: Final = 16
_DEEPEST_LIST: Final = 8

# MLflow's name for a column's type, by the first word of the name that NumPy, pandas, polars or Arrow has for it.
_COLUMN_TYPES: Final = {
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), "integer"),
    **dict.fromkeys(("int64", "uint32"), "long"),
    **dict.fromkeys(("float16", "halffloat", "float32", "float"), "float"),
    **dict.fromkeys(("float64", "double"), "double"),
    **dict.fromkeys(("str", "string", "large_string", "string_view", "utf8", "categorical", "enum"), "string"),
    **dict.fromkeys(("binary", "large_binary", "binary_view", "fixed_size_binary"), "binary"),
    **dict.fromkeys(("datetime64", "datetime", "timestamp", "date", "date32", "date64"), "datetime"),
}
# The same by what pandas infers from a column's objects.
_INFERRED_TYPES: Final = {
    "string": "string",
    "bytes": "binary",
    "boolean": "boolean",
    "integer": "long",
    "floating": "double",
    "mixed-integer-float": "double",
    "datetime64": "datetime",
    "datetime": "datetime",
    "date": "datetime",
}
_UNKNOWN_TYPE: Final = "any"

_SCALARS: Final = frozenset({int, float, bool, type(None), complex})
# Values of these packages' types are known to have texts that depend on nothing but the value.
_TEXTUAL: Final = frozenset({"numpy", "pandas", "datetime", "decimal", "fractions", "uuid", "pathlib", "zoneinfo"})
# Only where nothing of the user's can run is the length of something unknown asked for.
_MEASURABLE: Final = frozenset({"array", "torch"})


class Digest(Protocol):
    """A running hash, such as xxhash's."""

    def update(self, content: Any, /) -> None:
        """Take in the bytes of a buffer."""


class Part(NamedTuple):
    """What is known of the features or of the targets: plain values, no reference to the data."""

    type: str
    shape: tuple[int, ...] | None = None
    nbytes: int | None = None
    dtype: str | None = None
    columns: list[dict[str, Any]] | None = None
    sampled: str | None = None


def read(data: Any, digest: Digest) -> Part:
    """Return what is known of some data, and take its content into a digest.

    Args:
        data: anything; what is not an array, a table or a list is named by its type and left alone.
        digest: a running hash.
    """
    # By the type's ancestry and not isinstance(), which a lazy proxy answers by making its object.
    for ancestor in type(data).__mro__:
        reader = _READERS.get((ancestor.__module__.partition(".")[0], ancestor.__name__))
        if reader is not None:
            return reader(data, digest)
    return _read_unknown(data, digest)


def _read_array(array: NDArray[Any], digest: Digest) -> Part:
    import numpy

    # The plain array underneath: a memory map's or a matrix's own indexing is not asked.
    plain = numpy.ndarray.view(array, numpy.ndarray)
    dtype = plain.dtype
    chosen = choose(plain.shape, _OBJECT_BYTES if dtype.hasobject else max(dtype.itemsize, 1))
    _put_header(digest, plain.shape, dtype.str)
    mask: Any = numpy.ma.getmask(array)
    if mask is numpy.ma.nomask:
        _put_array(digest, _take(plain, chosen))
    else:
        taken = _take(mask, chosen)
        _put_array(digest, taken)
        content = _take(plain, chosen)
        # What lies under the mask is no content.
        _put_array(digest, content if dtype.names else numpy.where(taken, numpy.zeros((), dtype), content))
    return Part(
        type=_type_name(array),
        shape=plain.shape,
        nbytes=plain.nbytes,
        dtype={"U": "str", "S": "bytes", "V": "void"}.get(dtype.kind, dtype.name),
        sampled=describe_choice(plain.shape, chosen),
    )


def _take(array: NDArray[Any], chosen: list[list[range]] | None) -> NDArray[Any]:
    import numpy

    if chosen is None:
        return array
    # Axes that are taken whole are left out at the end, which is what makes taking rows fast.
    partial = max((axis for axis, length in enumerate(array.shape) if count(chosen[axis]) < length), default=-1)
    taken: NDArray[Any] = array[numpy.ix_(*(indexes(runs) for runs in chosen[: partial + 1]))]
    return taken


def _put_array(digest: Digest, array: NDArray[Any]) -> None:
    import numpy

    dtype = array.dtype
    if dtype.names:
        # Field by field, since what lies between fields is anything.
        for name in dtype.names:
            _put_array(digest, array[name])
    elif dtype.hasobject:
        _put_objects(digest, array.ravel().tolist())
    elif array.nbytes:
        if dtype.char in "gG":
            # A long double has bytes that are no part of its number.
            array = array.astype("d" if dtype.char == "g" else "D")
        digest.update(numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8))


def _put_objects(digest: Digest, values: Iterable[Any]) -> None:
    # Version 2 of the format has no references, so that it depends on nothing but the values.
    digest.update(marshal.dumps([_plain(value) for value in values], 2))


def _put_header(digest: Digest, *facts: Any) -> None:
    digest.update(json.dumps(facts).encode())


def _plain(value: Any, *, nested: bool = False) -> Any:
    """Return a value as built-in objects of bounded size; what says nothing reliable of itself as its type's name."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    for base in (str, bytes):
        if issubclass(kind, base):
            # The base's own methods, since a subclass may have others.
            beginning = base.__getitem__(value, slice(_LONGEST_TEXT))
            return beginning if len(beginning) < _LONGEST_TEXT else [beginning, base.__len__(value)]
    if kind in (list, tuple, dict) and not nested:
        items = chain.from_iterable(value.items()) if kind is dict else value
        return [len(value), *(_plain(item, nested=True) for item in islice(items, _LONGEST_LIST))]
    return _plain_of_library(value)


def _plain_of_library(value: Any) -> Any:
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if package == "numpy" and kind.__name__ == "ndarray":
        beginning = b"" if value.dtype.hasobject else value.flat[:_LONGEST_TEXT].tobytes()
        return [value.dtype.str, list(value.shape), beginning]
    if package in _TEXTUAL and not hasattr(kind, "__len__"):
        return [kind.__name__, str(value)]
    return _type_name(value)


def _read_pandas(frame: Any, digest: Digest) -> Part:
    import pandas

    width = frame.shape[1]
    dtypes = frame.dtypes.tolist()
    # Many columns share few dtypes, and names of dtypes are slow to make.
    distinct = {id(dtype): dtype for dtype in dtypes}
    names = {key: str(dtype) for key, dtype in distinct.items()}
    bulk = {key: _bulk_dtype(dtype) for key, dtype in distinct.items()}
    sizes = {key: _OBJECT_BYTES if dtype is None else dtype.itemsize for key, dtype in bulk.items()}
    chosen = choose(frame.shape, sum(sizes[id(dtype)] for dtype in dtypes) / max(width, 1))
    labels = [_column_name(label) for label in frame.columns.tolist()]
    columns = [_column(label, names[id(dtype)]) for label, dtype in zip(labels, dtypes, strict=True)]
    _put_header(digest, frame.shape, labels, [names[id(dtype)] for dtype in dtypes])

    part = frame if chosen is None or count(chosen[0]) == len(frame) else frame.iloc[indexes(chosen[0])]
    groups: dict[tuple[str, Any], list[int]] = {}
    for position in range(width) if chosen is None else indexes(chosen[1]):
        key = id(dtypes[position])
        groups.setdefault(("object", object) if bulk[key] is None else (names[key], bulk[key]), []).append(position)
    for (group, dtype), positions in groups.items():
        values = (part if len(positions) == width else part.iloc[:, positions]).to_numpy(dtype=dtype)
        _put_array(digest, values)
        missing = pandas.isna(values).any(axis=0)
        for place, position in enumerate(positions):
            column = columns[position]
            column["required"] = not missing[place]
            if group == "object" and column["type"] == _UNKNOWN_TYPE:
                inferred = pandas.api.types.infer_dtype(values[:, place], skipna=True)
                column["type"] = _INFERRED_TYPES.get(inferred, _UNKNOWN_TYPE)
    return Part(
        type=_type_name(frame), shape=frame.shape, columns=columns, sampled=describe_choice(frame.shape, chosen)
    )


def _bulk_dtype(dtype: Any) -> numpy.dtype[Any] | None:
    """Return the dtype of an array that holds a pandas column as it is; None if its values are objects."""
    import numpy
    import pandas

    if isinstance(dtype, pandas.DatetimeTZDtype):
        return numpy.dtype(f"M8[{dtype.unit}]")
    return dtype if isinstance(dtype, numpy.dtype) and not dtype.hasobject else None


def _read_pandas_series(series: Any, digest: Digest) -> Part:
    part = _read_pandas(series.to_frame(), digest)
    column = (part.columns or [{}])[0]
    if series.name is None:
        column.pop("name", None)
    return part._replace(type=_type_name(series), shape=(len(series),), dtype=_tensor_type(series.dtype))


def _tensor_type(dtype: Any) -> str:
    return str(dtype) if hasattr(dtype, "char") else "object"


def _read_polars(frame: Any, digest: Digest) -> Part:
    import polars

    names, dtypes = frame.columns, frame.dtypes
    types = [dtype.base_type().__name__ for dtype in dtypes]
    bulk = [dtype.is_integer() or dtype.is_float() for dtype in dtypes]
    chosen = choose(frame.shape, sum(8 if one else _OBJECT_BYTES for one in bulk) / max(len(bulk), 1))
    columns = [_column(name, kind) for name, kind in zip(names, types, strict=True)]
    _put_header(digest, frame.shape, names, types)
    part = frame if chosen is None else polars.concat(frame.slice(run.start, len(run)) for run in chosen[0])
    for position in range(len(names)) if chosen is None else indexes(chosen[1]):
        series = part.to_series(position)
        columns[position]["required"] = series.null_count() == 0
        if bulk[position] and columns[position]["required"]:
            _put_array(digest, series.to_numpy())
        else:
            _put_objects(digest, series.to_list())
    return Part(
        type=_type_name(frame), shape=frame.shape, columns=columns, sampled=describe_choice(frame.shape, chosen)
    )


def _read_polars_series(series: Any, digest: Digest) -> Part:
    part = _read_polars(series.to_frame(), digest)
    return part._replace(type=_type_name(series), shape=(len(series),))


def _read_arrow(table: Any, digest: Digest) -> Part:
    names, types = table.schema.names, [str(kind) for kind in table.schema.types]
    bulk = [_column_type(kind) in {"integer", "long", "float", "double"} for kind in types]
    shape = (table.num_rows, len(names))
    chosen = choose(shape, sum(8 if one else _OBJECT_BYTES for one in bulk) / max(len(bulk), 1))
    columns = [_column(name, kind) for name, kind in zip(names, types, strict=True)]
    _put_header(digest, shape, names, types)
    for run in [range(table.num_rows)] if chosen is None else chosen[0]:
        part = table.slice(run.start, len(run))
        for position in range(len(names)) if chosen is None else indexes(chosen[1]):
            values = part.column(position)
            columns[position]["required"] &= values.null_count == 0
            if bulk[position] and values.null_count == 0:
                _put_array(digest, values.to_numpy(zero_copy_only=False))
            else:
                _put_objects(digest, values.to_pylist())
    return Part(
        type=_type_name(table),
        shape=shape,
        nbytes=table.nbytes,
        columns=columns,
        sampled=describe_choice(shape, chosen),
    )


def _read_sparse(matrix: Any, digest: Digest) -> Part:
    _put_header(digest, matrix.shape, matrix.format, str(matrix.dtype))
    names = ("indptr", "indices", "offsets", "row", "col", "rows", "data")
    stored: list[Any] = [getattr(matrix, name, None) for name in names]
    parts = [_read_array(array, digest) for array in stored if _type_name(array) == "numpy.ndarray"]
    return Part(
        type=_type_name(matrix),
        shape=matrix.shape,
        nbytes=sum(part.nbytes or 0 for part in parts) or None,
        dtype=str(matrix.dtype),
        sampled=next((f"of what is stored: {part.sampled}" for part in parts if part.sampled), None),
    )


def _read_list(values: Sequence[Any], digest: Digest) -> Part:
    if type(values) not in (list, tuple):
        return _read_unknown(values, digest)
    # A list of lists is as wide as its first row is; the others may be shorter or longer.
    shape: list[int] = []
    level: Any = values
    while type(level) in (list, tuple) and len(shape) < _DEEPEST_LIST:
        shape.append(len(level))
        level = level[0] if level else None
    chosen = choose(shape, _OBJECT_BYTES)
    taken = _take_nested(values, chosen or [[range(length)] for length in shape])
    _put_header(digest, shape)
    digest.update(marshal.dumps(taken, 2))
    return Part(type=_type_name(values), shape=tuple(shape), sampled=describe_choice(shape, chosen))


def _take_nested(value: Any, chosen: list[list[range]]) -> Any:
    if not chosen or type(value) not in (list, tuple):
        return _plain(value)
    taken = [_take_nested(value[index], chosen[1:]) for index in indexes(chosen[0]) if index < len(value)]
    return [len(value), *taken]


def _read_unknown(data: Any, digest: Digest) -> Part:
    kind = type(data)
    shape: tuple[int, ...] | None = None
    if kind.__module__ in _MEASURABLE and hasattr(kind, "__len__"):
        with suppress(TypeError):  # a tensor without axes has none
            shape = (len(data),)
    _put_header(digest, _type_name(data), shape)
    return Part(type=_type_name(data), shape=shape)


def _type_name(value: Any) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _column(name: Any, type_name: str) -> dict[str, Any]:
    """Return a column in MLflow's form; it is required until a missing value is seen."""
    return {"type": _column_type(type_name), "name": name, "required": True}


@lru_cache(maxsize=1024)
def _column_type(type_name: str) -> str:
    word = re.match(r"\w+", type_name.removeprefix("dictionary<values="))
    return _COLUMN_TYPES.get(word.group().lower(), _UNKNOWN_TYPE) if word else _UNKNOWN_TYPE


def _column_name(label: Any) -> Any:
    if isinstance(label, tuple):
        return [_column_name(part) for part in label]
    return label if type(label) in (str, int) else str(label)


_READERS: Final[dict[tuple[str, str], Callable[[Any, Digest], Part]]] = {
    ("numpy", "ndarray"): _read_array,
    ("pandas", "DataFrame"): _read_pandas,
    ("pandas", "Series"): _read_pandas_series,
    ("polars", "DataFrame"): _read_polars,
    ("polars", "Series"): _read_polars_series,
    ("pyarrow", "Table"): _read_arrow,
    ("pyarrow", "RecordBatch"): _read_arrow,
    ("scipy", "_spbase"): _read_sparse,
    ("scipy", "spmatrix"): _read_sparse,
    ("builtins", "list"): _read_list,
    ("builtins", "tuple"): _read_list,
}
