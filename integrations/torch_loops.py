"""Training loops of plain PyTorch: what every step of an optimizer records, and when epochs and evaluations end."""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NamedTuple

import torch

from autolog.attribution import attribute_model
from autolog.guard import guard
from autolog.integrations import torch_params
from autolog.integrations.torch_losses import parameters_of
from autolog.integrations.torch_optimizers import birth_of
from autolog.integrations.torch_passes import Pass, name_split
from autolog.integrations.torch_series import Means, name_loss
from autolog.integrations.torch_threads import Place, Seen, local
from autolog.integrations.torch_values import DeviceValues
from autolog.loops import Loop

# Another optimizer that begins within so many steps, in the same function, trains in the same loop: a GAN's.
_STEPS_TO_JOIN: Final = 64
# Seconds between two points of the speed.
_SPEED_EVERY: Final = 1.0


class Step(NamedTuple):
    """A step as it was seen; what it means is found out a few milliseconds later, of many steps at once.

    Attributes:
        steps: the optimizer's.
        time: in seconds since the epoch.
        backwards: of ``Seen``, and so are the norms.
        norms: of gradients.
        rates: the learning rate, or a tuple of those of several groups of parameters.
        batches: how many the training's pass over data has had.
        current: that pass.
        has_closure: whether the optimizer has asked for the loss itself, perhaps several times.
    """

    steps: OptimizerSteps
    time: float
    backwards: list[tuple[Place, Any, weakref.ref[Any]]]
    norms: list[Any]
    rates: Any
    batches: int
    current: Pass | None
    has_closure: bool


class OptimizerSteps:
    """The steps of one optimizer in a loop.

    Args:
        optimizer: known weakly.
        loop: that it trains in.
        name: in the names of what belongs to it; empty where there is only one.
        on_gone: called when the optimizer is no longer there.
    """

    __slots__ = ("is_quick", "loop", "name", "number", "rate_names", "rates", "reference", "suffix")

    def __init__(self, optimizer: Any, loop: TorchLoop, name: str, on_gone: Callable[[Any], None]) -> None:
        self.reference = weakref.ref(optimizer, on_gone)
        self.loop = loop
        self.name = name
        self.suffix = f"_{name}" if name else ""
        self.number = 0
        self.rates: Any = None
        groups = optimizer.param_groups
        base = f"learning_rate{self.suffix}"
        self.rate_names = [base] if len(groups) == 1 else [f"{base}_group_{number}" for number in range(len(groups))]
        # One number that is replaced where it changes can be looked at later.
        self.is_quick = len(groups) == 1 and not isinstance(groups[0].get("lr"), torch.Tensor)


class TorchLoop(Loop):
    """A loop of plain PyTorch.

    Args:
        model: what is trained, or None where it could not be found.
        name: the run's.
        code: of the function whose loop it is.
        born_before: the optimizers that there were when it began have smaller numbers.
        is_several: whether several optimizers train in it, so that what belongs to one has its name.
    """

    def __init__(self, model: Any, name: str, code: Any, born_before: int, *, is_several: bool) -> None:
        super().__init__("torch", name, {}, model)
        self.models: Final[list[weakref.ref[Any]]] = []
        self.optimizers: Final[list[OptimizerSteps]] = []
        self.successor: TorchLoop | None = None
        self.checkpoints: list[dict[str, Any]] = []
        self.steps = self.epochs = self.skipped_steps = 0
        # By the code of the functions that compute losses: the names of these, and which of several results it is.
        self.functions: Final[dict[Any, tuple[str, int]]] = {}
        # By where the backward pass begins: the name of the loss, and whether the program has divided it.
        self.losses: Final[dict[Place, tuple[str, bool]]] = {}
        self._code = code
        self._born_before = born_before
        self._is_several = is_several
        self._trains_in_evaluation_mode = False
        self._values: Final = DeviceValues()
        self._pass: Pass | None = None
        self._epoch = Means()
        self._evaluation = Means()
        self._split = "val"
        self._rows = 0
        self._speed = self._beginning = (time.time(), 0, 0)
        self.run.finishers.append(self._finish)

    @property
    def training_pass(self) -> Pass | None:
        """The pass over data that the latest step belonged to."""
        return self._pass

    # -- steps -----------------------------------------------------------------------------------------------------

    def record(self, one: Step) -> None:
        """Record a step: its losses, its learning rates where they have changed, the speed once in a while."""
        steps = one.steps
        number = steps.number
        steps.number = number + 1
        if steps is self.optimizers[0]:
            self.steps += 1
        if one.current is not self._pass:
            self._begin_epoch(one.current)
        elif self._evaluation.sums:
            self._log_evaluation(number if self.epochs else None)
        moment = int(one.time * 1000)
        if one.backwards:
            rows = 0 if one.current is None else one.current.take(one.batches, len(one.backwards))
            self._rows += rows
            if len(one.backwards) == 1 or one.has_closure:
                place, value, _ = one.backwards[0]
                name = self.losses[place][0] if place in self.losses else self._name(place)
                self._record_loss(name, value, number, moment, rows or 1)
            else:
                self._record_several(one, number, moment, rows or 1)
        if one.norms:
            self._log(f"gradient_norm{steps.suffix}", one.norms[-1], number, moment)
        if one.rates != steps.rates:
            self._log_rates(steps, one.rates, number, moment)
        if one.time - self._speed[0] >= _SPEED_EVERY:
            self._log_speed(one.time, number)

    def _record_loss(self, name: str, value: Any, step: int, moment: int, rows: int) -> None:
        if type(value) is float:
            self._keep_loss(name, step, moment, rows, self._epoch, value)
        else:
            self._values.read(value, functools.partial(self._keep_loss, name, step, moment, rows, self._epoch))

    def _keep_loss(self, name: str, step: int, moment: int, rows: int, epoch: Means, value: float) -> None:
        self.run.log_metric(name, value, step, moment)
        epoch.add(name, value, rows)

    def _record_several(self, one: Step, number: int, moment: int, rows: int) -> None:
        """Record one point for each place, of the several backward passes that a step has had there.

        Where the program has divided its loss, as for gradients that are accumulated, their sum; else their mean.
        """
        by_place: dict[Place, list[Any]] = {}
        for place, value, _ in one.backwards:
            by_place.setdefault(place, []).append(value)
        for place, values in by_place.items():
            if place not in self.losses:
                self._name(place)
            name, is_divided = self.losses[place]
            total = sum(values)
            self._record_loss(name, total if is_divided else total / len(values), number, moment, rows)

    def _name(self, place: Place) -> str:
        """Name the loss of a place that has not been seen when the loop began."""
        name = self._unique(name_loss(place, None) or "loss")
        self.losses[place] = name, False
        return name

    def _unique(self, name: str) -> str:
        taken = {one for one, _ in self.losses.values()}
        return next(one for one in (name, *(f"{name}_{number}" for number in range(2, 1000))) if one not in taken)

    def _log(self, name: str, value: Any, step: int, moment: int) -> None:
        if isinstance(value, torch.Tensor):
            self._values.read(value, lambda number: self.run.log_metric(name, number, step, moment))
        elif value is not None:
            self.run.log_metric(name, value, step, moment)

    def _log_rates(self, steps: OptimizerSteps, rates: Any, step: int, moment: int) -> None:
        before, steps.rates = steps.rates, rates
        pairs = (
            [(rates, before)] if len(steps.rate_names) == 1 else zip(rates, before or (None,) * len(rates), strict=True)
        )
        for name, (rate, former) in zip(steps.rate_names, pairs, strict=False):
            if isinstance(rate, torch.Tensor) or rate != former:
                self._log(name, rate, step, moment)

    def _log_speed(self, now: float, step: int) -> None:
        then, steps, rows = self._speed
        seconds = now - then
        if self.steps > steps:
            self.run.log_metric("steps_per_second", (self.steps - steps) / seconds, step)
        if self._rows > rows:
            self.run.log_metric("samples_per_second", (self._rows - rows) / seconds, step)
        self._speed = now, self.steps, self._rows

    # -- epochs and evaluations ------------------------------------------------------------------------------------

    def _begin_epoch(self, current: Pass | None) -> None:
        if self._evaluation.sums:
            self._log_evaluation(None)
        self._end_epoch()
        self._pass = current
        if current is not None and current.epoch is None:
            current.epoch = self.epochs
            self.epochs += 1

    def _end_epoch(self) -> None:
        means, self._epoch = self._epoch, Means()
        if self._pass is not None and self._pass.epoch is not None:
            self._log_means(means, self._pass.epoch, lambda name: f"train_{name}")

    def _log_evaluation(self, step: int | None) -> None:
        """Log the means of an evaluation: for the epoch that has just ended, or for a step.

        A loop without epochs counts steps only; in the middle of an epoch the names end with ``_step``.

        Args:
            step: the next, in the middle of an epoch.
        """
        means, self._evaluation = self._evaluation, Means()
        if step is not None:
            self._log_means(means, step, lambda name: f"{name}_step")
        else:
            self._log_means(means, max((self.epochs or self.steps) - 1, 0), lambda name: name)

    def _log_means(self, means: Means, step: int, rename: Callable[[str], str]) -> None:
        self._values.after(lambda: self.run.log_metrics({rename(name): value for name, value in means.means()}, step))

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
        self.flush()
        shape = getattr(args[0], "shape", None) if args else None
        rows = int(shape[0]) if shape else 1
        given = dict(zip(parameters_of(function), args, strict=False)) | kwargs
        share = 1 / rows if given.get("reduction") == "sum" else 1.0
        self._split = self._find_split(args)
        name = known[0] if self._split != "train" else f"eval_{known[0]}"
        add = functools.partial(self._evaluation.add, f"{self._split}_{name}", rows=rows)
        if result.is_cpu:
            add(result.item() * share)
        else:
            self._values.read(result.detach(), lambda value: add(value * share))

    def _find_split(self, args: tuple[Any, ...]) -> str:
        """Return which part of the data an evaluation is of."""
        passes = local.seen.passes
        if passes and passes[0] is not self._pass and not passes[0].is_over:
            current = passes[0]
            current.is_evaluation = True
            if current.split is None:
                current.split = name_split(current.loader())
            return str(current.split)
        return self._split if self._evaluation.sums else name_split(*args[:2])

    # -- beginning and end -----------------------------------------------------------------------------------------

    def is_joined_by(self, optimizer: Any, model: Any, code: Any) -> bool:
        """Say whether another optimizer trains in this loop.

        It does where it trains the same model, or where it was there before the loop began and follows soon,
        in the same function and the same pass over the data.
        """
        if model is not None and any(one() is model for one in self.models):
            return True
        return self.is_young and code is self._code and birth_of(optimizer) <= self._born_before

    @property
    def is_young(self) -> bool:
        """Whether other optimizers may still turn out to belong to the loop."""
        return self.steps <= _STEPS_TO_JOIN and self.epochs <= 1

    def add(
        self, optimizer: Any, model: Any, seen: Seen, frame: FrameType | None, on_gone: Callable[[Any], None]
    ) -> OptimizerSteps:
        """Take an optimizer into the loop, and log what it is and what it trains.

        Args:
            optimizer: which has just done its first step here.
            model: what it trains; None where that is not known.
            seen: what the thread has seen before the step.
            frame: of the user's own code.
            on_gone: called when the optimizer is no longer there.
        """
        number = len(self.optimizers) + 1
        name = ""
        if self._is_several or number > 1:
            name = torch_params.name_optimizer(optimizer, frame) or f"optimizer_{number}"
        steps = OptimizerSteps(optimizer, self, name, on_gone)
        self.optimizers.append(steps)
        is_new = model is not None and not any(one() is model for one in self.models)
        if is_new:
            self.models.append(weakref.ref(model, lambda _: self.end_if_gone()))
            attribute_model(model, self.run)
            if len(self.models) == 1:
                self._trains_in_evaluation_mode = not model.training
        with guard("naming the losses of a training loop"):
            self._name_losses(seen, frame)
        with guard("recording what a training loop trains"):
            torch_params.log_training(
                self.run, optimizer, model if is_new else None, self.functions, seen, frame, number, name
            )
        return steps

    def _name_losses(self, seen: Seen, frame: FrameType | None) -> None:
        is_several = self._is_several or len({place for place, _, _ in seen.backwards}) > 1
        for place, _, reference in seen.backwards:
            loss = reference()
            if place not in self.losses:
                name = (name_loss(place, loss) if is_several or self.losses else None) or "loss"
                self.losses[place] = self._unique(name), torch_params.is_divided(loss)
            self.functions.update(torch_params.find_functions(self.losses[place][0], place, loss, seen.losses, frame))

    def end_if_gone(self) -> None:
        """End the loop where neither what it trains nor what trains it is there any more."""
        if all(one() is None for one in self.models) and all(one.reference() is None for one in self.optimizers):
            with guard("ending a training loop"):
                self.end()

    def _finish(self) -> None:
        self.flush()
        if self._evaluation.sums:
            self._log_evaluation(None)
        self._end_epoch()
        self._values.finish()
        results: dict[str, Any] = {}
        if self.epochs:
            results["epochs"] = self.epochs
        if self.skipped_steps:
            results["skipped_steps"] = self.skipped_steps
        self.run.log_params(results)
        if self._speed is self._beginning and self.last_step > self._beginning[0]:
            self._log_speed(self.last_step, self.steps - 1)
