"""Which model an optimizer trains, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

import torch

from autolog.callers import users_frame, variables_in
from autolog.integrations.torch_optimizers import module_given_to

Module: Final = torch.nn.Module

COMPILED: Final = "OptimizedModule"
"""The class of what ``torch.compile`` makes of a module."""

_FRAMES_SEARCHED: Final = 8
# Of an object that trains, its attributes are searched as well.
_MOST_ATTRIBUTES: Final = 200
_MOST_LAYERS: Final = 2000


def find_model(optimizer: Any, frame: FrameType | None) -> Any:
    """Return the module that an optimizer trains: the smallest in the user's variables that has all its parameters.

    Args:
        optimizer: with groups of parameters.
        frame: where to begin to look.

    Returns:
        Where no variable holds it, the module whose ``parameters()`` the optimizer was made from; None where
        that is not known either.
    """
    trained = {id(one) for group in optimizer.param_groups for one in group["params"]}
    given = module_given_to(optimizer)
    best: tuple[int, int] | None = None
    found = None
    for module in _modules_near(users_frame(frame)):
        ids = _parameter_ids(module)
        common = len(trained & ids)
        # One that has some of them only counts where nothing has more, and nothing more is known.
        if common and (common == len(trained) or given is None):
            score = common, -len(ids)
            if best is None or score > best:
                best, found = score, module
    return unwrap(found if found is not None else given)


def _modules_near(frame: FrameType | None) -> Iterator[Any]:
    seen: set[int] = set()
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            return
        for name, value in variables_in(frame).items():
            values = [value]
            if name == "self" and not isinstance(value, Module):
                values += list(getattr(value, "__dict__", {}).values())[:_MOST_ATTRIBUTES]
            for one in values:
                if isinstance(one, Module) and id(one) not in seen:
                    seen.add(id(one))
                    yield one
        frame = users_frame(frame.f_back)


def _parameter_ids(module: Any) -> set[int]:
    # By the base class: a method of the user's own may do anything.
    return {id(one) for one in Module.parameters(module)}


def unwrap(model: Any) -> Any:
    """Return the user's module inside of what compiles or distributes it."""
    while (inner := _inside(model)) is not None:
        model = inner
    return model


def _inside(model: Any) -> Any:
    """Return what a module compiles or distributes; None of one that is the user's own."""
    if model is None:
        return None
    inner = model.__dict__.get("_modules")
    if not isinstance(inner, dict):
        # A module of TorchScript keeps its parts elsewhere.
        return None
    if type(model).__name__ == COMPILED:
        return inner.get("_orig_mod")
    if type(model).__module__.startswith("torch.nn.parallel"):
        return inner.get("module")
    return inner.get("_fsdp_wrapped_module")


def find_wrappers(model: Any, optimizer: Any, frame: FrameType | None) -> list[str]:
    """Return the classes of the modules that compile or distribute a model, the outermost first.

    Args:
        model: the user's own.
        optimizer: of its parameters.
        frame: where to look for them.
    """
    for outer in (module_given_to(optimizer), *_modules_near(users_frame(frame))):
        wrappers = []
        one, inner = outer, _inside(outer)
        while inner is not None:
            wrappers.append(type(one).__name__)
            one, inner = inner, _inside(inner)
        if one is model and wrappers:
            return wrappers
    return []


def name_class(model: Any) -> str:
    """Return the name of a module's class, as the user knows it: ``fully_shard`` gives a module another one."""
    kind = type(model)
    return (kind.__bases__[-1] if is_sharded(model) else kind).__name__


def is_sharded(model: Any) -> bool:
    """Say whether a module has been distributed in place, by ``fully_shard`` and the like."""
    kind = type(model)
    return (
        kind.__module__.startswith("torch.distributed.")
        and len(kind.__bases__) > 1
        and issubclass(kind.__bases__[-1], Module)
    )


def describe_model(model: Any) -> dict[str, Any]:
    """Return a model's class, the number of its parameters, and their dtypes and devices."""
    parameters = list(Module.parameters(model))
    sizes = [(_size_of(one), one.requires_grad) for one in parameters]
    return {
        "model_class": name_class(model),
        "total_params": sum(size for size, _ in sizes),
        "trainable_params": sum(size for size, is_trained in sizes if is_trained),
        "dtype": ", ".join(dict.fromkeys(str(one.dtype).removeprefix("torch.") for one in parameters)),
        "device": ", ".join(dict.fromkeys(str(one.device) for one in parameters)),
    }


def summarize(model: Any, inputs: list[str] | None = None) -> str:
    """Return a table of a model's layers: name, class, shapes of its own parameters, and their number.

    Args:
        model: a module.
        inputs: the dtypes and shapes of what the loss is computed from, if they are known.
    """
    rows = [("Layer", "Class", "Parameters", "Count")]
    for number, (name, module) in enumerate(Module.named_modules(model)):
        if number >= _MOST_LAYERS:
            rows.append(("…", "", "", ""))
            break
        own = [(key, one) for key, one in module.__dict__["_parameters"].items() if one is not None]
        shapes = ", ".join(
            f"{key} {'lazy' if _is_lazy(one) else list(one.shape)}{'' if one.requires_grad else ' frozen'}"
            for key, one in own
        )
        count = sum(_size_of(one) for _, one in own)
        indent = "  " * (name.count(".") + 1) if name else ""
        rows.append((f"{indent}{name or name_class(model)}", name_class(module), shapes, f"{count:,}" if own else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    ]
    described = describe_model(model)
    lines += ["", f"Parameters: {described['total_params']:,}, of which trained: {described['trainable_params']:,}"]
    if inputs:
        lines.append(f"Loss of: {', '.join(inputs)}")
    return "\n".join(lines) + "\n"


def _size_of(parameter: Any) -> int:
    """Return how many numbers a parameter has in all, where a part of them may be here."""
    if _is_lazy(parameter):
        return 0
    whole = getattr(parameter, "_unpadded_unsharded_size", None)
    return int(parameter.numel() if whole is None else whole.numel())


def _is_lazy(parameter: Any) -> bool:
    return isinstance(parameter, (torch.nn.UninitializedParameter, torch.nn.UninitializedBuffer))
