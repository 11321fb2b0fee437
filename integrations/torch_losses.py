"""Losses as they are computed, scaled and taken back, gradients as they are clipped; for the next step to record."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import torch

from autolog.guard import report
from autolog.integrations.torch_optimizers import latest_birth
from autolog.integrations.torch_threads import LossCall, local
from autolog.rerouting import Rerouting, follow, is_reroutable
from autolog.values import is_plain

Tensor: Final = torch.Tensor

# Without a step after so many backward passes nothing more is noted: whoever trains so does without an optimizer.
_MOST_BACKWARDS: Final = 4096
_CALLS_KEPT: Final = 16
# From the listener: the frames of what calls it, and of the rerouted function.
_DEPTH: Final = 3
_BACKWARD: Final = Tensor.backward.__code__
_OTHER_LOSSES: Final = frozenset({"binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"})
_LOSS_ENDINGS: Final = ("_loss", "cross_entropy")


def note_backward(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note where a backward pass has begun, and with what loss."""
    seen = local.seen
    if len(seen.backwards) >= _MOST_BACKWARDS:
        return
    frame = sys._getframe(_DEPTH)  # noqa: SLF001  the documented way to the caller
    if frame.f_code is _BACKWARD and frame.f_back is not None:
        frame = frame.f_back
    place = frame.f_code, frame.f_lasti
    losses = args[0]
    for loss in (losses,) if type(losses) is Tensor else losses:
        if type(loss) is Tensor and loss.numel() == 1:
            original = loss
            if seen.scaled:
                original = next((one for reference, one in seen.scaled if reference() is loss), loss)
            value = original.item() if original.is_cpu else original.detach()
            seen.backwards.append((place, value, weakref.ref(original)))
    seen.scaled.clear()


def note_scaled(scaled: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note which loss a GradScaler has scaled, for its backward pass begins with the scaled one."""
    seen = local.seen
    seen.has_scaler = True
    if type(scaled) is Tensor and scaled is not args[1]:
        seen.scaled = [*seen.scaled[-3:], (weakref.ref(scaled), args[1])]


def note_scaler(_: Any, __: tuple[Any, ...], ___: dict[str, Any]) -> None:
    """Forget what no step has followed: the scaler has left the step out, for gradients that were not finite."""
    seen = local.seen
    if seen.backwards and seen.loop is not None and seen.loop.steps:
        seen.loop.skipped_steps += 1
        seen.backwards = []
        seen.norms = []


def note_norm(norm: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note the norm of gradients that have just been clipped."""
    seen = local.seen
    if type(norm) is Tensor and len(seen.norms) < _CALLS_KEPT:
        seen.norms.append(norm.item() if norm.is_cpu else norm.detach())
    _note_clipping("gradient_clip_norm", args, kwargs, "max_norm")


def note_clipping(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note that gradients are clipped by value."""
    _note_clipping("gradient_clip_value", args, kwargs, "clip_value")


def _note_clipping(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], argument: str) -> None:
    seen = local.seen
    if name not in seen.clipping:
        limit = kwargs.get(argument, args[1] if len(args) > 1 else None)
        seen.clipping[name] = limit if is_plain(limit) else None


# -- functions that compute losses -------------------------------------------------------------------------------------

# Of the user's own functions those that are followed as well.
_own: Final[list[Rerouting]] = []


def watch_losses(functional: ModuleType) -> Callable[[], None]:
    """Follow PyTorch's loss functions, which its loss modules call too; return what takes it back."""
    functions = [
        function
        for name, function in vars(functional).items()
        if (name.endswith(_LOSS_ENDINGS) or name in _OTHER_LOSSES)
        and not name.startswith("_")
        and is_reroutable(function)
    ]
    reroutings = [follow(function, _note_loss) for function in functions]

    def undo() -> None:
        for rerouting in (*reroutings, *_own):
            rerouting.undo()
        _own.clear()

    return undo


def watch_own_loss(function: Any) -> bool:
    """Follow a loss function of the user's own from now on; return whether that can be done.

    Not where anything is compiled: what has been made of the function would have to be made anew.
    """
    if "torch._dynamo" in sys.modules or not is_reroutable(function):
        return False
    if not any(one.function is function for one in _own):
        _own.append(follow(function, _note_loss))
    return True


def original_code(function: Any) -> Any:
    """Return the code that a function has by itself, by which what computes losses is known."""
    return next((one.original_code for one in _own if one.function is function), function.__code__)


def _note_loss(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        note_loss(function, result, args, kwargs)
    except Exception as error:  # noqa: BLE001  ours, as in the listeners of hooks
        report(f"noting the loss {getattr(function, '__name__', function)}", error)


def note_loss(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note a loss: with a graph it may be what is trained for, without one it is an evaluation."""
    seen = local.seen
    loop = seen.loop
    if type(result) is tuple and loop is not None:
        result = loop.pick_loss(function, result)
    if type(result) is not Tensor:
        return
    if result.requires_grad and not (loop is not None and loop.is_evaluating):
        if seen.settled_at != latest_birth():
            seen.losses = [*seen.losses[1 - _CALLS_KEPT :], _describe_call(function, result, args, kwargs)]
    elif loop is not None and not (torch.is_grad_enabled() and not loop.is_evaluating):
        loop.evaluate(function, result, args, kwargs)


def _describe_call(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LossCall:
    given = dict(zip(parameters_of(function), args, strict=False)) | kwargs
    settings = {name: value for name, value in given.items() if value is not None and is_plain(value)}
    settings |= {
        name: list(given[name].shape) for name in ("weight", "pos_weight") if isinstance(given.get(name), Tensor)
    }
    device = result.device.type
    autocast = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else None
    return LossCall(function, weakref.ref(result), settings, _name_module(), autocast)


def _name_module() -> str | None:
    """Return the class of the module whose ``forward`` has called the loss function; None where another function has."""
    frame = sys._getframe(_DEPTH + 2)  # noqa: SLF001  the documented way to the caller
    if frame.f_code.co_name != "forward" or not frame.f_code.co_filename.endswith("loss.py"):
        return None
    module = frame.f_locals.get("self")
    return type(module).__name__ if isinstance(module, torch.nn.Module) else None


@functools.lru_cache(maxsize=256)
def parameters_of(function: Any) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    return tuple(inspect.signature(function).parameters)
