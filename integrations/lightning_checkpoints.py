"""The checkpoints that a fit of Lightning has saved: where they are, which is the best, and which run they are of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from autolog.integrations.lightning_values import Values
from autolog.loops import CONTINUED_TAG
from autolog.run import ActiveRun
from autolog.sources import digest_file

_MOST_LISTED: Final = 100

# By their paths, the runs that checkpoints were saved in by this process.
_runs: Final[dict[str, ActiveRun]] = {}
_MOST_REMEMBERED: Final = 1000


def run_of_checkpoint(path: Any) -> ActiveRun | None:
    """Return the run that a checkpoint was saved in by this process; None where that is not known."""
    return _runs.get(os.path.abspath(path)) if isinstance(path, (str, os.PathLike)) else None  # noqa: PTH100  as given


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


class Checkpoints:
    """The checkpoints of one fit.

    Args:
        trainer: that saves them.
        run: where they are recorded.
        values: of the fit.
        prefix: what names in the run begin with.
    """

    def __init__(self, trainer: Any, run: ActiveRun, values: Values, prefix: str) -> None:
        self._trainer: Final = trainer
        self._run: Final = run
        self._values: Final = values
        self._prefix: Final = prefix
        self._saved: dict[str, dict[str, Any]] = {}
        self._best = ""

    def note(self, path: Any) -> None:
        """Note that a checkpoint was saved just now."""
        text = os.path.abspath(path)  # noqa: PTH100  it may be an address
        trainer = self._trainer
        self._saved.pop(text, None)
        self._saved[text] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "digest": digest_file(text),
        }
        while len(self._saved) > _MOST_LISTED:
            self._saved.pop(next(iter(self._saved)))
        _runs.pop(text, None)
        _runs[text] = self._run
        while len(_runs) > _MOST_REMEMBERED:
            _runs.pop(next(iter(_runs)))
        self._log()

    def forget(self, path: Any) -> None:
        """Note that a checkpoint was deleted."""
        if self._saved.pop(os.path.abspath(path), None) is not None:  # noqa: PTH100  as above
            self._log()

    def log_best(self) -> None:
        """Log which checkpoint is the best, where another is since the last time."""
        callback = self._trainer.checkpoint_callback
        path = getattr(callback, "best_model_path", "")
        if path and path != self._best:
            self._best = path
            self._run.set_tag(f"{self._prefix}best_model_path", path)
            name = f"{self._prefix}best_model_score"
            self._values.record(name, callback.best_model_score, self._trainer.current_epoch)

    def end(self) -> None:
        """Log how it stands at the end."""
        self.log_best()
        if self._saved:
            self._log()

    def _log(self) -> None:
        best = os.path.abspath(self._best) if self._best else ""  # noqa: PTH100  as above
        listed: list[Mapping[str, Any]] = [
            {"path": path, **facts, "is_best": path == best} for path, facts in self._saved.items()
        ]
        self._run.log_content(f"{self._prefix}checkpoints.json", json.dumps(listed, indent=1).encode())
