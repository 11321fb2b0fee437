"""The experiments of a store, found by listing it, and remembered until their files change."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from autolog.backends.file.layout import (
    ARTIFACTS_FOLDER,
    EXPERIMENT_FILE,
    RUN_FILE,
    ExperimentFile,
    decode,
    id_folder_name,
)
from autolog.errors import StoreCorrupted

logger = logging.getLogger("autolog")

# A file that changed this lately may change again without a new time: file systems count in ticks, of up to 2 s.
_TICK: Final = 2_000_000_000

# What differs when a file, or which files are in a folder, has changed.
Signature = tuple[int, int, int]

T = TypeVar("T")


@dataclass(frozen=True)
class Remembered(Generic[T]):
    """What was read from a place, and how it looked then; ``settled`` if every later change will show."""

    signature: Signature
    settled: bool
    content: T

    @classmethod
    def now(cls, signature: Signature, content: T, since: int) -> Remembered[T]:
        """Remember what was read from a place at the time ``since``, in nanoseconds."""
        return cls(signature, since - signature[0] > _TICK, content)


def look_at(path: Path | str) -> Signature:
    """Return the signature of a file or folder. Raises OSError."""
    status = os.stat(path)  # noqa: PTH116 - thousands are looked at in one search
    return status.st_mtime_ns, status.st_size, status.st_ino


@dataclass(frozen=True)
class ExperimentFolder:
    """An experiment and where it is."""

    path: Path
    file: ExperimentFile

    def run_path(self, run_id: str) -> Path:
        """Return where a run of this experiment is, or would be."""
        return self.path / id_folder_name(run_id)

    def artifact_uri(self, run_id: str) -> str:
        """Return the folder of a run's artifacts as fsspec understands it."""
        if self.file.artifact_location:
            return f"{self.file.artifact_location.rstrip('/')}/{run_id}/{ARTIFACTS_FOLDER}"
        return str(self.run_path(run_id) / ARTIFACTS_FOLDER)


class ExperimentFolders:
    """The experiments of a store. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[str, Remembered[ExperimentFolder | None]] = {}

    def list(self) -> list[ExperimentFolder]:
        """Return the experiments; one whose file is damaged is left out with a warning."""
        try:
            with os.scandir(self.root) as entries:
                paths = [entry.path for entry in entries if entry.is_dir()]
        except FileNotFoundError:
            return []
        return [folder for path in sorted(paths) if (folder := self._load(path)) is not None]

    def by_id(self, experiment_id: str) -> ExperimentFolder | None:
        """Return the experiment of an id."""
        return next((folder for folder in self.list() if folder.file.experiment_id == experiment_id), None)

    def by_name(self, name: str) -> ExperimentFolder | None:
        """Return the experiment of a name; where two machines made one each at the same moment, the older."""
        found = [folder for folder in self.list() if folder.file.name == name]
        return min(found, key=lambda folder: (folder.file.creation_time, folder.file.experiment_id), default=None)

    def of_run(self, run_id: str) -> ExperimentFolder | None:
        """Return the experiment that holds a run."""
        return next((folder for folder in self.list() if (folder.run_path(run_id) / RUN_FILE).is_file()), None)

    def _load(self, path: str) -> ExperimentFolder | None:
        file = Path(path, EXPERIMENT_FILE)
        known = self._seen.get(path)
        try:
            signature = look_at(file)
            if known is not None and known.settled and known.signature == signature:
                return known.content
            since = time.time_ns()
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        folder = None
        try:
            folder = ExperimentFolder(file.parent, decode(file, content, ExperimentFile))
        except StoreCorrupted as error:
            if known is None or known.signature != signature:
                logger.warning("an experiment is left out: %s", error)
        self._seen[path] = Remembered.now(signature, folder, since)
        return folder
