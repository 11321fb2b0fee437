"""Figures as people read them."""

from __future__ import annotations

import math
from typing import Final

from measures import Unit

_SIZES: Final = {
    "ns": (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0)),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
    "share": (("%", 0.01),),
    "surcharge": (("%", 0.01),),
}


def to_text(value: float, unit: Unit) -> str:
    """Return a figure with three significant digits in the largest unit that leaves it at one or more."""
    sizes = _SIZES[unit]
    name, size = next(((name, size) for name, size in sizes if abs(value) >= size), sizes[-1])
    return f"{to_digits(value / size)} {name}"


def to_digits(value: float) -> str:
    """Return a number with three significant digits."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.{digits}f}"
