"""Losses as they are computed, scaled and taken back, gradients as they are clipped; for the next step to record."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, Final, cast
from weakref import ref

import torch

from autolog.guard import report
from autolog.integrations.torch_modes import (
    can_observe,
    dispatch_modes,
    function_modes,
    is_compiling,
    leave_uncompiled,
    unseen_by_modes,
)
from autolog.integrations.torch_optimizers import generation, latest_birth, look_closely, unsettled
from autolog.integrations.torch_origins import find_origin, number_of
from autolog.integrations.torch_passes import describe_batch
from autolog.integrations.torch_threads import LossCall, Place, Seen, local
from autolog.rerouting import Rerouting, follow, follow_unless, is_reroutable
from autolog.training import current_training
from autolog.values import is_plain

Tensor: Final = torch.Tensor

_is_transformed: Final = torch._C._functorch.is_functorch_wrapped_tensor  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]

# Without a step after so many backward passes nothing more is noted: whoever trains so does without an optimizer.
_MOST: Final = 4096
_CALLS_KEPT: Final = 16
# From the listener: the frame of the rerouted function, and that of who has called it.
_DEPTH: Final = 2
_BACKWARD: Final = Tensor.backward.__code__
_OTHER_LOSSES: Final = frozenset({"binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"})
_LOSS_ENDINGS: Final = ("_loss", "cross_entropy")


def note_backward(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note where a backward pass has begun, and with what loss."""
    if is_compiling():
        return
    try:
        seen = local.seen
        loss = args[0]
        if (
            seen.settled_at == generation[0]
            and type(loss) is Tensor
            and not function_modes()
            and not dispatch_modes()
            and loss.is_cpu
            and not seen.scaled
        ):
            # Where Tensor.backward was called from, if a place that is known says so.
            frame = sys._getframe(_DEPTH + 1)  # noqa: SLF001  the documented way to the caller
            offset, code = frame.f_lasti, frame.f_code
            if seen.places.get(offset) is code and len(seen.backwards) < _MOST:
                value = loss.item()
                if type(value) is float:
                    seen.backwards.append((code, offset, value))
                    return
    except (RuntimeError, ValueError):
        # Several numbers with gradients of their own, or nobody there who could have called Tensor.backward.
        pass
    except Exception as error:  # noqa: BLE001  whatever it is, it is ours
        report("noting a backward pass", error)
        return
    try:
        if can_observe():
            with unseen_by_modes():
                _note_backward_carefully(local.seen, args[0])
    except Exception as error:  # noqa: BLE001  as above
        report("noting a backward pass", error)


def _note_backward_carefully(seen: Seen, losses: Any) -> None:
    frame = sys._getframe(_DEPTH + 1)  # noqa: SLF001  as above
    if frame.f_code is _BACKWARD:
        frame = cast("FrameType", frame.f_back)
        if len(seen.places) >= _CALLS_KEPT:
            seen.places.clear()
        seen.places[frame.f_lasti] = frame.f_code
    if current_training() is not None:
        # A framework trains, and is recorded as a whole: no step of a loop will ask for this.
        seen.scaled = []
        return
    if seen.origins_since != latest_birth[0]:
        # What was taken back before the optimizer was made is none of its steps'.
        seen.origins_since = latest_birth[0]
        seen.origins = {}
        seen.backwards = []
    values = []
    for loss in (losses,) if isinstance(losses, Tensor) else losses:
        if type(loss) is Tensor and loss.numel() == 1 and not loss.is_meta and not loss.is_complex():
            original = next((one for scaled, one in seen.scaled if scaled() is loss), loss)
            values.append(original.item() if original.is_cpu else original.detach())
            if seen.settled_at != generation[0]:
                note_origin(seen, (frame.f_code, frame.f_lasti), original, frame)
    if values and len(seen.backwards) < _MOST:
        # What several losses are taken back from at once is their sum.
        seen.backwards.append((frame.f_code, frame.f_lasti, sum(values[1:], values[0])))
    seen.scaled = []


def note_origin(seen: Seen, place: Place, loss: Any, frame: FrameType) -> None:
    """Note what has computed a loss, once for each place whose backward passes begin with it."""
    if place not in seen.origins:
        seen.origins[place] = find_origin(place, loss, seen.losses, frame)


def note_scaled(scaled: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note which loss a GradScaler has scaled, for its backward pass begins with the scaled one."""
    if is_compiling():
        return
    seen = local.seen
    seen.has_scaler = True
    if type(scaled) is Tensor and scaled is not args[1]:
        seen.scaled = [*seen.scaled[-3:], (ref(scaled), args[1])]


def note_scaler(_: Any, __: tuple[Any, ...], ___: dict[str, Any]) -> None:
    """Forget what no step has followed: the scaler has left the step out, for gradients that were not finite."""
    seen = local.seen
    if seen.backwards and seen.loop is not None and seen.loop.steps:
        seen.loop.skipped_steps += 1
        seen.backwards = []
        seen.norms = []


def note_norm(norm: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note the norm of gradients that have just been clipped."""
    if is_compiling():
        return
    try:
        seen = local.seen
        if type(norm) is Tensor and len(seen.norms) < _CALLS_KEPT and can_observe():
            with unseen_by_modes():
                if not norm.is_meta:
                    seen.norms.append(norm.item() if norm.is_cpu else norm.detach())
        if seen.settled_at != generation[0]:
            _note_clipping("gradient_clip_norm", args, kwargs, "max_norm")
    except Exception as error:  # noqa: BLE001  whatever it is, it is ours
        report("noting a norm", error)


def note_clipping(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note that gradients are clipped by value."""
    if is_compiling():
        return
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
    reroutings = [follow_unless(function, _note_loss, torch.is_grad_enabled, unsettled) for function in functions]

    def undo() -> None:
        for rerouting in (*reroutings, *_own):
            rerouting.undo()
        _own.clear()

    return undo


def watch_own_loss(function: Any) -> bool:
    """Follow a loss function of the user's own from now on; return whether that can be done.

    Not where anything is compiled: what has been made of the function would have to be made anew.
    """
    if is_compiled_code_about() or not is_reroutable(function):
        return False
    if not any(one.function is function for one in _own):
        _own.append(follow(function, _note_loss))
    return True


def is_compiled_code_about() -> bool:
    """Say whether the program has had anything compiled, or is about to."""
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    # With None for what the optimizers themselves keep from being compiled.
    return any(backend is not None for backend in getattr(compiler, "cached_backends", {}).values())


def note_compilation(_: None, __: tuple[Any, ...], ___: dict[str, Any]) -> None:
    """Leave the user's own functions alone before anything is compiled: what they call would become part of it."""
    for rerouting in _own:
        rerouting.undo()
    _own.clear()


def original_code(function: Any) -> Any:
    """Return the code that a function has by itself, by which what computes losses is known."""
    return next((one.original_code for one in _own if one.function is function), function.__code__)


def _note_loss(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if is_compiling():
        return
    try:
        if can_observe():
            with unseen_by_modes():
                note_loss(function, result, args, kwargs)
    except Exception as error:  # noqa: BLE001  whatever it is, it is ours
        report(f"noting the loss {getattr(function, '__name__', function)}", error)


def note_loss(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note a loss: with a graph it may be what is trained for, without one it is an evaluation."""
    seen = local.seen
    if type(result) is Tensor and result.requires_grad and seen.settled_at == generation[0]:
        return
    if current_training() is not None:
        # A framework trains, and is recorded as a whole.
        return
    # An optimizer that was made since the last step is the next training's: what is computed now is that one's.
    loop = seen.loop if seen.settled_at >= latest_birth[0] else None
    if type(result) is tuple and loop is not None:
        result = loop.pick_loss(function, result)
    # Inside of vmap and the like, and on no device, a result has no value of its own.
    if type(result) is not Tensor or _is_transformed(result) or result.numel() != 1 or result.is_meta:
        return
    if result.requires_grad and not (loop is not None and loop.is_evaluating):
        seen.losses = [*seen.losses[1 - _CALLS_KEPT :], _describe_call(function, result, args, kwargs)]
    elif loop is not None and (loop.is_evaluating or not torch.is_grad_enabled()):
        loop.evaluate(function, result, args, kwargs)


def note_evaluation_mode(_: Any, __: tuple[Any, ...], ___: dict[str, Any]) -> None:
    """Look at losses with a graph again: that of a model in evaluation mode is not trained for."""
    if is_compiling():
        return
    look_closely()


def _describe_call(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LossCall:
    given = dict(zip(parameters_of(function), args, strict=False)) | kwargs
    settings = {name: value for name, value in given.items() if value is not None and is_plain(value)}
    settings |= {
        name: list(given[name].shape) for name in ("weight", "pos_weight") if isinstance(given.get(name), Tensor)
    }
    device = result.device.type
    autocast = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else None
    inputs = describe_batch(list(args[:2]))
    return LossCall(function, number_of(result), settings, _name_module(), autocast, inputs)


def _name_module() -> str | None:
    """Return the class of the loss module that has called the function; None where another function has."""
    frame = sys._getframe(_DEPTH + 3)  # noqa: SLF001  the documented way to the caller
    if frame.f_code.co_name != "forward" or not frame.f_code.co_filename.endswith("loss.py"):
        return None
    module = frame.f_locals.get("self")
    return type(module).__name__ if isinstance(module, torch.nn.Module) else None


@functools.lru_cache(maxsize=256)
def parameters_of(function: Any) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    return tuple(inspect.signature(function).parameters)


leave_uncompiled(note_backward, note_scaled, note_scaler, note_norm, note_clipping, note_evaluation_mode, _note_loss)
