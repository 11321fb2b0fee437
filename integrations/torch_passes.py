"""Passes over the batches of DataLoaders: which of them train, and what is an epoch."""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Mapping
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


class Pass:
    """One pass over a DataLoader, from where ``iter`` was called on it.

    Args:
        loader: what is passed over.
        iterator: known by its identity only.
    """

    __slots__ = ("batches", "epoch", "first_batch", "is_evaluation", "iterator_id", "loader", "rows", "split")

    def __init__(self, loader: Any, iterator: Any) -> None:
        self.loader: weakref.ref[Any] = weakref.ref(loader)
        self.iterator_id = id(iterator)
        self.batches = 0
        # Since the last step of an optimizer, and of an evaluation since the last loss.
        self.rows = 0
        self.first_batch: list[str] | None = None
        self.is_evaluation = False
        self.epoch: int | None = None
        self.split: str | None = None


def note_pass(iterator: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Note that a pass begins."""
    seen = local.seen
    # What is kept of the thread's passes is few: who trains on more loaders than this at once has no epochs.
    seen.passes = [Pass(args[0], iterator), *seen.passes[: _PASSES_KEPT - 1]]


def note_batch(batch: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Note a batch: whose it is, and how many rows it has."""
    seen = local.seen
    found = seen.current
    if found is None or found.iterator_id != id(args[0]) or found is not seen.passes[0]:
        found = next((one for one in seen.passes if one.iterator_id == id(args[0])), None)
        seen.current = found
        if found is None:
            return
    if not found.batches:
        found.first_batch = describe_batch(batch)
        found.is_evaluation = not torch.is_grad_enabled()
    found.batches += 1
    found.rows += count_rows(batch)


def count_rows(batch: Any) -> int:
    """Return how many rows a batch has, by its first tensor; 1 where there is none."""
    for _ in range(_DEEPEST_BATCH):
        kind = type(batch)
        if kind is list or kind is tuple:
            if not batch:
                return 1
            batch = batch[0]
        elif kind is dict or isinstance(batch, Mapping):
            batch = next(iter(batch.values()), None)
        else:
            shape = getattr(batch, "shape", None)
            return int(shape[0]) if shape else 1
    return 1


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
    """Return what part of the data objects are, by the names that they have in the user's code: ``val`` by default."""
    frame = users_frame(sys._getframe(1))  # noqa: SLF001  the documented way to the caller
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            break
        for name, value in variables_in(frame).items():
            if any(value is one for one in data) and (split := split_of(name)) is not None:
                return split
        frame = _outer(frame)
    return "val"


def split_of(name: str) -> str | None:
    """Return which part of the data a name speaks of: ``train``, ``val`` or ``test``; None where it says nothing."""
    return next((split for split, pattern in _SPLITS if pattern.search(name)), None)


def _outer(frame: FrameType) -> FrameType | None:
    return users_frame(frame.f_back)
