"""The optimizers and schedulers that a program has made: when, from whose parameters, and what they are set to."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator, Sequence
from types import GeneratorType
from typing import Any, Final

import torch

from autolog.integrations.torch_modes import is_compiling
from autolog.values import is_plain

_generations: Final = itertools.count(1)
# Grows with every optimizer that is made, and with what else makes it worth looking closely again.
generation: Final = [0]
# The same of the latest optimizer.
latest_birth: Final = [0]
# Empty where no thread is known to look closely: what is asked in every step asks this.
unsettled: Final[list[object]] = [None]
# By the ids of optimizers, as in ``attribution``: when each was made, the module whose parameters it was given, and the
# thread.
_made: Final[dict[int, tuple[weakref.ref[Any], int, weakref.ref[Any] | None, int]]] = {}
_schedulers: Final[dict[int, list[weakref.ref[Any]]]] = {}


def note_optimizer(_: None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note an optimizer that is about to be made."""
    if is_compiling():
        return
    optimizer, params, *_rest = (*args, kwargs.get("params"))
    key = id(optimizer)
    module = None
    if type(params) is GeneratorType and params.gi_frame is not None:
        # Of model.parameters() this is the model: the generator is used up in a moment.
        owner = params.gi_frame.f_locals.get("self")
        module = weakref.ref(owner) if isinstance(owner, torch.nn.Module) else None
    latest_birth[0] = birth = look_closely()
    _schedulers.pop(key, None)
    reference = weakref.ref(optimizer, lambda reference: _forget(key, reference))
    _made[key] = reference, birth, module, threading.get_ident()


def note_scheduler(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note a scheduler of learning rates that has been made."""
    if is_compiling():
        return
    scheduler, optimizer = args[0], args[1]
    _schedulers.setdefault(id(optimizer), []).append(weakref.ref(scheduler))


def _forget(key: int, reference: weakref.ref[Any]) -> None:
    if key in _made and _made[key][0] is reference:
        del _made[key]
        _schedulers.pop(key, None)


def look_closely() -> int:
    """Have every thread look closely until its next step; return a number that is greater than all before."""
    generation[0] = next(_generations)
    unsettled[:] = [None]
    return generation[0]


def birth_of(optimizer: Any) -> int:
    """Return the number of an optimizer among those made; 0 of one that was made before anybody looked."""
    found = _made.get(id(optimizer))
    return found[1] if found is not None and found[0]() is optimizer else 0


def module_given_to(optimizer: Any) -> Any:
    """Return the module whose ``parameters()`` an optimizer was made from, where that was how, and it is there."""
    found = _made.get(id(optimizer))
    is_known = found is not None and found[0]() is optimizer and found[2] is not None
    return found[2]() if is_known else None  # type: ignore[index,misc]  # as the line above says


def living_optimizers() -> Iterator[Any]:
    """Yield the optimizers that this thread has made and that there are."""
    for reference, _, _, thread in list(_made.values()):
        if thread == threading.get_ident() and (optimizer := reference()) is not None:
            yield optimizer


def schedulers_of(optimizer: Any) -> list[Any]:
    """Return the schedulers of an optimizer, in the order in which they were made, without those inside of others."""
    found = [scheduler for reference in _schedulers.get(id(optimizer), ()) if (scheduler := reference()) is not None]
    inner = {id(one) for scheduler in found for one in getattr(scheduler, "_schedulers", ())}
    return [scheduler for scheduler in found if id(scheduler) not in inner]


def describe_optimizer(optimizer: Any) -> dict[str, Any]:
    """Return an optimizer's class and the settings of its groups of parameters.

    Those of the first group have plain names, as MLflow's, and what differs in another group is ``group_1.lr``.
    """
    groups = optimizer.param_groups
    first = {name: value for name, value in groups[0].items() if name != "params"}
    described = {"optimizer_name": type(optimizer).__name__, **{name: plain(value) for name, value in first.items()}}
    if len(groups) > 1:
        described["optimizer_groups"] = len(groups)
    for number, group in enumerate(groups[1:], start=1):
        for name, value in group.items():
            if name != "params" and plain(value) != plain(first.get(name)):
                described[f"group_{number}.{name}"] = plain(value)
    return described


def describe_schedulers(schedulers: Sequence[Any]) -> dict[str, Any]:
    """Return the classes and settings of an optimizer's schedulers, such as ``scheduler_name``, ``scheduler_gamma``."""
    described: dict[str, Any] = {}
    for number, scheduler in enumerate(schedulers, start=1):
        prefix = "scheduler" if number == 1 else f"scheduler_{number}"
        described[f"{prefix}_name"] = type(scheduler).__name__
        parts = getattr(scheduler, "_schedulers", None)
        if parts is not None:
            described[f"{prefix}_parts"] = [type(part).__name__ for part in parts]
        for name, value in vars(scheduler).items():
            if name in _STATE_OF_SCHEDULERS or name.startswith("_"):
                continue
            if is_plain(value):
                described[f"{prefix}_{name}"] = value
            elif name == "lr_lambdas":
                described[f"{prefix}_{name}"] = [getattr(one, "__name__", type(one).__name__) for one in value]
    return described


# What changes as they go.
_STATE_OF_SCHEDULERS: Final = frozenset(
    {"last_epoch", "verbose", "best", "num_bad_epochs", "cooldown_counter", "base_lrs", "T_cur", "mode_worse"}
)


def learning_rate(group: dict[str, Any]) -> Any:
    """Return the learning rate of a group, or a detached tensor where it is on a device."""
    rate = group.get("lr")
    if isinstance(rate, torch.Tensor):
        return rate.item() if rate.is_cpu else rate.detach().clone()
    return rate


def plain(value: Any) -> Any:
    """Return a setting as it can be written; of a tensor the number that it holds, where that is not on a device."""
    if isinstance(value, torch.Tensor):
        return value.item() if value.is_cpu and value.numel() == 1 else f"tensor{list(value.shape)}"
    return value
