"""What a trainer of Lightning, its module, its optimizers, its callbacks and its data loaders were told."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

import torch
from msgspec.structs import replace
from torch.utils._pytree import tree_leaves  # what Lightning itself flattens with
from torch.utils.data import DataLoader

from autolog.entities import DatasetInput, InputTag
from autolog.guard import guard
from autolog.integrations.torch_optimizers import describe_optimizer, describe_schedulers, plain
from autolog.integrations.torch_params import describe_dataset, describe_loader, describe_process

# Of the trainer, under the names that its constructor has for them.
_SETTINGS: Final = (
    "max_epochs",
    "max_steps",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "precision",
    "num_nodes",
    "val_check_interval",
    "check_val_every_n_epoch",
    "limit_train_batches",
    "limit_val_batches",
    "overfit_batches",
    "fast_dev_run",
)
_EARLY_STOPPING: Final = ("monitor", "mode", "patience")
_CHECKPOINT: Final = ("monitor", "mode", "save_top_k", "save_last")
_SCHEDULER: Final = ("interval", "frequency", "monitor")


def prefix_of(owner: str, place: int) -> str:
    """Return what the names of the first, second and so on of several things of a kind begin with: nothing at first."""
    return f"{owner}_{place + 1}." if place else ""


def to_plain(value: Any) -> Any:
    """Return what stands for a value in a text that is the same in every run with the same settings."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (torch.dtype, torch.device, PurePath)):
        return str(value)
    return plain(value)


def describe_trainer(trainer: Any) -> dict[str, Any]:
    """Return the settings of a trainer and of its process."""
    process = describe_process()
    seed = os.environ.get("PL_GLOBAL_SEED", process["seed"])
    return {
        **process,
        "seed": seed,
        "epochs": trainer.max_epochs,
        **{name: getattr(trainer, name) for name in _SETTINGS if hasattr(trainer, name)},
        "devices": trainer.num_devices,
        "world_size": trainer.world_size,
        "strategy": type(trainer.strategy).__name__,
        "accelerator": type(trainer.accelerator).__name__,
    }


def describe_optimizers(trainer: Any) -> dict[str, Any]:
    """Return the settings of all optimizers and their schedulers; the first ones have the plain names, as in MLflow."""
    params: dict[str, Any] = {}
    for place, optimizer in enumerate(trainer.optimizers):
        described = describe_optimizer(optimizer)
        # A scheduler may have set it already for the first step.
        if (first := described.pop("initial_lr", None)) is not None:
            described["lr"] = first
        configs = [one for one in trainer.lr_scheduler_configs if _optimizer_of(one.scheduler) is optimizer]
        described |= describe_schedulers([one.scheduler for one in configs])
        for number, config in enumerate(configs, start=1):
            prefix = "scheduler" if number == 1 else f"scheduler_{number}"
            found = {f"{prefix}_{name}": getattr(config, name) for name in _SCHEDULER}
            described |= {name: value for name, value in found.items() if value is not None}
        params |= {prefix_of("optimizer", place) + name: value for name, value in described.items()}
    return params


def _optimizer_of(scheduler: Any) -> Any:
    return getattr(scheduler, "optimizer", None)


def name_rates(optimizers: Sequence[Any]) -> Iterator[str]:
    """Yield the names of the learning rates of all groups of parameters."""
    for place, optimizer in enumerate(optimizers, start=1):
        name = "learning_rate" if len(optimizers) == 1 else f"learning_rate_optimizer_{place}"
        groups = len(optimizer.param_groups)
        yield from [name] if groups == 1 else [f"{name}_group_{number}" for number in range(groups)]


def describe_callbacks(trainer: Any) -> dict[str, Any]:
    """Return which callbacks there are, and what stops early (under MLflow's names) and saves checkpoints."""
    params: dict[str, Any] = {"callbacks": [type(callback).__name__ for callback in trainer.callbacks]}
    for place, callback in enumerate(trainer.early_stopping_callbacks):
        prefix = prefix_of("early_stopping", place)
        params |= {prefix + name: getattr(callback, name) for name in _EARLY_STOPPING}
        # Lightning has given it the sign of the mode.
        params[f"{prefix}min_delta"] = abs(callback.min_delta)
    for place, callback in enumerate(trainer.checkpoint_callbacks, start=1):
        prefix = "checkpoint" if place == 1 else f"checkpoint_{place}"
        params |= {f"{prefix}_{name}": getattr(callback, name) for name in _CHECKPOINT if hasattr(callback, name)}
    return params


def describe_hyperparameters(owner: Any) -> dict[str, Any]:
    """Return what a module or a data module has saved with ``save_hyperparameters``; inner ones are ``outer/inner``."""
    # To ask for `hparams` would make an empty one.
    return {} if owner is None else _flatten(vars(owner).get("_hparams") or {})


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in dict(values).items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


# -- data --------------------------------------------------------------------------------------------------------------


def describe_training_loader(trainer: Any) -> dict[str, Any]:
    """Return the settings of the loader that the training reads; of several, those of the first."""
    params = {} if trainer.datamodule is None else {"datamodule": type(trainer.datamodule).__name__}
    loaders = _loaders_in(trainer.train_dataloader)
    return params | (describe_loader(loaders[0]) if loaders and isinstance(loaders[0], DataLoader) else {})


def describe_inputs(trainer: Any) -> Iterator[DatasetInput]:
    """Yield the data sets that a fit trains on and validates with."""
    for name, context, found in (
        ("train", "train", trainer.train_dataloader),
        ("val", "eval", trainer.val_dataloaders),
    ):
        for place, loader in enumerate(_loaders_in(found), start=1):
            with guard("describing a data set"):
                yield _describe_input(loader, context, name if place == 1 else f"{name}_{place}")


def _describe_input(loader: Any, context: str, name: str) -> DatasetInput:
    described = describe_dataset(getattr(loader, "dataset", loader), name, [])
    if isinstance(loader, DataLoader):
        profile = {**json.loads(described.profile or "{}"), **describe_loader(loader)}
        described = replace(described, profile=json.dumps(profile))
    return DatasetInput(dataset=described, tags=(InputTag("mlflow.data.context", context),))


def _loaders_in(loaders: Any) -> list[Any]:
    """Return the loaders in a collection of them, such as Lightning accepts."""
    if loaders is None:
        return []
    return tree_leaves(loaders)
