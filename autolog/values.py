"""What may be logged: conversion and validation of keys, values, steps and ids, with errors that name the value."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Final

from autolog.entities import ViewType
from autolog.errors import InvalidParameter

_RUN_ID: Final = re.compile(r"[A-Za-z0-9][\w\-]{0,255}", re.ASCII)
_INT64: Final = 2**63
# In milliseconds: the end of the year 9999, up to which every library and database tells the time.
_LATEST: Final = 253_402_300_799_999

# What a setting is, and how many of them one may consist of.
_SETTINGS: Final = frozenset({str, int, float, bool, complex})
_MOST_SETTINGS: Final = 16


def to_metric_value(key: object, value: Any) -> float:
    """Return a metric's value as a float.

    Raises:
        InvalidParameter: it is a text, or nothing that ``float`` converts.
    """
    if not isinstance(value, (str, bytes)):
        # Whatever the user's own __float__ raises, the value is not a number.
        with contextlib.suppress(Exception):
            return float(value)
    raise InvalidParameter(
        f"the metric {key!r} has the value {shorten(value)} of type {type(value).__name__}, which is not a number; "
        "log texts with log_param or set_tag"
    )


def to_step(key: object, step: Any) -> int:
    """Return a step as an integer of 64 bits; None is 0, and a whole float is its integer."""
    if step is None:
        return 0
    try:
        number = int(step)
        if number == step and -_INT64 <= number < _INT64:
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidParameter(f"the metric {key!r} has the step {shorten(step)}, which is not an integer of 64 bits")


def to_timestamp(timestamp: Any) -> float:
    """Return a time in milliseconds since the epoch."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        number = float(timestamp)
        if abs(number) <= _LATEST:
            return number
    raise InvalidParameter(f"the timestamp {shorten(timestamp)} is not a number of milliseconds since the epoch")


def to_view(view: ViewType | str | int) -> ViewType:
    """Return a view type, also from its name or from MLflow's number for it.

    Raises:
        InvalidParameter: there is no such view.
    """
    try:
        return list(ViewType)[view - 1] if isinstance(view, int) and view > 0 else ViewType(view)
    except (ValueError, IndexError):
        known = ", ".join(member.value for member in ViewType)
        raise InvalidParameter(f"{shorten(view)} is no view type; use one of {known}") from None


def to_text(value: Any) -> str:
    """Return a param's or tag's value as text, of any length; a lone surrogate, which has no encoding, becomes ?."""
    try:
        text = value if type(value) is str else str(value)
    except Exception as error:
        raise InvalidParameter(
            f"a value of type {type(value).__name__} cannot be logged: its text cannot be had ({type(error).__name__})"
        ) from error
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-8", "replace").decode()
    return text


def is_plain(value: Any) -> bool:
    """Say whether a value is a text, a number, a truth value, or a short list of such: a setting rather than data."""
    if type(value) in (list, tuple):
        return len(value) <= _MOST_SETTINGS and all(map(is_plain, value))
    return type(value) in _SETTINGS


def validate_key(kind: str, key: Any) -> str:
    """Return a key if it is a text that is not empty; of any characters and any length.

    Raises:
        InvalidParameter: it is not.
    """
    if not isinstance(key, str) or not key:
        raise InvalidParameter(f"the {kind} name {shorten(key)} cannot be used; it must be a text that is not empty")
    return to_text(key)


def validate_run_id(run_id: Any) -> str:
    """Return a run id if it can be one: letters, digits, ``-`` and ``_``, at most 256 (MLflow's rule).

    Raises:
        InvalidParameter: it cannot.
    """
    if not isinstance(run_id, str) or _RUN_ID.fullmatch(run_id) is None:
        raise InvalidParameter(
            f"{shorten(run_id)} cannot be a run id; use 1 to 256 letters, digits, '-' and '_', a letter or digit first"
        )
    return run_id


def shorten(value: Any, most: int = 80) -> str:
    """Return a value's repr, cut to what fits in a message."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  a repr that fails must not hide the error that wants to show the value
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else text[: most - 1] + "…"
