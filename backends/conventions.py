"""What every kind of store does alike: how it says that something is not there, and how it resolves a taken id."""

from __future__ import annotations

import hashlib
from pathlib import Path

from autolog.errors import NotFound


def run_not_found(store: str | Path, run_id: str) -> NotFound:
    """Return the error that a store, under the name that messages have for it, holds no such run."""
    return NotFound(f"there is no run with the id {run_id!r} in the store {store}")


def experiment_not_found(store: str | Path, experiment_id: str) -> NotFound:
    """Return the error that a store, under the name that messages have for it, holds no such experiment."""
    return NotFound(f"there is no experiment with the id {experiment_id!r} in the store {store}")


def derive_experiment_id(taken: str, name: str) -> str:
    """Return the id of an experiment whose own id belongs to another name: the same, whoever comes with these two."""
    return str(int(hashlib.sha256(f"{taken}/{name}".encode()).hexdigest()[:15], 16))
