"""Files that a program saves with ``torch.save`` while a training loop goes on: where they are, and their digests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from autolog.integrations.torch_threads import local
from autolog.sources import digest_file
from autolog.training import current_training

CHECKPOINTS_PATH: Final = "checkpoints.json"
_MOST_CHECKPOINTS: Final = 1000


def note_file(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note a file that was saved, with the step and the epoch that the loop was at."""
    loop = local.seen.loop
    if loop is None or loop.is_over or current_training() is not None:
        return
    target = args[1]
    if not isinstance(target, (str, os.PathLike)):
        target = getattr(target, "name", None)
        if not isinstance(target, str):
            return
    loop.flush()
    path = Path(target).absolute()
    loop.checkpoints = [
        *loop.checkpoints[1 - _MOST_CHECKPOINTS :],
        {
            "path": str(path),
            "digest": digest_file(str(path)),
            "size": path.stat().st_size,
            "step": loop.steps,
            "epoch": loop.epochs,
        },
    ]
    loop.run.log_content(CHECKPOINTS_PATH, json.dumps(loop.checkpoints, indent=1).encode())
