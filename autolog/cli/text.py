"""How values read in a terminal: numbers, times, durations and the sparkline of a series."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime

SPARKS = "▁▂▃▄▅▆▇█"
_EXACT_BELOW = 1e9
# The control characters, and those that turn the direction of writing.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_AGES = ((60, 1, "s"), (3600, 60, "m"), (86_400, 3600, "h"), (30 * 86_400, 86_400, "d"))


def number(value: float, *, padded: bool = False) -> str:
    """Return a number with five significant digits; a whole number keeps all of its digits.

    Args:
        value: the number.
        padded: keep the trailing zeros, so that a column of numbers lines up.
    """
    if not math.isfinite(value):
        return non_finite(value)
    if value == int(value) and abs(value) < _EXACT_BELOW and not padded:
        return str(int(value))
    return f"{value:#.5g}".removesuffix(".") if padded else f"{value:.5g}"


def non_finite(value: float) -> str:
    """Return NaN, Infinity or -Infinity: the words that JSON's readers agree on."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def numbers(values: Sequence[float | None]) -> list[str]:
    """Return a column of numbers that lines up; None becomes an empty text."""
    padded = any(value is not None and math.isfinite(value) and value != int(value) for value in values)
    return ["" if value is None else number(value, padded=padded) for value in values]


def line(value: str) -> str:
    """Return a text on one line, without what would command the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(value.split()))


def param(value: str) -> str:
    """Return a param as it reads best: a long number shortened, a text on one line."""
    try:
        parsed = float(value)
    except ValueError:
        return line(value)
    return number(parsed) if len(value) > len("-0.00000") else value


def duration(milliseconds: float) -> str:
    """Return a span of time with the two units that matter, as in 2m 05s."""
    milliseconds = max(round(milliseconds), 0)
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds}ms"
    if round(seconds, 1) < 60:  # noqa: PLR2004 - units of time
        return f"{seconds:.1f}s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s"


def age(time: int, now: int) -> str:
    """Return how long ago a time in milliseconds was, and its date where that says more."""
    seconds = max(now - time, 0) / 1000
    for limit, unit, letter in _AGES:
        if seconds < limit:
            return f"{int(seconds // unit)}{letter} ago"
    return f"{datetime.fromtimestamp(time / 1000).astimezone():%Y-%m-%d}"


def moment(time: int) -> str:
    """Return a time in milliseconds in the reader's time zone."""
    return f"{datetime.fromtimestamp(time / 1000).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def size(count: int) -> str:
    """Return a number of bytes in the unit that reads best."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 - units of size
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, as in 1 run and 2 runs."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw a series in one line: each character the mean of its stretch, a blank where no value is finite."""
    stretches = min(width, len(values))
    means: list[float] = []
    for index in range(stretches):
        part = values[index * len(values) // stretches : (index + 1) * len(values) // stretches]
        finite = [value for value in part if math.isfinite(value)]
        means.append(math.fsum(finite) / len(finite) if finite else math.nan)
    known = [mean for mean in means if math.isfinite(mean)]
    if not known:
        return ""
    low, spread = min(known), max(known) - min(known)
    top = len(SPARKS) - 1
    return "".join(
        " " if not math.isfinite(mean) else SPARKS[round((mean - low) / spread * top) if spread > 0 else top // 2]
        for mean in means
    )
