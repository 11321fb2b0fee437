"""Settings: what the arguments of enable() say, else the AUTOLOG_* variables, else the defaults."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from msgspec import Struct, field

from autolog.entities import DEFAULT_EXPERIMENT_NAME
from autolog.errors import InvalidParameter

DEFAULT_BACKEND = "file:./autolog-runs"

_TRUE = frozenset({"1", "true", "yes", "on"})
_SWITCH = "1 or 0 (also true/false, yes/no, on/off)"
_FALSE = frozenset({"0", "false", "no", "off", ""})


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be set. Times are in seconds."""

    backend: str = DEFAULT_BACKEND
    experiment: str = DEFAULT_EXPERIMENT_NAME
    integrations: Collection[str] | None = None
    exclude: Collection[str] = ()
    log_models: bool = True
    log_datasets: bool = True
    log_environment: bool = True
    system_metrics: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    strict: bool = False
    spool: Path = field(default_factory=lambda: default_spool())  # noqa: PLW0108  it is defined below
    flush_interval: float = 0.5
    exit_timeout: float = 10.0
    spool_limit: int = 10 * 2**30
    writer: Literal["thread", "process"] = "thread"
    training_metrics_rows: int = 2_000
    search_children: int | None = None
    permutation_importances: bool = False
    log_every_n_steps: int | None = None


def load_settings(**arguments: Any) -> Settings:
    """Return the settings in force.

    Args:
        **arguments: fields of ``Settings``; None means "not given".

    Raises:
        InvalidParameter: a variable or argument has a value that its setting cannot take.
    """
    values: dict[str, Any] = {}
    for name, variable, parse, expected in _VARIABLES:
        text = os.environ.get(variable)
        if text is not None:
            try:
                values[name] = parse(text)
            except ValueError:
                raise InvalidParameter(f"{variable}={text!r} is not understood; it takes {expected}") from None
    values.update({name: value for name, value in arguments.items() if value is not None})
    for name in ("integrations", "exclude"):
        if isinstance(values.get(name), str):
            values[name] = _parse_names(values[name])
    values["backend"] = resolve_backend(values.get("backend", DEFAULT_BACKEND))
    return Settings(**values)


def resolve_backend(url: str | os.PathLike[str]) -> str:
    """Return a backend's URL with a relative folder made absolute, so that a later ``chdir`` does not move it."""
    text = os.fspath(url)
    if not text:
        raise InvalidParameter("the backend URL is empty; leave it out for the default, file:./autolog-runs")
    for prefix in ("file:", "sqlite:///"):
        path, mark, query = text.removeprefix(prefix).partition("?")
        if text.startswith(prefix) and not path.startswith(("/", ":memory:")):
            return f"{prefix}{_make_absolute(path)}{mark}{query}"
    if "://" not in text and not text.startswith("file:"):
        scheme, colon, _ = text.partition(":")
        if not colon or len(scheme) == 1 or "/" in scheme:
            return f"file:{_make_absolute(text)}"
    return text


def _make_absolute(path: str) -> Path:
    try:
        return Path(path).resolve()
    except FileNotFoundError:
        raise InvalidParameter(
            f"the folder {path!r} is relative to a working folder that is gone; give the backend an absolute path"
        ) from None


def default_spool() -> Path:
    """Return the folder that journals live in: AUTOLOG_SPOOL, else below the user's cache folder."""
    if spool := os.environ.get("AUTOLOG_SPOOL"):
        return Path(spool).expanduser().absolute()
    try:
        base = _cache_folder()
    except RuntimeError:
        # A user without a home, as in many containers.
        import tempfile

        base = Path(tempfile.gettempdir()) / f"autolog-{_user_number()}"
    return base / "autolog" / "spool"


def _cache_folder() -> Path:
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _user_number() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _parse_switch(text: str) -> bool:
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ValueError(text)


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _parse_seconds(text: str) -> float:
    if not 0 <= (seconds := float(text)) < float("inf"):
        raise ValueError(text)
    return seconds


def _parse_count(text: str) -> int:
    if (count := int(text)) < 0:
        raise ValueError(text)
    return count


def _parse_writer(text: str) -> Literal["thread", "process"]:
    if text not in {"thread", "process"}:
        raise ValueError(text)
    return cast('Literal["thread", "process"]', text)


def _parse_tags(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


_VARIABLES = (
    ("backend", "AUTOLOG_BACKEND", str, "a text"),
    ("experiment", "AUTOLOG_EXPERIMENT", str, "a text"),
    ("integrations", "AUTOLOG_INTEGRATIONS", _parse_names, "names with commas between them, as in sklearn,xgboost"),
    ("exclude", "AUTOLOG_EXCLUDE", _parse_names, "names with commas between them, as in sklearn,xgboost"),
    ("log_models", "AUTOLOG_LOG_MODELS", _parse_switch, _SWITCH),
    ("log_datasets", "AUTOLOG_LOG_DATASETS", _parse_switch, _SWITCH),
    ("log_environment", "AUTOLOG_LOG_ENVIRONMENT", _parse_switch, _SWITCH),
    ("system_metrics", "AUTOLOG_SYSTEM_METRICS", _parse_switch, _SWITCH),
    ("tags", "AUTOLOG_TAGS", _parse_tags, "tags with commas between them, as in team=vision,stage=trial"),
    ("silent", "AUTOLOG_SILENT", _parse_switch, _SWITCH),
    ("strict", "AUTOLOG_STRICT", _parse_switch, _SWITCH),
    ("flush_interval", "AUTOLOG_FLUSH_INTERVAL", _parse_seconds, "a number of seconds, zero or more"),
    ("exit_timeout", "AUTOLOG_EXIT_TIMEOUT", _parse_seconds, "a number of seconds, zero or more"),
    ("spool_limit", "AUTOLOG_SPOOL_LIMIT", int, "a whole number of bytes"),
    ("writer", "AUTOLOG_WRITER", _parse_writer, "thread or process"),
    ("training_metrics_rows", "AUTOLOG_TRAINING_METRICS_ROWS", _parse_count, "a whole number, zero or more"),
    ("search_children", "AUTOLOG_SEARCH_CHILDREN", _parse_count, "a whole number, zero or more"),
    ("permutation_importances", "AUTOLOG_PERMUTATION_IMPORTANCES", _parse_switch, _SWITCH),
    ("log_every_n_steps", "AUTOLOG_LOG_EVERY_N_STEPS", _parse_count, "a whole number, zero or more"),
)
