"""The checkpoints that a fit of Lightning has saved: where they are, which is the best, and which run they are of."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autolog.integrations.torch_checkpoints import CHECKPOINTS_PATH
from autolog.loops import CONTINUED_TAG
from autolog.run import ActiveRun
from autolog.sources import digest_file

if TYPE_CHECKING:
    from autolog.integrations.lightning_fits import Fit

_MOST_LISTED: Final = 100
_MOST_REMEMBERED: Final = 1000

# By their paths, the runs that checkpoints were saved in by this process.
_runs: Final[dict[str, ActiveRun]] = {}


def run_of_checkpoint(path: Any) -> ActiveRun | None:
    """Return the run that a checkpoint was saved in by this process; None where that is not known."""
    return _runs.get(_absolute(path)) if isinstance(path, (str, os.PathLike)) else None


def describe_former(path: Any, former: ActiveRun | None) -> dict[str, str]:
    """Return the tags that say what a fit goes on from: a checkpoint, or a model that has been trained before.

    Args:
        path: the checkpoint's, or a word that Lightning has for one, or None.
        former: the run that the model was trained in.
    """
    tags: dict[str, str] = {}
    if isinstance(path, (str, os.PathLike)):
        tags[f"{CONTINUED_TAG}.path"] = text = os.fspath(path)
        if (digest := digest_file(text)) is not None:
            tags[f"{CONTINUED_TAG}.digest"] = digest
        former = run_of_checkpoint(path) or former
    return tags if former is None else {**tags, CONTINUED_TAG: former.run_id}


def _absolute(path: Any) -> str:
    text = os.fspath(path)
    return text if "://" in text else str(Path(text).absolute())


class Checkpoints:
    """The checkpoints of one fit.

    Args:
        fit: that saves them.
    """

    def __init__(self, fit: Fit) -> None:
        self._fit: Final = fit
        self._saved: dict[str, dict[str, Any]] = {}
        self._best = ""

    def note(self, path: Any) -> None:
        """Note that a checkpoint was saved just now."""
        key, trainer = _absolute(path), self._fit.trainer
        # What is saved again is the latest.
        self._saved.pop(key, None)
        self._saved[key] = facts = {
            "path": key,
            "digest": digest_file(key),
            "size": None,
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
        }
        # It may be elsewhere, or be written later.
        with suppress(OSError):
            facts["size"] = Path(key).stat().st_size if "://" not in key else None
        _keep_last(self._saved, _MOST_LISTED)
        _runs.pop(key, None)
        _runs[key] = self._fit.run
        _keep_last(_runs, _MOST_REMEMBERED)
        self._log()

    def forget(self, path: Any) -> None:
        """Note that a checkpoint was deleted."""
        if self._saved.pop(_absolute(path), None) is not None:
            self._log()

    def log_best(self) -> None:
        """Log which checkpoint is the best, where another is since the last time."""
        callback, fit = self._fit.trainer.checkpoint_callback, self._fit
        path = getattr(callback, "best_model_path", "")
        if path and path != self._best:
            self._best = path
            fit.run.set_tag(f"{fit.prefix}best_model_path", path)
            fit.log("best_model_score", callback.best_model_score, fit.trainer.current_epoch)

    def end(self) -> None:
        """Log how it stands at the end."""
        self.log_best()
        if self._saved:
            self._log()

    def _log(self) -> None:
        best = _absolute(self._best) if self._best else None
        listed = [{**facts, "is_best": path == best} for path, facts in self._saved.items()]
        self._fit.run.log_content(self._fit.prefix + CHECKPOINTS_PATH, json.dumps(listed, indent=1).encode())


def _keep_last(entries: dict[str, Any], most: int) -> None:
    while len(entries) > most:
        entries.pop(next(iter(entries)))
