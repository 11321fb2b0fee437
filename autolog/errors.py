"""The one exception hierarchy: every error that autolog raises on purpose is an AutologError.

``error_code`` is the word that MLflow's REST protocol uses for the same failure,
so that a server and a client can translate without a table of their own.
"""

from __future__ import annotations

from typing import ClassVar


class AutologError(Exception):
    """Something that the caller can act on; the message says what happened, to which value, and what to do."""

    error_code: ClassVar[str] = "INTERNAL_ERROR"


class InvalidParameter(AutologError, ValueError):
    """An argument cannot be used as it is."""

    error_code: ClassVar[str] = "INVALID_PARAMETER_VALUE"


class InvalidFilter(InvalidParameter):
    """A search filter or an ordering does not parse; the message points at the character."""


class NotFound(AutologError, LookupError):
    """The experiment, run, metric or artifact asked for is not in the store."""

    error_code: ClassVar[str] = "RESOURCE_DOES_NOT_EXIST"


class AlreadyExists(AutologError):
    """The name or id is taken."""

    error_code: ClassVar[str] = "RESOURCE_ALREADY_EXISTS"


class InvalidState(AutologError):
    """The object exists but cannot do this now, as when a deleted experiment is written to."""

    error_code: ClassVar[str] = "INVALID_STATE"


class MissingDependency(AutologError, ImportError):
    """An optional package is needed for this; the message names the extra that brings it."""


class BackendError(AutologError):
    """A store cannot be used: unreachable, unwritable, locked, damaged or too new."""


class BackendUnavailable(BackendError):
    """The store may answer later: locked, full, down. The writer keeps the journal and tries again."""

    error_code: ClassVar[str] = "TEMPORARILY_UNAVAILABLE"


class StoreCorrupted(BackendError):
    """The store's files or tables are not what a store holds."""


class StoreTooNew(BackendError):
    """The store was written by a newer autolog; upgrade autolog to read it."""


class JournalError(AutologError):
    """The spool folder or one of its journals cannot be used."""
