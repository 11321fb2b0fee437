"""What can be said of arrays and series without importing their libraries: which memory is theirs."""

from __future__ import annotations

import sys
from typing import Any


def library(value: Any) -> str:
    """Return the name of the package that an object's class comes from."""
    return type(value).__module__.partition(".")[0]


def owner_of(value: Any) -> Any:
    """Return the array that owns a value's memory; of what is no array, and stands on none, the value itself."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return value
    # By their types, and not isinstance(), which a lazy proxy answers by making its object.
    array = value if issubclass(type(value), numpy.ndarray) else _array_of_series(value, numpy)
    if array is None:
        return value
    while issubclass(type(array.base), numpy.ndarray):
        array = array.base
    return array


def _array_of_series(value: Any, numpy: Any) -> Any:
    """Return the array that a pandas series or index stands on; None if it stands on none."""
    if library(value) != "pandas" or type(value).__name__ not in {"Series", "Index"}:
        return None
    return value.to_numpy() if isinstance(value.dtype, numpy.dtype) else None
