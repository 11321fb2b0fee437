"""Training loops of plain PyTorch: what every step of an optimizer records, and when epochs and evaluations end."""

from __future__ import annotations

import functools
import math
import time
import weakref
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, Final

import torch

from autolog.attribution import attribute_model
from autolog.guard import guard
from autolog.integrations import torch_params
from autolog.integrations.torch_losses import original_code, parameters_of, watch_own_loss
from autolog.integrations.torch_means import Means
from autolog.integrations.torch_optimizers import birth_of
from autolog.integrations.torch_origins import Origin
from autolog.integrations.torch_passes import Pass, name_split
from autolog.integrations.torch_sources import name_loss
from autolog.integrations.torch_threads import Backward, Seen, local
from autolog.integrations.torch_values import DeviceValues
from autolog.loops import Loop

# Another optimizer that begins within so many steps, in the same function, trains in the same loop: a GAN's.
_STEPS_TO_JOIN: Final = 256
# Of further optimizers, one for each epoch perhaps, no params are recorded.
_MOST_DESCRIBED: Final = 16
# Of a loss function: a model that computes its loss itself comes before its data.
_ARGUMENTS_NAMED: Final = 3
# Seconds between two points of the speed.
_SPEED_EVERY: Final = 1.0


Step = tuple["OptimizerSteps", float, Sequence[Backward], Sequence[Any], Any, int, "Pass | None", bool]
"""A step as it was seen; what it means is found out a few milliseconds later, of many steps at once.

It is the optimizer's steps, the time in seconds since the epoch, the backward passes and the norms of ``Seen``,
the learning rate or a tuple of those of several groups, how many batches the pass over data has given, that pass,
and whether the optimizer has asked for the loss itself, perhaps several times.
"""


def _count_plain(steps: list[Step]) -> int:
    """Return how many of the first steps have one optimizer, one learning rate, one loss and a full batch each."""
    owner, _, backwards, _, rates, _, current, _ = steps[0]
    code, offset, _ = backwards[0]
    # Where nothing is passed over, no step has had a batch.
    expected, full, more = (0, math.inf, 0) if current is None else (current.taken, current.full_batches, 1)
    for count, (one_owner, _, backwards, norms, one_rates, batches, one_pass, _) in enumerate(steps):
        expected += more
        if (
            one_owner is not owner
            or one_pass is not current
            or one_rates != rates
            or batches != expected
            or batches > full
            or len(backwards) != 1
            or backwards[0][0] is not code
            or backwards[0][1] != offset
            or type(backwards[0][2]) is not float
            or (norms and type(norms[-1]) is not float)
        ):
            return count
    return len(steps)


def _has_tensor(rates: Any) -> bool:
    return any(isinstance(rate, torch.Tensor) for rate in (rates if type(rates) is tuple else (rates,)))


class OptimizerSteps:
    """The steps of one optimizer in a loop.

    Args:
        optimizer: known weakly.
        loop: that it trains in.
        name: in the names of what belongs to it; empty where there is only one.
        lane: tells its losses from those of others at the same place; one that goes on for another has the same.
        number: of its first step.
    """

    __slots__ = ("is_quick", "lane", "loop", "name", "norm_name", "number", "rate_names", "rates", "reference")

    def __init__(self, optimizer: Any, loop: TorchLoop, name: str, lane: int, number: int = 0) -> None:
        self.reference = weakref.ref(optimizer)
        self.loop = loop
        self.lane = lane
        self.name = name
        suffix = f"_{name}" if name else ""
        self.norm_name = f"gradient_norm{suffix}"
        self.number = number
        self.rates: Any = None
        groups = optimizer.param_groups
        base = f"learning_rate{suffix}"
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
        # The one whose steps are the loop's.
        self._leading: OptimizerSteps | None = None
        self.checkpoints: list[dict[str, Any]] = []
        self.steps = self.epochs = self.skipped_steps = 0
        # By the ids of the code of the functions that compute losses, which is kept so that no other has its id:
        # the names of these, which of several results it is, and the code.
        self.functions: Final[dict[int, tuple[str, int, CodeType]]] = {}
        # By where the backward pass begins and whose step follows: the name of the loss, whether the program has
        # divided it, and the code.
        self.losses: Final[dict[tuple[int, int, int], tuple[str, bool, CodeType]]] = {}
        self._code = code
        self._born_before = born_before
        self._is_several = is_several
        self._trains_in_evaluation_mode = False
        self._are_sums = False
        self._values: Final = DeviceValues()
        self._pass: Pass | None = None
        self._epoch = Means()
        self._evaluation = Means()
        self._split = "val"
        self._rows = 0
        self._speed = self._beginning = (time.time(), 0, 0)
        self.run.finishers.append(self._finish)

    def resume(self) -> None:
        """Go on with the loop."""
        super().resume()
        self.run.finishers.append(self._finish)

    @property
    def training_pass(self) -> Pass | None:
        """The pass over data that the latest step belonged to."""
        return self._pass

    # -- steps -----------------------------------------------------------------------------------------------------

    def record(self, steps: list[Step]) -> None:
        """Record steps: their losses, the learning rates where they have changed, the speed once in a while."""
        leading = self._leading
        series: dict[str, list[tuple[int, float, float]]] = {}
        for one in steps[self._record_plain(steps) :]:
            owner, moment, backwards, norms, rates, _, current, _ = one
            number = owner.number
            owner.number = number + 1
            if current is not self._pass or self._evaluation.sums:
                self._turn_to(current, number)
            if owner is leading:
                self.steps += 1
            if backwards:
                self._take_losses(one, number, series)
            if norms and type(norms[-1]) is float:
                series.setdefault(owner.norm_name, []).append((number, moment, norms[-1]))
            elif norms:
                self._log(owner.norm_name, norms[-1], number, moment)
            # A rate on a device is not compared, which would wait for the device.
            if (not owner.is_quick and _has_tensor(rates)) or rates != owner.rates:
                self._log_rates(owner, rates, number, moment)
        for name, points in series.items():
            self.run.log_series(name, points)
        self.last_step = moment = steps[-1][1]
        if moment - self._speed[0] >= _SPEED_EVERY:
            self._log_speed(moment, steps[-1][0].number - 1)

    def _record_plain(self, steps: list[Step]) -> int:
        """Record the first steps, while they are like the one before them, and return how many they are.

        They are nearly all, and together they take a fraction of what each takes by itself.
        """
        owner, _, backwards, _, rates, _, current, _ = steps[0]
        if not (owner.is_quick and backwards and current is self._pass and rates == owner.rates):
            return 0
        code, offset, _ = backwards[0]
        known = self.losses.get((id(code), offset, owner.lane))
        count = 0 if known is None or self._evaluation.sums else _count_plain(steps)
        if known is None or not count:
            return 0
        first, plain = owner.number, steps[:count]
        losses = [(number, one[1], one[2][0][2]) for number, one in enumerate(plain, first)]
        norms = [(number, one[1], one[3][-1]) for number, one in enumerate(plain, first) if one[3]]
        owner.number += count
        if owner is self._leading:
            self.steps += count
        rows = 1
        if current is not None:
            current.taken += count
            rows = current.rows or 1
            self._rows += count * (current.rows or 0)
        self._epoch.add(known[0], sum([value for _, _, value in losses]) / count, rows * count)
        self.run.log_series(known[0], losses)
        if norms:
            self.run.log_series(owner.norm_name, norms)
        return count

    def _take_losses(self, one: Step, number: int, series: dict[str, list[tuple[int, float, float]]]) -> None:
        _, moment, backwards, _, _, batches, current, _ = one
        rows = 1
        if current is not None and (taken := current.take(batches, len(backwards))):
            rows = taken
            self._rows += taken
        code, offset, value = backwards[0]
        known = self.losses.get((id(code), offset, one[0].lane))
        if len(backwards) == 1 and known is not None and type(value) is float:
            series.setdefault(known[0], []).append((number, moment, value))
            self._epoch.add(known[0], value, rows)
        else:
            with guard("recording the losses of a step"):
                self._record_losses(one, number, rows)

    def _record_losses(self, one: Step, number: int, rows: int) -> None:
        """Record one point for each place, of the several backward passes that a step has had there.

        Of an optimizer that asks for the loss itself this is the first value; where the program has divided its loss,
        as for gradients that are accumulated, the sum; else the mean.
        """
        _, moment, backwards, _, _, _, _, has_closure = one
        values: dict[tuple[int, int, int], list[Any]] = {}
        for backward in backwards:
            place = id(backward[0]), backward[1], one[0].lane
            if place not in self.losses:
                self._name(backward, one[0].lane)
            values.setdefault(place, []).append(backward[2])
        for place, losses in values.items():
            name, is_divided, _ = self.losses[place]
            total = losses[0] if has_closure else sum(losses)
            value = total if is_divided or has_closure else total / len(losses)
            keep = functools.partial(self._keep_loss, name, number, moment, rows, self._epoch)
            if isinstance(value, torch.Tensor):
                self._values.read(value, keep)
            else:
                keep(value)

    def _keep_loss(self, name: str, step: int, moment: float, rows: int, epoch: Means, value: float) -> None:
        self.run.log_series(name, [(step, moment, float(value))])
        epoch.add(name, value, rows)

    def _name(self, backward: Backward, lane: int) -> None:
        """Name the loss of a place that has not been seen when the loop began."""
        code, offset, _ = backward
        self.losses[id(code), offset, lane] = self._unique(name_loss((code, offset), None) or "loss"), False, code

    def _unique(self, name: str) -> str:
        taken = {one for one, *_ in self.losses.values()}
        return next(one for one in (name, *(f"{name}_{number}" for number in range(2, 1000))) if one not in taken)

    def _log(self, name: str, value: Any, step: int, moment: float) -> None:
        if isinstance(value, torch.Tensor):
            self._values.read(value, lambda number: self.run.log_series(name, [(step, moment, number)]))
        elif value is not None:
            self.run.log_series(name, [(step, moment, float(value))])

    def _log_rates(self, steps: OptimizerSteps, rates: Any, step: int, moment: float) -> None:
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

    def _turn_to(self, current: Pass | None, number: int) -> None:
        """Log what is over where a step follows an evaluation, or begins a pass over data."""
        if current is not self._pass:
            self._begin_epoch(current)
        elif self._evaluation.sums:
            self._log_evaluation(number if self.epochs else None)

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

    def place_scores(self) -> tuple[str, int]:
        """Return what part of the data a metric that is computed now is of, and the epoch, or else the step."""
        self.flush()
        split = self._split if self._evaluation.sums or self.is_evaluating else "train"
        return split, max((self.epochs or self.steps) - 1, 0)

    def log_score(self, name: str, value: Any) -> None:
        """Log a metric that was computed by a library, for the part of the data that is evaluated."""
        split, step = self.place_scores()
        self._log(f"{split}_{name}", value, step, time.time())

    @property
    def is_evaluating(self) -> bool:
        """Whether the model is in evaluation mode, in a loop that trains in the other one."""
        if self._trains_in_evaluation_mode or not self.models:
            return False
        model = self.models[0]()
        return model is not None and not model.training

    def pick_loss(self, function: Any, results: tuple[Any, ...]) -> Any:
        """Return which of the several results of a function of the user's own is the loss."""
        _, place, _ = self.functions.get(id(function.__code__), ("", 0, None))
        return results[place] if place < len(results) else None

    def evaluate(self, function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note a loss that was computed for data that nothing is trained on just now."""
        known = self.functions.get(id(function.__code__))
        if known is None:
            return
        self.flush()
        rows = next((len(one) for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor) and one.dim()), 1)
        given = dict(zip(parameters_of(function), args, strict=False)) | kwargs
        if not rows:
            return
        # A sum is compared with the means that are trained for, unless these are sums as well.
        share = 1 / rows if given.get("reduction") == "sum" and not self._are_sums else 1.0
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
                loader = current.loader()
                trains = self._pass is not None and loader is not None and self._pass.loader() is loader
                current.split = "train" if trains else name_split(loader)
            return str(current.split)
        return name_split(*args[:_ARGUMENTS_NAMED])

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

    def add(self, optimizer: Any, model: Any, seen: Seen, frame: FrameType | None) -> OptimizerSteps:
        """Take an optimizer into the loop, and log what it is and what it trains.

        Args:
            optimizer: which has just done its first step here.
            model: what it trains; None where that is not known.
            seen: what the thread has seen before the step.
            frame: of the user's own code.
        """
        number = len(self.optimizers) + 1
        name = ""
        is_new = model is not None and not any(one() is model for one in self.models)
        if self._leading is not None and not is_new and birth_of(optimizer) > self._born_before:
            # It was made for what this loop has trained so far, and goes on where another has stopped.
            name = f"optimizer_{number}"
            steps = self._leading = OptimizerSteps(optimizer, self, "", self._leading.lane, self.steps)
        else:
            if self._is_several or number > 1:
                name = torch_params.name_optimizer(optimizer, frame) or f"optimizer_{number}"
                name = f"{name}_{number}" if any(one.name == name for one in self.optimizers) else name
            steps = OptimizerSteps(optimizer, self, name, number)
        self._leading = self._leading or steps
        self.optimizers.append(steps)
        if model is not None and is_new:
            self.models.append(weakref.ref(model))
            weakref.finalize(model, self.end_if_gone).atexit = False
            attribute_model(model, self.run)
            if len(self.models) == 1:
                self._trains_in_evaluation_mode = not model.training
        origins: list[Origin] = []
        with guard("naming the losses of a training loop"):
            origins = self._name_losses(seen, steps.lane)
        if number > _MOST_DESCRIBED:
            return steps
        with guard("recording what a training loop trains"):
            torch_params.log_training(
                self.run,
                optimizer,
                model if is_new else None,
                origins,
                seen,
                frame,
                number,
                name,
            )
        return steps

    def _name_losses(self, seen: Seen, lane: int) -> list[Origin]:
        """Name the losses of an optimizer's first step in the loop, and return what they have come from."""
        places = {(id(code), offset, lane): (code, offset) for code, offset, _ in seen.backwards}
        is_several = self._is_several or len(places) > 1
        # Where nobody has looked closely, the optimizer goes on from another run, perhaps from a notebook's last cell.
        known = next(reversed(seen.origins.values()), Origin())
        origins = [seen.origins.get(place) or known._replace(name=name_loss(place, None)) for place in places.values()]
        for (key, (code, _)), origin in zip(places.items(), origins, strict=True):
            if key not in self.losses:
                name = (origin.name if is_several or self.losses else None) or "loss"
                self.losses[key] = self._unique(name), origin.is_divided, code
            self._know_functions(origin, self.losses[key][0])
        return origins

    def _know_functions(self, origin: Origin, name: str) -> None:
        """Note which functions compute a loss: what they return for other data belongs beside it.

        Where neither is known that has returned it, those that have computed anything on the way, by their own names.
        """
        if origin.call is not None:
            self._are_sums = origin.call.settings.get("reduction") == "sum"
            self._know(origin.call.function.__code__, name, 0)
        elif origin.own is not None and watch_own_loss(origin.own[0]):
            self._know(original_code(origin.own[0]), name, origin.own[1])
        else:
            for call in origin.parts:
                self._know(call.function.__code__, call.function.__name__, 0)

    def _know(self, code: CodeType, name: str, index: int) -> None:
        self.functions[id(code)] = name, index, code

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
