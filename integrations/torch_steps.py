"""The steps of optimizers, which PyTorch tells of all of them, and the loops that they belong to."""

from __future__ import annotations

import logging
import sys
import time
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from autolog.callers import users_frame
from autolog.guard import guard, report
from autolog.integrations.torch_distributed import follows_another_rank, publish
from autolog.integrations.torch_loops import OptimizerSteps, TorchLoop
from autolog.integrations.torch_models import find_model, name_class
from autolog.integrations.torch_modes import is_compiling, leave_uncompiled, unseen_by_modes
from autolog.integrations.torch_optimizers import generation, learning_rate, living_optimizers, unsettled
from autolog.integrations.torch_threads import Seen, local
from autolog.run import active_runs
from autolog.training import current_training

logger = logging.getLogger("autolog")

_now: Final = time.time
_runs: Final = active_runs.get

_NOTHING: Final = ()

# By the ids of optimizers, for as long as these are there.
_steps_of: Final[dict[int, OptimizerSteps]] = {}


def watch_steps(module: ModuleType) -> Callable[[], None]:
    """Be told of the steps of all optimizers; return what takes it back."""
    handle = module.register_optimizer_step_post_hook(note_step)

    def undo() -> None:
        handle.remove()

    return undo


def note_step(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Record a step of an optimizer."""
    # What is compiled is traced, not run: nothing else here may become part of it.
    if is_compiling():
        return
    try:
        seen = local.seen
        loop = seen.loop
        if loop is not None and seen.iterator is not None:
            steps = _steps_of.get(id(optimizer))
            iterator = seen.iterator()
            now = _now()
            if (
                now < loop.due
                and steps is not None
                and steps.loop is loop
                and steps.is_quick
                and iterator is not None
                and len(args) == 1
                and _runs() is loop.stack
                and (not loop.is_in_notebook or loop.is_in_its_cell)
                and not kwargs
            ):
                rate = optimizer.param_groups[0]["lr"]
                batches = iterator._num_yielded  # noqa: SLF001  counted by PyTorch anyway
                # What is empty goes on to the next step, and must not be filled behind the back of this one.
                backwards, norms = seen.backwards or _NOTHING, seen.norms or _NOTHING
                loop.waiting.append((steps, now, backwards, norms, rate, batches, seen.current, False))
                if backwards:
                    seen.backwards = []
                if norms:
                    seen.norms = []
                return
        with unseen_by_modes():
            _note_step(optimizer, args, kwargs, seen)
    except Exception as error:  # noqa: BLE001  whatever it is, it is ours
        report("recording a step of an optimizer", error)


def _note_step(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seen: Seen) -> None:
    backwards, seen.backwards = seen.backwards, []
    norms, seen.norms = seen.norms, []
    if current_training() is not None:
        # A framework trains, and is recorded as a whole.
        return
    if seen.loop is not None:
        seen.loop.flush()
    steps = _steps_of.get(id(optimizer))
    if steps is not None and steps.reference() is optimizer and steps.loop.is_over and steps.loop.can_resume:
        _resume(steps.loop, seen)
    if steps is None or steps.reference() is not optimizer or steps.loop.is_over:
        if follows_another_rank(optimizer):
            seen.settled_at = generation[0]
            return
        seen.backwards = backwards
        steps = _begin(optimizer, seen)
        seen.backwards = []
    loop = seen.loop = steps.loop
    if seen.iterator is None or seen.iterator() is None:
        seen.find_pass(loop.training_pass)
    seen.settled_at = generation[0]
    unsettled.clear()
    iterator = None if seen.iterator is None else seen.iterator()
    closure = args[1] if len(args) > 1 else kwargs.get("closure")
    rates = [learning_rate(group) for group in optimizer.param_groups]
    loop.take(
        (
            steps,
            _now(),
            backwards,
            norms,
            tuple(rates) if len(rates) > 1 else rates[0],
            0 if iterator is None else iterator._num_yielded,  # noqa: SLF001  counted by PyTorch anyway
            seen.current,
            closure is not None,
        )
    )


def _resume(loop: TorchLoop, seen: Seen) -> None:
    """Go on with the loop of a model that is trained by turns with another one."""
    if seen.loop is not None:
        seen.loop.displace()
    loop.resume()
    seen.find_pass(loop.training_pass)


def _begin(optimizer: Any, seen: Seen) -> OptimizerSteps:
    """Begin a loop with an optimizer's first step, or find the one that it is a part of."""
    frame = users_frame(sys._getframe(2))  # noqa: SLF001  the documented way to the caller
    code = None if frame is None else frame.f_code
    model = find_model(optimizer, frame)
    loop: TorchLoop | None = seen.loop
    seen.find_pass(None if loop is None else loop.training_pass)
    if loop is None or loop.is_over or not loop.is_joined_by(optimizer, model, code):
        others = [one for one in living_optimizers() if one is not optimizer and id(one) not in _steps_of]
        before = loop
        if before is not None:
            before.displace()
        name = name_class(model) if model is not None else type(optimizer).__name__
        loop = TorchLoop(model, name, code, generation[0], is_several=bool(others))
        with guard("telling other ranks of a run"):
            publish(loop.run)
        logger.info(
            "recording %s, trained by %s, as run %s; it ends with the process, with the next training of another "
            "model, or when model and optimizer are gone",
            name,
            type(optimizer).__name__,
            loop.run.run_id,
        )
    steps = loop.add(optimizer, model, seen, frame)
    _steps_of[id(optimizer)] = steps
    weakref.finalize(optimizer, _forget, id(optimizer), steps).atexit = False
    seen.losses = []
    return steps


def _forget(key: int, steps: OptimizerSteps) -> None:
    if _steps_of.get(key) is steps:
        del _steps_of[key]
    with guard("ending a training loop"):
        steps.loop.end_if_gone()


leave_uncompiled(note_step)
