"""Checkpoints that trainers of other libraries save: where they are, which is the best, and which run they are of."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from autolog.integrations.torch_checkpoints import CHECKPOINTS_PATH
from autolog.loops import CONTINUED_TAG
from autolog.run import ActiveRun
from autolog.sources import digest_file

_MOST_LISTED: Final = 100
_MOST_REMEMBERED: Final = 1000
# Of a checkpoint that is a folder, the file that its digest is of: the first that there is.
_WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors",
)

# By their paths, the runs that checkpoints were saved in by this process.
_runs: Final[dict[str, ActiveRun]] = {}


def run_of_checkpoint(path: Any) -> ActiveRun | None:
    """Return the run that a checkpoint was saved in by this process; None where that is not known."""
    return _runs.get(_absolute(path)) if isinstance(path, (str, os.PathLike)) else None


def describe_former(path: Any, former: ActiveRun | None) -> dict[str, str]:
    """Return the tags that say what a training goes on from: a checkpoint, or a model that has been trained before.

    Args:
        path: the checkpoint's, or a word that a library has for one, or None.
        former: the run that the model was trained in.
    """
    tags: dict[str, str] = {}
    if isinstance(path, (str, os.PathLike)):
        tags[f"{CONTINUED_TAG}.path"] = text = os.fspath(path)
        if (digest := _digest(text)) is not None:
            tags[f"{CONTINUED_TAG}.digest"] = digest
        former = run_of_checkpoint(path) or former
    return tags if former is None else {**tags, CONTINUED_TAG: former.run_id}


class Checkpoints:
    """The checkpoints of one training.

    Args:
        run: where they are recorded.
        prefix: what names in the run begin with.
    """

    def __init__(self, run: ActiveRun, prefix: str = "") -> None:
        self._run: Final = run
        self._path: Final = prefix + CHECKPOINTS_PATH
        self._saved: dict[str, dict[str, Any]] = {}
        self._best: str | None = None

    def note(self, path: Any, step: int, epoch: float) -> None:
        """Note that a checkpoint was saved just now.

        Args:
            path: of a file or folder.
            step: how many steps the optimizer has done.
            epoch: as the library counts.
        """
        key = _absolute(path)
        # What is saved again is the latest.
        self._saved.pop(key, None)
        self._saved[key] = {"path": key, "digest": _digest(key), "size": _size(key), "step": step, "epoch": epoch}
        _keep_last(self._saved, _MOST_LISTED)
        _runs.pop(key, None)
        _runs[key] = self._run
        _keep_last(_runs, _MOST_REMEMBERED)
        self._log()

    def forget(self, path: Any) -> None:
        """Note that a checkpoint was deleted."""
        if self._saved.pop(_absolute(path), None) is not None:
            self._log()

    def forget_deleted(self) -> None:
        """Note which checkpoints are folders or files no longer."""
        for path in [path for path in self._saved if "://" not in path and not Path(path).exists()]:
            self.forget(path)

    def mark_best(self, path: Any) -> bool:
        """Note which checkpoint is the best; return whether it is another than before."""
        best = _absolute(path)
        if best == self._best:
            return False
        self._best = best
        self._log()
        return True

    def _log(self) -> None:
        if self._saved:
            listed = [{**facts, "is_best": path == self._best} for path, facts in self._saved.items()]
            self._run.log_content(self._path, json.dumps(listed, indent=1).encode())


def _absolute(path: Any) -> str:
    text = os.fspath(path)
    return text if "://" in text else str(Path(text).absolute())


def _digest(path: str) -> str | None:
    if "://" not in path and Path(path).is_dir():
        return next((found for name in _WEIGHTS if (found := digest_file(str(Path(path, name)))) is not None), None)
    return digest_file(path)


def _size(path: str) -> int | None:
    # It may be elsewhere, or be written later.
    with suppress(OSError):
        if "://" not in path:
            place = Path(path)
            files = [one for one in place.rglob("*") if one.is_file()] if place.is_dir() else [place]
            return sum(one.stat().st_size for one in files)
    return None


def _keep_last(entries: dict[str, Any], most: int) -> None:
    while len(entries) > most:
        entries.pop(next(iter(entries)))
