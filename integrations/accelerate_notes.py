"""Notes on loops that Accelerate runs, for the record of plain PyTorch."""

from __future__ import annotations

import sys
import weakref
from typing import Any, Final

import torch
from accelerate.state import AcceleratorState, GradientState

from autolog.callers import users_frame
from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.torch_losses import note_origin
from autolog.integrations.torch_optimizers import generation
from autolog.integrations.torch_threads import local
from autolog.loops import Loop
from autolog.training import current_training

# The loops whose settings have been logged.
_described: Final[weakref.WeakSet[Loop]] = weakref.WeakSet()


def note_backward(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note the loss that the program has passed, in place of the part of it that Accelerate has taken backward."""
    loss, seen = args[1], local.seen
    frame = users_frame(sys._getframe(1))  # noqa: SLF001  the documented way to the caller
    is_scalar = isinstance(loss, torch.Tensor) and loss.numel() == 1
    if is_scalar and seen.backwards and frame is not None and current_training() is None:
        value = loss.item() if loss.is_cpu else loss.detach()
        # Its part has another place, in Accelerate's own code, and another origin: a division.
        code, offset, _ = seen.backwards[-1]
        seen.origins.pop((code, offset), None)
        place = frame.f_code, frame.f_lasti
        seen.backwards[-1] = (*place, value)
        if seen.settled_at != generation[0]:
            note_origin(seen, place, loss, frame)


def note_step(_: Any, __: tuple[Any, ...], ___: dict[str, Any]) -> None:
    """Log how Accelerate runs a loop, with the loop's first step."""
    loop = local.seen.loop
    if loop is not None and loop not in _described and current_training() is None:
        _described.add(loop)
        log_params(loop.run, "accelerate", describe_values(_describe()))


def _describe() -> dict[str, Any]:
    # What is there already is read: to ask for a state may make one.
    state, gradients = AcceleratorState._shared_state, GradientState._shared_state  # noqa: SLF001  as said
    described = {
        "mixed_precision": state.get("_mixed_precision"),
        "num_processes": state.get("num_processes"),
        "distributed_type": getattr(state.get("distributed_type"), "value", None),
        "gradient_accumulation_steps": gradients.get("plugin_kwargs", {}).get("num_steps"),
    }
    return {name: value for name, value in described.items() if value is not None}
