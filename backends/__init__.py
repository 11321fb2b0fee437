"""Where records are kept: a table from URL scheme to the classes that write and read such a store."""

from __future__ import annotations

import importlib
import re
from typing import Any, NamedTuple, cast

from autolog.backend import Backend, Reader
from autolog.errors import InvalidParameter, MissingDependency
from autolog.late_imports import importing


class BackendTarget(NamedTuple):
    """The classes of one kind of store as ``module:Class``, and the extra that installs what they import."""

    backend: str
    reader: str
    extra: str | None = None


_SQL = BackendTarget("autolog.backends.sql:SqlBackend", "autolog.backends.sql:SqlReader", "sql")

BACKENDS: dict[str, BackendTarget] = {
    "file": BackendTarget("autolog.backends.file:FileBackend", "autolog.backends.file:FileReader"),
    "sqlite": _SQL,
    "postgresql": _SQL,
    "mysql": _SQL,
    "mariadb": _SQL,
}

# One letter before the colon is a drive of Windows, not a scheme.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9.-]+)(?:\+[A-Za-z0-9_]+)?:")


def open_backend(url: str) -> Backend:
    """Open the store at a URL for writing, and make it where there is none.

    Args:
        url: such as ``file:./autolog-runs``, ``sqlite:///runs.db``, ``postgresql://host/db``, or a folder's path.

    Raises:
        InvalidParameter: no backend answers to the URL's scheme.
        MissingDependency: the packages of this kind of store are not installed.
        BackendError: the store cannot be opened.
    """
    return cast("Backend", _load(url, find_target(url).backend)(url))


def open_reader(url: str) -> Reader:
    """Open the store at a URL for reading; one that is not there reads as empty. Raises as ``open_backend`` does."""
    return cast("Reader", _load(url, find_target(url).reader)(url))


def find_target(url: str) -> BackendTarget:
    """Return the entry of the table, or the third party's entry point, that serves a URL's scheme.

    A third party registers ``module:Backend`` under its scheme in the entry-point group ``autolog.backends``;
    the reader's class stands beside it as ``module:Reader``.

    Raises:
        InvalidParameter: no backend answers to the scheme.
    """
    match = _SCHEME.match(url)
    scheme = match["scheme"].lower() if match else "file"
    if scheme in BACKENDS:
        return BACKENDS[scheme]
    from importlib.metadata import entry_points

    for entry in entry_points(group="autolog.backends"):
        if entry.name == scheme:
            return BackendTarget(entry.value, entry.value.replace("Backend", "Reader"))
    known = ", ".join(sorted(BACKENDS))
    raise InvalidParameter(
        f"no backend serves the scheme {scheme!r}; use one of {known}, as in file:./autolog-runs or sqlite:///runs.db"
    )


def _load(url: str, target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        with importing():
            return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        extra = find_target(url).extra
        if extra is None or (error.name or "").startswith("autolog"):
            raise
        raise MissingDependency(
            f"the package {error.name!r} is needed for this backend: pip install 'autolog-ml[{extra}]'"
        ) from error
