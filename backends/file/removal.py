"""Removing what is deleted for ever: out of sight in one rename, then file by file."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Final

from autolog.backends.file.experiments import ExperimentFolder
from autolog.backends.file.run_record import RunRecord
from autolog.entities import LifecycleStage

# No experiment: what is in it is found by nobody, and goes with the next removal where one is cut off.
_REMOVED_FOLDER: Final = ".removed"


def is_deleted(record: RunRecord, experiment: ExperimentFolder) -> bool:
    """Say whether a run may be removed: it is deleted itself, or its experiment is."""
    stages = (record.run.info.lifecycle_stage, experiment.file.lifecycle_stage)
    return LifecycleStage.DELETED in stages


def remove_folder(root: Path, folder: Path) -> None:
    """Remove the folder of a run or an experiment from the store in the folder ``root``."""
    removed = root / _REMOVED_FOLDER
    removed.mkdir(exist_ok=True)
    folder.rename(removed / uuid.uuid4().hex)


def sweep(root: Path) -> None:
    """Delete the files of what has been removed."""
    shutil.rmtree(root / _REMOVED_FOLDER, ignore_errors=True)
