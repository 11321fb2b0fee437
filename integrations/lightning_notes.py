"""What Lightning's loops tell while a trainer is at work, handed to the record of what it does."""

from __future__ import annotations

from typing import Any

from autolog.attribution import attribute_model
from autolog.integrations.checkpoints import run_of_checkpoint
from autolog.integrations.lightning_fits import fit_of, record_of


def note_start(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what stands when the first batch of a fit is about to come: optimizers, schedulers, data."""
    if (fit := fit_of(args[0].trainer)) is not None:
        fit.start()


def note_batch(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log the learning rates of a step of training, where they have changed."""
    if (fit := fit_of(args[0].trainer)) is not None:
        fit.start_batch()


def note_step(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what the module has logged in a step of training."""
    if (fit := fit_of(args[0].trainer)) is not None:
        fit.log_step()


def note_epoch(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log an epoch's values, before Lightning sets them back."""
    if (fit := fit_of(args[0].trainer)) is not None:
        fit.log_epoch()


def note_evaluation_step(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what the module has logged for one batch of an evaluation."""
    if (found := record_of(args[0].trainer)) is not None:
        found.log_batch(args[1])


def note_evaluation(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what an evaluation has found, of all its data loaders."""
    if (found := record_of(args[0].trainer)) is not None:
        found.log_evaluation()


def note_checkpoint(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note a checkpoint that has been saved."""
    if (fit := fit_of(args[0])) is not None:
        fit.checkpoints.note(args[1], args[0].global_step, args[0].current_epoch)


def note_removed_checkpoint(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note that a checkpoint is there no longer."""
    if (fit := fit_of(args[1])) is not None:
        fit.checkpoints.forget(args[2])


def note_loaded_checkpoint(model: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note that a model that was loaded belongs to the run that has saved it."""
    if (run := run_of_checkpoint(args[1])) is not None:
        attribute_model(model, run)
