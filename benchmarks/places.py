"""The folders and databases that jobs work in: each job its own, or one for all jobs of a shared name."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from databases import make_database
from plan import Job


class Places:
    """Makes a place when its first job comes, and removes it after its last; ``turns`` are all that will come."""

    def __init__(self, folder: Path, turns: list[Job]) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._left = Counter(job.shared for job in turns)
        self._open: dict[str, tuple[ExitStack, dict[str, Any]]] = {}

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        for stack, _place in self._open.values():
            stack.close()

    @contextmanager
    def prepare(self, job: Job) -> Iterator[dict[str, Any]]:
        """Give a job's arguments, its place among them."""
        name = job.shared or str(next(self._numbers))
        if name not in self._open:
            self._open[name] = self._make(job, self._folder / name)
        stack, place = self._open[name]
        self._left[job.shared] -= 1
        try:
            yield place | {"tool": job.contender.tool, "store": job.contender.store or ""} | job.arguments
        finally:
            if job.shared is None or not self._left[job.shared]:
                del self._open[name]
                stack.close()

    @staticmethod
    def _make(job: Job, folder: Path) -> tuple[ExitStack, dict[str, Any]]:
        stack = ExitStack()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        place = {"folder": str(folder)}
        if job.needs_server:
            place["url"] = stack.enter_context(make_database(job.contender.store or ""))
        return stack, place
