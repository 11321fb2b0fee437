"""Every optimizer that PyTorch tests, with the inputs that it tests it with, and every learning-rate scheduler."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from digest import show
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.testing._internal.common_optimizers import optim_db

STEPS = 4


def cases() -> Iterator[Any]:
    """Yield every optimizer with each of its sets of arguments."""
    for info in optim_db:
        for number, given in enumerate(info.optim_inputs_func(device="cpu")):
            kwargs = {key: value for key, value in given.kwargs.items() if key != "capturable"}
            yield pytest.param(info, kwargs, id=f"{info.optim_cls.__name__}-{number}-{given.desc.replace(' ', '_')}")


def errors() -> Iterator[Any]:
    """Yield every optimizer with each set of arguments that it refuses."""
    for info in optim_db:
        for number, given in enumerate(info.optim_error_inputs_func(device="cpu", dtype=torch.float32)):
            if str(given.error_on).endswith("CONSTRUCTION_ERROR"):
                yield pytest.param(info, given, id=f"{info.optim_cls.__name__}-{number}")


every_case = pytest.mark.parametrize(("info", "kwargs"), cases())
every_optimizer = pytest.mark.parametrize("info", optim_db, ids=lambda info: info.optim_cls.__name__)


class Bag(torch.nn.Module):
    """An embedding with sparse gradients, for the optimizer that takes no others."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(6, 3, sparse=True)

    def forward(self, inputs: Any) -> Any:
        return self.table(inputs).sum(1)


def make_model(info: Any) -> tuple[Any, Any, Any]:
    """Return a small model with inputs and targets, of a kind that the optimizer takes."""
    torch.manual_seed(0)
    if info.only_supports_sparse_grads:
        return Bag(), torch.randint(0, 6, (8, 2)), torch.randn(8, 3)
    # One optimizer takes matrices only.
    bias = info.optim_cls.__name__ != "Muon"
    layers = [torch.nn.Linear(5, 4, bias=bias), torch.nn.Tanh(), torch.nn.Linear(4, 3, bias=bias)]
    return torch.nn.Sequential(*layers), torch.randn(8, 5), torch.randn(8, 3)


def make_optimizer(info: Any, model: Any, kwargs: dict[str, Any]) -> Any:
    """Return the optimizer; some arguments are tensors, which it changes."""
    return info.optim_cls(model.parameters(), **copy.deepcopy(kwargs))


def train(model: Any, optimizer: Any, inputs: Any, targets: Any, steps: int = STEPS) -> list[float]:
    """Do some steps with a closure, which every optimizer takes; return the losses."""

    def closure() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        return loss

    return [float(optimizer.step(closure)) for _ in range(steps)]


def has_gradients_through_steps(kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("differentiable"))


@every_case
def test_steps(info: Any, kwargs: dict[str, Any]) -> None:
    model, inputs, targets = make_model(info)
    if has_gradients_through_steps(kwargs):
        # Its parameters must be no leaves.
        pytest.skip("is for optimizers that are differentiated through")
    optimizer = make_optimizer(info, model, kwargs)
    losses = train(model, optimizer, inputs, targets)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    show(losses, list(model.parameters()), [list(vars(optimizer)), optimizer.state_dict()], torch.get_rng_state())


@every_case
def test_steps_without_a_closure(info: Any, kwargs: dict[str, Any]) -> None:
    if info.step_requires_closure or has_gradients_through_steps(kwargs):
        pytest.skip("takes a closure only")
    model, inputs, targets = make_model(info)
    optimizer = make_optimizer(info, model, kwargs)
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=False)
        for part in range(2):
            torch.nn.functional.mse_loss(model(inputs[part::2]), targets[part::2]).backward()
        assert optimizer.step() is None
    show(list(model.parameters()), optimizer.state_dict())


@every_case
def test_a_state_that_is_loaded_goes_on_as_the_original(info: Any, kwargs: dict[str, Any]) -> None:
    if has_gradients_through_steps(kwargs):
        pytest.skip("is for optimizers that are differentiated through")
    model, inputs, targets = make_model(info)
    optimizer = make_optimizer(info, model, kwargs)
    train(model, optimizer, inputs, targets, 2)
    second = copy.deepcopy(model)
    other = make_optimizer(info, second, kwargs)
    stored = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, stored)
    stored.seek(0)
    loaded = torch.load(stored, weights_only=False)
    second.load_state_dict(loaded["model"])
    other.load_state_dict(loaded["optimizer"])
    assert train(model, optimizer, inputs, targets) == train(second, other, inputs, targets)
    show(list(model.parameters()), list(second.parameters()), stored.getbuffer().nbytes)


@every_optimizer
@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"])
def test_a_copy_goes_on_as_the_original(info: Any, how: Callable[[Any], Any]) -> None:
    if info.optim_cls is torch.optim.LBFGS:
        pytest.skip("cannot be copied: it leaves its parameters behind")
    model, inputs, targets = make_model(info)
    optimizer = make_optimizer(info, model, {"lr": 0.01})
    train(model, optimizer, inputs, targets, 2)
    second, other = how((model, optimizer))
    assert train(model, optimizer, inputs, targets) == train(second, other, inputs, targets)
    show(repr(optimizer), [list(vars(one)) for one in (model, optimizer, second, other)])


@every_optimizer
def test_groups_have_settings_of_their_own(info: Any) -> None:
    if info.optim_cls is torch.optim.LBFGS:
        pytest.skip("takes one group only")
    model, inputs, targets = make_model(info)
    first, *rest = model.parameters()
    optimizer = info.optim_cls([{"params": [first], "lr": 0.02}], lr=0.01)
    for parameter in rest:
        optimizer.add_param_group({"params": [parameter]})
    train(model, optimizer, inputs, targets)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02] + [0.01] * len(rest)
    show(list(model.parameters()), optimizer.state_dict())


@every_optimizer
def test_schedulers_change_its_rate(info: Any) -> None:
    for schedulers in info.scheduler_inputs:
        model, inputs, targets = make_model(info)
        optimizer = make_optimizer(info, model, {"lr": 0.01})
        made = [make(optimizer) for make in schedulers]
        for _ in range(STEPS):
            losses = train(model, optimizer, inputs, targets, 1)
            for scheduler in made:
                arguments = losses if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else ()
                scheduler.step(*arguments)
        show([group["lr"] for group in optimizer.param_groups], list(model.parameters()))
        show([sorted(scheduler.state_dict()) for scheduler in made])


@every_optimizer
def test_hooks_of_the_users_are_called_in_their_order(info: Any) -> None:
    model, inputs, targets = make_model(info)
    optimizer = make_optimizer(info, model, {"lr": 0.01})
    called: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    handle = optimizer.register_step_post_hook(lambda *_: called.append("after"))
    optimizer.register_state_dict_post_hook(lambda *_: called.append("stored"))
    everywhere = register_optimizer_step_post_hook(lambda *_: called.append("everywhere"))
    train(model, optimizer, inputs, targets, 2)
    optimizer.state_dict()
    handle.remove()
    everywhere.remove()
    train(model, optimizer, inputs, targets, 1)
    assert called == ["before", "after", "everywhere"] * 2 + ["stored", "before"]
    show(list(optimizer._optimizer_step_post_hooks), list(model.parameters()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("info", "given"), errors())
def test_arguments_that_it_refuses(info: Any, given: Any) -> None:
    refused = given.optimizer_error_input
    with pytest.raises(given.error_type) as raised:
        info.optim_cls(refused.params, **refused.kwargs)
    show(str(raised.value))


class Rooted(torch.optim.Optimizer):
    """An optimizer as the documentation shows how to write one."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    state["steps"] = state.get("steps", 0) + 1
                    parameter.sub_(group["lr"] * parameter.grad.sign() * parameter.grad.abs().sqrt())
        return loss


class Stopping(Rooted):
    """Fails at its third step."""

    def step(self, closure: Any = None) -> Any:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 3:
            raise ArithmeticError("no third step")
        return super().step(closure)


def test_an_optimizer_of_ones_own() -> None:
    model, inputs, targets = make_model(optim_db[0])
    optimizer = Rooted(model.parameters())
    losses = train(model, optimizer, inputs, targets, 6)
    assert losses[-1] < losses[0]
    show(losses, optimizer.state_dict(), repr(optimizer))


def test_an_error_in_a_step_arrives_as_it_was() -> None:
    model, inputs, targets = make_model(optim_db[0])
    with pytest.raises(ArithmeticError, match="no third step") as raised:
        train(model, Stopping(model.parameters()), inputs, targets, 6)
    assert raised.value.__cause__ is raised.value.__context__ is None
    show(list(model.parameters()))


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda opt: lr_scheduler.StepLR(opt, 3, 0.5),
    "MultiStepLR": lambda opt: lr_scheduler.MultiStepLR(opt, [2, 5]),
    "LambdaLR": lambda opt: lr_scheduler.LambdaLR(opt, [lambda epoch: 0.9**epoch, lambda epoch: 1 / (1 + epoch)]),
    "MultiplicativeLR": lambda opt: lr_scheduler.MultiplicativeLR(opt, lambda _: 0.9),
    "ExponentialLR": lambda opt: lr_scheduler.ExponentialLR(opt, 0.9),
    "ConstantLR": lambda opt: lr_scheduler.ConstantLR(opt, 0.3, 4),
    "LinearLR": lambda opt: lr_scheduler.LinearLR(opt, 0.3, total_iters=4),
    "PolynomialLR": lambda opt: lr_scheduler.PolynomialLR(opt, 6, 2.0),
    "CosineAnnealingLR": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 5),
    "CosineAnnealingWarmRestarts": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 3, 2),
    "CyclicLR": lambda opt: lr_scheduler.CyclicLR(opt, 0.01, 0.1, 2),
    "OneCycleLR": lambda opt: lr_scheduler.OneCycleLR(opt, 0.2, 12),
    "SWALR": lambda opt: SWALR(opt, 0.05, 3),
    "SequentialLR": lambda opt: lr_scheduler.SequentialLR(
        opt, [lr_scheduler.ConstantLR(opt, 0.1, 3), lr_scheduler.ExponentialLR(opt, 0.9)], [3]
    ),
    "ChainedScheduler": lambda opt: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(opt, 0.1, 3), lr_scheduler.ExponentialLR(opt, 0.9)]
    ),
}


def two_groups() -> Any:
    torch.manual_seed(1)
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
    groups = [{"params": first.parameters(), "lr": 0.1}, {"params": second.parameters(), "lr": 0.5}]
    return torch.nn.Sequential(first, second), torch.optim.SGD(groups, momentum=0.9)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_gives_its_rates_and_goes_on_from_its_state(name: str) -> None:
    model, optimizer = two_groups()
    scheduler = SCHEDULERS[name](optimizer)
    rates = []
    for _ in range(10):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().mean().backward()
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr())
    _, other = two_groups()
    restored = SCHEDULERS[name](other)
    restored.load_state_dict(scheduler.state_dict())
    assert restored.last_epoch == scheduler.last_epoch == 10 if hasattr(scheduler, "last_epoch") else True
    show(rates, list(model.parameters()), sorted(vars(scheduler)), [list(vars(optimizer))])


def test_stepping_a_scheduler_first_warns_as_ever() -> None:
    _, optimizer = two_groups()
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_averaged_models_and_batch_statistics() -> None:
    torch.manual_seed(2)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    averages = [AveragedModel(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))]
    optimizer = torch.optim.AdamW(model.parameters())
    batches = [torch.randn(6, 3) for _ in range(4)]
    for batch in batches:
        optimizer.zero_grad()
        torch.nn.functional.l1_loss(model(batch), batch.sum(1, keepdim=True)).backward()
        optimizer.step()
        for average in averages:
            average.update_parameters(model)
    update_bn(batches, averages[0])
    show([average.state_dict() for average in averages])
