"""What a trainer of Lightning, its module, its optimizers and its callbacks were told, as params."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

import torch

from autolog.integrations.sklearn_params import describe_values
from autolog.integrations.sklearn_params import log_params as _log_params
from autolog.run import ActiveRun

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

# What a scheduler counts or has got from elsewhere, rather than what it was told.
_NO_SETTINGS: Final = frozenset(
    {"optimizer", "base_lrs", "last_epoch", "best", "num_bad_epochs", "cooldown_counter"}
    | {"verbose", "step_size_up", "lr_lambdas", "T_cur", "T_i", "mode_worse", "default_min_lr"}
)

_EARLY_STOPPING: Final = ("monitor", "mode", "patience", "min_delta")
_CHECKPOINT: Final = ("monitor", "mode", "save_top_k", "save_last")


def log_params(run: ActiveRun, owner: str, params: Mapping[str, Any]) -> None:
    """Log params as texts; what stands in the run with another value keeps it, and ours gets the owner's name."""
    _log_params(run, owner, describe_values({key: _to_plain(value) for key, value in params.items()}))


def prefix_of(owner: str, place: int) -> str:
    """Return what the names of the first, second and so on of several things of a kind begin with: nothing at first."""
    return f"{owner}_{place + 1}." if place else ""


def describe_trainer(trainer: Any) -> dict[str, Any]:
    """Return the settings of a trainer."""
    settings = {name: getattr(trainer, name) for name in _SETTINGS if hasattr(trainer, name)}
    return {
        "epochs": trainer.max_epochs,
        **settings,
        "devices": trainer.num_devices,
        "world_size": trainer.world_size,
        "strategy": type(trainer.strategy).__name__,
        "accelerator": type(trainer.accelerator).__name__,
        "seed": os.environ.get("PL_GLOBAL_SEED"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def describe_optimizers(trainer: Any) -> dict[str, Any]:
    """Return the settings of all optimizers and schedulers; the first ones have the plain names, as in MLflow."""
    params: dict[str, Any] = {}
    for place, optimizer in enumerate(trainer.optimizers):
        prefix = prefix_of("optimizer", place)
        params[f"{prefix}optimizer_name" if not place else f"{prefix}name"] = type(optimizer).__name__
        params |= {prefix + key: value for key, value in optimizer.defaults.items()}
        if len(optimizer.param_groups) > 1:
            for number, group in enumerate(optimizer.param_groups):
                others = {key: one for key, one in group.items() if key in optimizer.defaults}
                params |= {
                    f"{prefix}param_group_{number}.{key}": value
                    for key, value in others.items()
                    if not _is_same(value, optimizer.defaults[key])
                }
    for place, config in enumerate(trainer.lr_scheduler_configs):
        prefix = f"scheduler_{place + 1}." if place else "scheduler."
        params[f"{prefix}name"] = type(config.scheduler).__name__
        params |= {f"{prefix}{key}": value for key, value in _scheduler_settings(config.scheduler).items()}
        chosen = ("interval", "frequency", "monitor")
        params |= {f"{prefix}{key}": getattr(config, key) for key in chosen if getattr(config, key) is not None}
    return params


def _scheduler_settings(scheduler: Any) -> dict[str, Any]:
    plain = (str, int, float, bool, list, tuple)
    return {
        key: value
        for key, value in vars(scheduler).items()
        if not key.startswith("_") and key not in _NO_SETTINGS and isinstance(value, plain)
    }


def describe_callbacks(trainer: Any) -> dict[str, Any]:
    """Return which callbacks there are, and what stops early (under MLflow's names) and saves checkpoints."""
    params: dict[str, Any] = {"callbacks": [type(callback).__name__ for callback in trainer.callbacks]}
    for place, callback in enumerate(trainer.early_stopping_callbacks):
        prefix = prefix_of("early_stopping", place)
        params |= {prefix + name: getattr(callback, name) for name in _EARLY_STOPPING}
        # Lightning has given it the sign of the mode.
        params[f"{prefix}min_delta"] = abs(callback.min_delta)
    for place, callback in enumerate(trainer.checkpoint_callbacks):
        prefix = f"checkpoint_{place + 1}." if place else "checkpoint."
        params |= {prefix + name: getattr(callback, name) for name in _CHECKPOINT if hasattr(callback, name)}
    return params


def describe_hyperparameters(owner: Any) -> dict[str, Any]:
    """Return what a module or a data module has saved with ``save_hyperparameters``, the inner ones with a slash."""
    # To ask for `hparams` would make an empty one.
    return _flatten(vars(owner).get("_hparams") or {}) if owner is not None else {}


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in dict(values).items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and isinstance(one, (str, int, float, tuple)) and one == other)


def _to_plain(value: Any) -> Any:
    """Return what stands for a value in a text that is the same in every run with the same settings."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, torch.Tensor):
        is_near = value.device.type == "cpu" and value.numel() == 1
        return value.item() if is_near else f"tensor of shape {tuple(value.shape)}"
    if isinstance(value, (torch.dtype, torch.device, PurePath)):
        return str(value)
    return value
