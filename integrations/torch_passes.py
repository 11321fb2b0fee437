"""Passes over the batches of DataLoaders: which of them train, and what is an epoch."""

from __future__ import annotations

import math
import re
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import torch

from autolog.callers import users_frame, variables_in
from autolog.integrations.torch_threads import local

_PASSES_KEPT: Final = 4
_DEEPEST_BATCH: Final = 4
_FRAMES_SEARCHED: Final = 8

# What a name says about the data: parts of it between underscores and the like.
_SPLITS: Final = (
    ("test", re.compile(r"(^|_)(test|tst|te)(_|$|loader|set|data|dl)|holdout", re.IGNORECASE)),
    ("val", re.compile(r"(^|_)(val|valid|validation|dev|eval|va)(_|$|loader|set|data|dl)", re.IGNORECASE)),
    ("train", re.compile(r"(^|_)(train|training|trn|tr)(_|$|loader|set|data|dl)", re.IGNORECASE)),
)
_NAMES_OF_SPLITS: Final = frozenset({"split", "phase", "mode", "stage", "subset", "partition"})


class Pass:
    """One pass over a DataLoader, from where ``iter`` was called on it.

    Args:
        loader: what is passed over.
        iterator: PyTorch's, which counts the batches that it has given.
    """

    __slots__ = ("_ahead", "_total", "epoch", "is_evaluation", "iterator", "loader", "rows", "split", "taken")

    def __init__(self, loader: Any, iterator: Any) -> None:
        self.loader: weakref.ref[Any] = weakref.ref(loader)
        # With it the workers would be kept.
        self.iterator: weakref.ref[Any] = weakref.ref(iterator)
        self.taken = 0
        self.is_evaluation = False
        self.epoch: int | None = None
        self.split: str | None = None
        # It takes the next batch before it gives one.
        self._ahead = type(loader).__module__.startswith("accelerate.")
        self.rows, self._total = _rows_of(loader)

    @property
    def full_batches(self) -> float:
        """How many batches are known to be full ones, each counted when the program has it."""
        if self._ahead:
            return 0
        return math.inf if self.rows is None else self._total / self.rows

    @property
    def is_over(self) -> bool:
        """Whether nobody takes batches from it any more."""
        return self.iterator() is None

    def has_new_batches(self) -> bool:
        """Say whether batches were taken since the last step."""
        iterator = self.iterator()
        return iterator is not None and iterator._num_yielded > self.taken  # noqa: SLF001  counted by PyTorch anyway

    def take(self, count: int, backwards: int) -> int:
        """Return how many rows a step has had, 0 where that is not known.

        Args:
            count: how many batches the iterator has given.
            backwards: how many backward passes the step has had.
        """
        before = self.taken
        self.taken = now = before + backwards if self._ahead else count
        if self.rows is None:
            return 0
        return int(max(min(now * self.rows, self._total) - min(before * self.rows, self._total), 0))


def _rows_of(loader: Any) -> tuple[int | None, float]:
    """Return how many rows a batch has, None where that varies, and how many there are in all."""
    rows = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    if type(rows) is not int:
        return None, math.inf
    sampler = loader.sampler
    if isinstance(loader.dataset, torch.utils.data.IterableDataset) or loader.drop_last:
        return rows, math.inf
    with suppress(TypeError):  # neither a sampler nor a data set has to have a length
        return rows, len(sampler)
    return rows, math.inf


def note_pass(iterator: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Note that a pass begins."""
    seen = local.seen
    # What is kept of the thread's passes is few: who trains on more loaders than this at once has no epochs.
    seen.passes = [Pass(args[0], iterator), *seen.passes[: _PASSES_KEPT - 1]]
    seen.iterator = None


def describe_batch(batch: Any, depth: int = 0) -> list[str]:
    """Return the dtypes and shapes of the tensors of a batch."""
    if isinstance(batch, torch.Tensor):
        return [f"{str(batch.dtype).removeprefix('torch.')} {list(batch.shape)}"]
    if depth < _DEEPEST_BATCH and isinstance(batch, Mapping):
        return [f"{name}: {text}" for name, part in batch.items() for text in describe_batch(part, depth + 1)]
    if depth < _DEEPEST_BATCH and isinstance(batch, (list, tuple)):
        return [text for part in batch[:_PASSES_KEPT] for text in describe_batch(part, depth + 1)]
    return [type(batch).__name__]


def name_split(*data: Any) -> str:
    """Return what part of the data objects are, by the user's code: ``val`` by default.

    It is said by the names that they have there, or by the value of a variable such as ``split`` or ``phase``.
    """
    frame = users_frame(sys._getframe(1))  # noqa: SLF001  the documented way to the caller
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            break
        variables = variables_in(frame)
        for name, value in variables.items():
            if any(value is one for one in data) and (split := split_of(name)) is not None:
                return split
        for name in _NAMES_OF_SPLITS & variables.keys():
            if type(variables[name]) is str and (split := split_of(variables[name])) is not None:
                return split
        frame = _outer(frame)
    return "val"


def split_of(name: str) -> str | None:
    """Return which part of the data a name speaks of: ``train``, ``val`` or ``test``; None where it says nothing."""
    return next((split for split, pattern in _SPLITS if pattern.search(name)), None)


def _outer(frame: FrameType) -> FrameType | None:
    return users_frame(frame.f_back)
