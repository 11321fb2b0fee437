"""Training loops of plain PyTorch: what every step of an optimizer records, and which run it belongs to."""

from __future__ import annotations

import functools
import logging
import sys
import time
import weakref
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, Final

import torch

from autolog.attribution import attribute_model
from autolog.callers import users_frame
from autolog.guard import guard, report
from autolog.integrations import torch_params
from autolog.integrations.torch_losses import parameters_of
from autolog.integrations.torch_models import find_model
from autolog.integrations.torch_optimizers import birth_of, latest_birth, learning_rate, living_optimizers
from autolog.integrations.torch_passes import Pass, name_split
from autolog.integrations.torch_series import Means, name_loss
from autolog.integrations.torch_threads import Place, Seen, local
from autolog.integrations.torch_values import DeviceValues
from autolog.loops import Loop
from autolog.training import current_training

logger = logging.getLogger("autolog")

# Another optimizer that begins within so many steps, in the same function, trains in the same loop: a GAN's.
_STEPS_TO_JOIN: Final = 64
# Seconds between two points of the speed.
_SPEED_EVERY: Final = 1.0


class OptimizerSteps:
    """The steps of one optimizer in a loop.

    Args:
        optimizer: known weakly.
        loop: that it trains in.
        name: in the names of its learning rates; empty where there is only one.
        on_gone: called when the optimizer is no longer there.
    """

    __slots__ = ("loop", "name", "number", "rate_names", "rates", "reference", "steps")

    def __init__(self, optimizer: Any, loop: TorchLoop, name: str, on_gone: Callable[[Any], None]) -> None:
        self.reference = weakref.ref(optimizer, on_gone)
        self.loop = loop
        self.name = name
        self.steps = 0
        self.rates: list[Any] = []
        self.rate_names: list[str] = []

    def name_rates(self, groups: int) -> None:
        """Name the learning rates of so many groups of parameters."""
        base = f"learning_rate_{self.name}" if self.name else "learning_rate"
        self.rate_names = [base] if groups == 1 else [f"{base}_group_{number}" for number in range(groups)]
        self.rates = [None] * groups


class TorchLoop(Loop):
    """A loop of plain PyTorch.

    Args:
        model: what is trained, or None where it could not be found.
        name: the run's.
        is_several: whether several optimizers train in it, so that what belongs to one has its name.
    """

    def __init__(self, model: Any, name: str, *, is_several: bool) -> None:
        super().__init__("torch", name, {}, model)
        self.models: list[weakref.ref[Any]] = []
        self.is_several = is_several
        self.steps = 0
        self.skipped_steps = 0
        self.epochs = 0
        self.values: Final = DeviceValues()
        self.optimizers: list[OptimizerSteps] = []
        # By where the backward pass begins: the name of the loss, and whether the program has divided it.
        self.losses: dict[Place, tuple[str, bool]] = {}
        # By the code of the functions that compute losses: the names of these, and which of several results it is.
        self.functions: dict[Any, tuple[str, int]] = {}
        self.frame_code: Any = None
        self.born_before = 0
        self.successor: TorchLoop | None = None
        self.checkpoints: list[dict[str, Any]] = []
        self._trains_in_evaluation_mode = False
        self._pass: Pass | None = None
        self._epoch = Means()
        self._evaluation = Means()
        self._evaluation_split = "val"
        self._speed_time = time.perf_counter()
        self._speed_steps = self._rows = self._speed_rows = 0
        self._began = self._speed_time
        self.run.finishers.append(self._finish)

    # -- steps -----------------------------------------------------------------------------------------------------

    def step(self, optimizer: Any, steps: OptimizerSteps, seen: Seen, closure: Any) -> None:
        """Record a step: its losses, its learning rates where they have changed, and what belongs to the pass."""
        step = steps.steps
        steps.steps = step + 1
        if steps is self.optimizers[0]:
            self.steps += 1
        run = self.run
        current = seen.current
        backwards = seen.backwards
        if backwards:
            rows = 0
            if current is not None and current.rows and not current.is_evaluation:
                rows, current.rows = current.rows, 0
                self._rows += rows
                if current is not self._pass:
                    self._begin_epoch(current)
            elif self._evaluation.sums:
                self._log_evaluation(step)
            if self._evaluation.sums:
                self._log_evaluation(step)
            seen.backwards = []
            if len(backwards) == 1 or closure is not None:
                place, value, _ = backwards[0]
                name = self.losses[place][0] if place in self.losses else self._name(place)
                self._record(name, value, step, rows or 1)
            else:
                self._record_several(backwards, step, rows)
        if seen.norms:
            norms, seen.norms = seen.norms, []
            self._log("gradient_norm" + (f"_{steps.name}" if steps.name else ""), norms[-1], step)
        groups = optimizer.param_groups
        if len(groups) != len(steps.rates):
            steps.name_rates(len(groups))
        for number, group in enumerate(groups):
            rate = group.get("lr")
            if rate is not steps.rates[number]:
                self._note_rate(steps, number, group, rate, step)
        now = time.perf_counter()
        if now - self._speed_time >= _SPEED_EVERY:
            self._log_speed(now, step)
            self.touch()

    def _record(self, name: str, value: Any, step: int, rows: int) -> None:
        if type(value) is float:
            self.run.log_metric(name, value, step)
            self._epoch.add(name, value, rows)
        else:
            self._read(value, functools.partial(self._record_late, name, step, rows, self._epoch))

    def _record_late(self, name: str, step: int, rows: int, epoch: Means, value: float) -> None:
        self.run.log_metric(name, value, step)
        epoch.add(name, value, rows)

    def _record_several(self, backwards: list[tuple[Place, Any, Any]], step: int, rows: int) -> None:
        """Record one point for each place, of the several backward passes that a step has had there.

        Where the program has divided its loss, as for gradients that are accumulated, their sum; else their mean.
        """
        by_place: dict[Place, list[Any]] = {}
        for place, value, _ in backwards:
            by_place.setdefault(place, []).append(value)
        for place, values in by_place.items():
            if place not in self.losses:
                self._name(place)
            name, is_divided = self.losses[place]
            total = sum(values)
            self._record(name, total if is_divided else total / len(values), step, rows or 1)

    def _name(self, place: Place) -> str:
        """Name the loss of a place that has not been seen when the loop began."""
        name = self._unique(name_loss(place, None) or "loss")
        self.losses[place] = name, False
        return name

    def _unique(self, name: str) -> str:
        taken = {one for one, _ in self.losses.values()}
        return next(one for one in (name, *(f"{name}_{number}" for number in range(2, 1000))) if one not in taken)

    def _log(self, name: str, value: Any, step: int) -> None:
        if isinstance(value, torch.Tensor):
            self._read(value, lambda number: self.run.log_metric(name, number, step))
        else:
            self.run.log_metric(name, value, step)

    def _read(self, value: Any, deliver: Callable[[float], object]) -> None:
        self.values.read(value, deliver)

    def _note_rate(self, steps: OptimizerSteps, number: int, group: dict[str, Any], rate: Any, step: int) -> None:
        value = learning_rate(group)
        if isinstance(rate, torch.Tensor):
            # It is changed in place; on a device nobody can say whether it has been, without waiting for it.
            if not rate.is_cpu:
                self._log(steps.rate_names[number], value, step)
                return
        if value is not None and value != steps.rates[number]:
            self.run.log_metric(steps.rate_names[number], float(value), step)
        steps.rates[number] = value

    def _log_speed(self, now: float, step: int) -> None:
        seconds = now - self._speed_time
        self.run.log_metric("steps_per_second", (self.steps - self._speed_steps) / seconds, step)
        if self._rows > self._speed_rows:
            self.run.log_metric("samples_per_second", (self._rows - self._speed_rows) / seconds, step)
        self._speed_time, self._speed_steps, self._speed_rows = now, self.steps, self._rows

    # -- epochs and evaluations ------------------------------------------------------------------------------------

    def _begin_epoch(self, current: Pass) -> None:
        if self._evaluation.sums:
            self._log_evaluation(None)
        self._end_epoch()
        self._pass = current
        current.epoch = self.epochs
        self.epochs += 1

    def _end_epoch(self) -> None:
        if self._pass is None or self._pass.epoch is None:
            self._epoch = Means()
            return
        means, self._epoch = self._epoch, Means()
        epoch = self._pass.epoch
        self.values.after(
            lambda: self.run.log_metrics({f"train_{name}": value for name, value in means.means()}, epoch)
        )

    @property
    def is_evaluating(self) -> bool:
        """Whether the model is in evaluation mode, in a loop that trains in the other one."""
        if self._trains_in_evaluation_mode or not self.models:
            return False
        model = self.models[0]()
        return model is not None and not model.training

    def pick_loss(self, function: Any, results: tuple[Any, ...]) -> Any:
        """Return which of the several results of a function of the user's own is the loss."""
        _, place = self.functions.get(function.__code__, ("", 0))
        return results[place] if place < len(results) else None

    def evaluate(self, function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note a loss that was computed for data that nothing is trained on just now."""
        known = self.functions.get(function.__code__)
        if known is None:
            return
        seen = local.seen
        current = seen.current
        is_of_pass = current is not None and current.rows > 0 and current is not self._pass
        if is_of_pass and current is not None:
            current.is_evaluation = True
            if current.split is None:
                current.split = name_split(current.loader())
            split, rows = current.split, current.rows
            current.rows = 0
        else:
            split = name_split(*args[:2]) if not self._evaluation.sums else self._evaluation_split
            shape = getattr(args[0], "shape", None) if args else None
            rows = int(shape[0]) if shape else 1
        self._evaluation_split = split
        names = parameters_of(function)
        settings = dict(zip(names, args, strict=False)) | kwargs
        reduction = settings.get("reduction", "mean")
        if result.numel() != 1:
            return
        name = f"{split}_{known[0]}" if split != "train" else f"train_eval_{known[0]}"
        means = self._evaluation
        if result.is_cpu:
            value = result.item()
            means.add(name, value / rows if reduction == "sum" else value, rows)
        else:
            self._read(
                result.detach(), lambda number: means.add(name, number / rows if reduction == "sum" else number, rows)
            )

    def _log_evaluation(self, step: int | None) -> None:
        """Log the means of an evaluation: for its epoch, or, in the middle of one or without epochs, for its step."""
        means, self._evaluation = self._evaluation, Means()
        suffix = "_step" if step is not None and self.epochs else ""
        place = (
            self.epochs - 1
            if step is None and self.epochs
            else (self.optimizers[0].steps - 1 if step is None else step)
        )
        self.values.after(
            lambda: self.run.log_metrics({f"{name}{suffix}": value for name, value in means.means()}, max(place, 0))
        )

    # -- beginning and end -----------------------------------------------------------------------------------------

    def joined_by(self, optimizer: Any, model: Any, code: Any) -> bool:
        """Say whether another optimizer trains in this loop.

        It does where it trains the same model, or where it was there before the loop began and follows soon,
        in the same function and the same pass over the data.
        """
        if model is not None and any(one() is model for one in self.models):
            return True
        return self.is_young and code is self.frame_code and birth_of(optimizer) <= self.born_before

    @property
    def is_young(self) -> bool:
        """Whether other optimizers may still turn out to belong to the loop."""
        return self.steps <= _STEPS_TO_JOIN and self.epochs <= 1

    def add(self, optimizer: Any, model: Any, seen: Seen, frame: FrameType | None) -> OptimizerSteps:
        """Take an optimizer into the loop, and log what it is and what it trains."""
        number = len(self.optimizers) + 1
        name = ""
        if self.is_several or number > 1:
            name = torch_params.name_optimizer(optimizer, frame) or f"optimizer_{number}"
        key = id(optimizer)
        steps = OptimizerSteps(optimizer, self, name, lambda reference: _forget(key, reference))
        self.optimizers.append(steps)
        steps.name_rates(len(optimizer.param_groups))
        is_new = model is not None and not any(one() is model for one in self.models)
        if is_new:
            self.models.append(weakref.ref(model, lambda _: self._end_if_gone()))
            attribute_model(model, self.run)
            if len(self.models) == 1:
                self._trains_in_evaluation_mode = not model.training
        with guard("naming the losses of a training loop"):
            self._name_losses(seen, frame)
        with guard("recording what a training loop trains"):
            torch_params.log_training(self, optimizer, model if is_new else None, seen, frame, number, name)
        return steps

    def _name_losses(self, seen: Seen, frame: FrameType | None) -> None:
        places = {place for place, _, _ in seen.backwards}
        is_several = self.is_several or len(places) > 1
        for place, _, reference in seen.backwards:
            loss = reference()
            if place not in self.losses:
                name = (name_loss(place, loss) if is_several or self.losses else None) or "loss"
                self.losses[place] = self._unique(name), torch_params.is_divided(loss)
            self.functions.update(torch_params.find_functions(self.losses[place][0], place, loss, seen.losses, frame))

    def end_if_gone(self) -> None:
        """End the loop where neither what it trains nor what trains it is there any more."""
        if all(one() is None for one in self.models) and all(one.reference() is None for one in self.optimizers):
            self.end()

    def _end_if_gone(self) -> None:
        with guard("ending a training loop"):
            self.end_if_gone()

    def _finish(self) -> None:
        if self._evaluation.sums:
            self._log_evaluation(None)
        self._end_epoch()
        self.values.finish()
        results: dict[str, Any] = {}
        if self.epochs:
            results["epochs"] = self.epochs
        if self.skipped_steps:
            results["skipped_steps"] = self.skipped_steps
        self.run.log_params(results)
        now = time.perf_counter()
        if self._speed_steps == 0 and self.steps:
            self._speed_time = self._began
            self._log_speed(now, self.steps - 1)


# By the ids of optimizers.
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
    if torch.compiler.is_compiling():
        return
    try:
        _note_step(optimizer, args, kwargs)
    except Exception as error:  # noqa: BLE001  whatever it is, it is ours
        report("recording a step of an optimizer", error)


def _note_step(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    seen = local.seen
    if current_training() is not None:
        # A framework trains, and is recorded as a whole.
        seen.backwards = []
        seen.norms = []
        return
    steps = _steps_of.get(id(optimizer))
    if steps is None or steps.reference() is not optimizer or steps.loop.is_over:
        steps = _begin(optimizer, seen, steps)
    loop = seen.loop = steps.loop
    closure = args[1] if len(args) > 1 else kwargs.get("closure")
    loop.step(optimizer, steps, seen, closure)


def _begin(optimizer: Any, seen: Seen, former: OptimizerSteps | None) -> OptimizerSteps:
    """Begin a loop with an optimizer's first step, or find the one that it is a part of."""
    frame = users_frame(sys._getframe(2))  # noqa: SLF001  the documented way to the caller
    code = None if frame is None else frame.f_code
    model = find_model(optimizer, frame)
    loop = seen.loop
    # Two optimizers that take turns would otherwise begin a run with every step.
    takes_turns = former is not None and loop is not None and former.loop.successor is loop and loop.is_young
    if loop is None or loop.is_over or not (takes_turns or loop.joined_by(optimizer, model, code)):
        before = loop
        others = [one for one in living_optimizers() if one is not optimizer and id(one) not in _steps_of]
        name = type(model).__name__ if model is not None else type(optimizer).__name__
        if before is not None:
            before.end()
        loop = TorchLoop(model, name, is_several=bool(others))
        loop.frame_code, loop.born_before = code, latest_birth()
        if before is not None:
            before.successor = loop
        logger.info(
            "recording %s, trained by %s, as run %s; it ends with the process, with the next training of another model, "
            "or when model and optimizer are gone",
            name,
            type(optimizer).__name__,
            loop.run.run_id,
        )
    steps = loop.add(optimizer, model, seen, frame)
    _steps_of[id(optimizer)] = steps
    seen.losses = []
    seen.settled_at = latest_birth()
    return steps


def _forget(key: int, reference: Any) -> None:
    steps = _steps_of.get(key)
    if steps is not None and steps.reference is reference:
        del _steps_of[key]
        with guard("ending a training loop"):
            steps.loop.end_if_gone()
