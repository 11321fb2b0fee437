"""Where data come from: which function has loaded them, from which file or address.

Data are followed from the loader to a training

1. by identity, or by the memory that they share with what was loaded: views, slices, arrays in a bunch or a tuple;
2. in pandas, by the index, which selections of columns, copies and new columns keep;
3. by a few rows: a table or array with as many rows as one that is still there, in which every column is one of its
   columns, was made from it.

What cannot be followed so has no source. Nothing loaded is kept alive, but for an index that is a plain range.
No file is read before data are described, and no address is ever asked.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from autolog.arrays import library, owner_of

# How many loaded tables are looked through, and of how many rows and columns their content is compared.
_REMEMBERED: Final = 64
_ROWS_COMPARED: Final = 16
_MOST_COMPARED: Final = 16
_MOST_COLUMNS: Final = 512
_LEAST_ROWS: Final = 8
_MOST_PARTS: Final = 64

# A file is read whole for its digest up to this size, a larger one in evenly spaced parts.
_WHOLE_BYTES: Final = 4 << 20
_PARTS: Final = 32
_PART_BYTES: Final = 32 << 10
_LONGEST_LOCATION: Final = 2048


@dataclass(frozen=True)
class Source:
    """Where data come from.

    Args:
        loader: the function's full name, such as ``pandas.read_csv``.
        location: the path or address that it was given, if it was given one.
        arguments: what else says which data they are, such as the name of a data set on OpenML.
    """

    loader: str
    location: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class _Table:
    reference: weakref.ref[Any]
    source: Source
    rows: int
    # pandas' index where it is a plain range, and the labels of the columns.
    index: Any = None
    labels: frozenset[Any] = frozenset()


_turns: Final = [threading.RLock()]
# By the ids of the objects that own the memory; an entry goes with its object.
_owners: Final[dict[int, tuple[weakref.ref[Any], Source]]] = {}
_tables: Final[deque[_Table]] = deque(maxlen=_REMEMBERED)


def note_source(data: Any, source: Source) -> None:
    """Note where data come from. It takes microseconds, however large they are.

    Args:
        data: an array, a table, a lazy table, or a tuple, list or dictionary (such as scikit-learn's bunch) of them.
        source: where they come from.
    """
    for part in _parts(data):
        owner = owner_of(part)
        key = id(owner)
        with _turns[0], suppress(TypeError):
            _owners[key] = (weakref.ref(owner, lambda _, key=key: _owners.pop(key, None)), source)  # type: ignore[misc]
            if (table := _describe_table(part, source)) is not None:
                _tables.append(table)


def find_source(data: Any) -> Source | None:
    """Return where data come from, as far as they can be followed; None where they cannot."""
    if not _owners and not _tables:
        return None
    owner = owner_of(data)
    found = _owners.get(id(owner))
    if found is not None and found[0]() is owner:
        return found[1]
    with _turns[0]:
        tables = list(reversed(_tables))
    return _find_by_index(data, tables) or _find_by_rows(data, tables)


def note_parts(parts: Any, *wholes: Any) -> None:
    """Note that data were divided, as ``train_test_split`` does: into as many parts of the first, then of the next."""
    if not _owners and not _tables:
        return
    each = len(parts) // max(len(wholes), 1)
    for place, whole in enumerate(wholes):
        source = find_source(whole)
        if source is not None:
            note_source(parts[place * each : (place + 1) * each], source)


def digest_file(location: str) -> str | None:
    """Return a digest of a local file, of evenly spaced parts of it where it is large; None of what is no such file."""
    import xxhash

    path = location.removeprefix("file://")
    if "://" in path:
        return None
    with suppress(OSError, ValueError):
        if not os.path.isfile(path):  # noqa: PTH113  a path may be too odd for pathlib
            return None
        size = Path(path).stat().st_size
        digest = xxhash.xxh3_64(str(size).encode())
        with Path(path).open("rb") as file:
            if size <= _WHOLE_BYTES:
                digest.update(file.read(_WHOLE_BYTES))
            else:
                for part in range(_PARTS):
                    file.seek(part * (size - _PART_BYTES) // (_PARTS - 1))
                    digest.update(file.read(_PART_BYTES))
        return digest.hexdigest()
    return None


def to_location(value: Any) -> str | None:
    """Return what a loader was given as the path or address of data; None if it is neither, such as the content itself.

    A relative path is made absolute, since the program may change its folder. Of an open file, it is the file's name.
    """
    if type(value).__module__ in {"_io", "io", "tempfile", "gzip"}:
        value = getattr(value, "name", None)
    # A path of the user's own may do anything when it is asked for its text.
    if issubclass(type(value), PurePath) and library(value) == "pathlib":
        value = str(value)
    if type(value) is not str or not 0 < len(value) <= _LONGEST_LOCATION or value[:1] in "{[<" or "\n" in value:
        return None
    if "://" in value or value.startswith(("<", "|")):
        return value
    with suppress(OSError):
        return os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111  pathlib takes three times as long
    return None


def _parts(data: Any) -> Iterator[Any]:
    kind = type(data)
    if kind in (list, tuple):
        yield from (part for part in data[:_MOST_PARTS] if hasattr(type(part), "shape"))
    elif issubclass(kind, dict):
        values = list(dict.values(data))[:_MOST_PARTS]
        yield from (part for part in values if hasattr(type(part), "shape"))
    else:
        yield data


def _describe_table(data: Any, source: Source) -> _Table | None:
    """Return what a table is to be known again by; None of what is none, lazy ones among it."""
    package, kind = library(data), type(data).__name__
    if package == "pandas" and kind in {"DataFrame", "Series"}:
        index = data.index if type(data.index).__name__ == "RangeIndex" else None
        return _Table(weakref.ref(data), source, len(data), index, _labels(data))
    if (package, kind) in {("polars", "DataFrame"), ("numpy", "ndarray")} and data.shape and len(data.shape) <= 2:  # noqa: PLR2004  rows and columns
        return _Table(weakref.ref(data), source, data.shape[0])
    return None


def _labels(data: Any) -> frozenset[Any]:
    """Return the labels of a pandas table's columns; none where there are too many to take them at no cost."""
    if type(data).__name__ == "Series":
        return frozenset([data.name])
    return frozenset(data.columns.tolist()) if data.shape[1] <= _MOST_COLUMNS else frozenset()


def _find_by_index(data: Any, tables: list[_Table]) -> Source | None:
    if library(data) != "pandas" or type(data).__name__ not in {"DataFrame", "Series"}:
        return None
    index = data.index
    labels = _labels(data)
    for table in tables:
        known = table.index
        if known is None and table.labels and (whole := table.reference()) is not None:
            known = whole.index
        if known is not None and index.is_(known) and not labels.isdisjoint(table.labels):
            return table.source
    return None


def _find_by_rows(data: Any, tables: list[_Table]) -> Source | None:
    # Nothing lazy is asked for its shape.
    if library(data) not in {"numpy", "pandas", "polars"}:
        return None
    shape = getattr(data, "shape", None)
    if not isinstance(shape, tuple) or len(shape) not in {1, 2} or shape[0] < _LEAST_ROWS:
        return None
    alive = [(one.source, one.reference()) for one in tables if one.rows == shape[0]]
    wholes = [(source, whole) for source, whole in alive if whole is not None][:_MOST_COMPARED]
    columns = _columns(data) if wholes else set()
    # What hardly varies is found in many a table.
    if not any(len(set(column)) > 1 for column in columns):
        return None
    found = {id(source): source for source, whole in wholes if columns <= _columns(whole)}
    sources = list(found.values())
    # Of two that could be it, neither is said to be.
    return sources[0] if sources and all(one == sources[0] for one in sources) else None


def _columns(data: Any) -> set[tuple[Any, ...]]:
    """Return the values of every column in a few rows, evenly spaced; nothing of a table that is too wide."""
    width = data.shape[1] if len(data.shape) > 1 else 1
    if width > _MOST_COLUMNS:
        return set()
    last = data.shape[0] - 1
    places = [place * last // (_ROWS_COMPARED - 1) for place in range(_ROWS_COMPARED)]
    if library(data) == "pandas":
        part = data.iloc[places]
        columns = [part] if len(data.shape) == 1 else [part.iloc[:, place] for place in range(width)]
        return {_plain(column.tolist()) for column in columns}
    if library(data) == "polars":
        part = data[places]
        return {_plain(column.to_list()) for column in (part.get_columns() if len(data.shape) > 1 else [part])}
    part = data[places]
    return {_plain(column.tolist()) for column in (part.T if len(data.shape) > 1 else [part])}


def _plain(values: list[Any]) -> tuple[Any, ...]:
    """Return values that compare by content: plain numbers and texts; what is missing, or is anything else, by type."""
    return tuple(
        value if type(value) in (int, float, str, bool) and value == value else type(value).__name__  # noqa: PLR0124  NaN
        for value in values
    )


def _begin_child() -> None:
    # Another thread may have had its turn at the fork.
    _turns[0] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
