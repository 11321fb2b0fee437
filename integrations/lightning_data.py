"""What a trainer of Lightning reads its batches from: described, never gone through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from autolog.datasets import describe
from autolog.entities import DatasetInput, InputTag
from autolog.guard import guard


def describe_training_loader(trainer: Any) -> dict[str, Any]:
    """Return the settings of the loader that the training reads; of several, those of the first."""
    loaders = _flatten(trainer.train_dataloader)
    params: dict[str, Any] = {}
    if trainer.datamodule is not None:
        params["datamodule"] = type(trainer.datamodule).__name__
    if loaders and isinstance(loaders[0], DataLoader):
        params |= describe_loader(loaders[0])
    return params


def describe_loader(loader: Any) -> dict[str, Any]:
    """Return the settings of a loader of PyTorch's."""
    sampler = loader.sampler
    return {
        "batch_size": loader.batch_size,
        "num_workers": loader.num_workers,
        "shuffle": isinstance(sampler, RandomSampler),
        "drop_last": loader.drop_last,
    }


def describe_inputs(trainer: Any) -> Iterator[DatasetInput]:
    """Yield the data sets that a fit trains on and validates with."""
    for context, name, found in (
        ("train", "train", trainer.train_dataloader),
        ("eval", "val", trainer.val_dataloaders),
    ):
        loaders = _flatten(found)
        for place, loader in enumerate(loaders):
            with guard("describing a data set"):
                yield _describe_input(loader, context, f"{name}_{place + 1}" if place else name)


def _describe_input(loader: Any, context: str, name: str) -> DatasetInput:
    dataset = getattr(loader, "dataset", loader)
    described = describe(dataset, name=name)
    profile = json.loads(described.profile or "{}")
    if isinstance(loader, DataLoader):
        profile |= {key: value for key, value in describe_loader(loader).items() if value is not None}
        if not isinstance(dataset, IterableDataset) and hasattr(type(dataset), "__len__"):
            profile["num_rows"] = len(dataset)
    from msgspec.structs import replace

    described = replace(described, profile=json.dumps(profile))
    return DatasetInput(dataset=described, tags=(InputTag("mlflow.data.context", context),))


def _flatten(loaders: Any) -> list[Any]:
    """Return the loaders in a collection of them, such as Lightning accepts."""
    if loaders is None:
        return []
    leaves, _ = torch.utils._pytree.tree_flatten(loaders)  # noqa: SLF001  what Lightning itself flattens with
    return list(leaves)
