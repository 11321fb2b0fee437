"""Every module that PyTorch tests, with the inputs that it tests it with; hooks, copies, scripts of modules."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from digest import show
from torch.nn.utils import parametrizations, parametrize, prune
from torch.testing._internal.common_modules import module_db

LOSSES = tuple(info for info in module_db if info.module_cls.__name__.endswith("Loss"))


def dtype_of(info: Any) -> Any:
    return torch.float32 if torch.float32 in info.dtypes else next(iter(info.dtypes))


def inputs_of(info: Any, training: bool) -> Iterator[Any]:
    torch.manual_seed(0)
    yield from info.module_inputs_func(info, device="cpu", dtype=dtype_of(info), requires_grad=True, training=training)


def make(info: Any, given: Any, training: bool) -> Any:
    torch.manual_seed(1)
    constructor = given.constructor_input
    return info.module_cls(*constructor.args, **constructor.kwargs).to(dtype_of(info)).train(training)


def fresh(value: Any) -> Any:
    """Return inputs with leaves of their own, since a test may change them."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: fresh(one) for key, one in value.items()}
    return type(value)(fresh(one) for one in value) if type(value) in {list, tuple} else value


def run(module: Any, given: Any) -> tuple[list[Any], list[Any]]:
    """Return what a module gives, and the gradients of its parameters and inputs."""
    torch.manual_seed(2)
    args, kwargs = fresh((given.forward_input.args, given.forward_input.kwargs))
    result = module(*args, **kwargs)
    results = [one for one in flatten(result) if isinstance(one, torch.Tensor)]
    differentiable = [one.real if one.is_complex() else one for one in results if one.requires_grad]
    if differentiable:
        sum(one.float().sum() for one in differentiable).backward()
    leaves = [one for one in flatten((args, kwargs)) if isinstance(one, torch.Tensor) and one.is_leaf]
    gradients = [one.grad for one in (*module.parameters(), *leaves) if one.grad is not None]
    return results, gradients


def flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from flatten(one)
    else:
        yield value


every_module = pytest.mark.parametrize(
    "info", module_db, ids=[f"{info.module_cls.__name__}-{number}" for number, info in enumerate(module_db)]
)


@every_module
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_forward_and_backward(info: Any, training: bool) -> None:
    for given in inputs_of(info, training):
        if given.forward_input is not None:
            module = make(info, given, training)
            results, gradients = run(module, given)
            show(results, gradients, module.state_dict())
            if given.reference_fn is not None:
                args, kwargs = fresh((given.forward_input.args, given.forward_input.kwargs))
                torch.manual_seed(2)
                given.reference_fn(module, *args, **kwargs)


@every_module
def test_copies_and_pickles(info: Any) -> None:
    given = next((one for one in inputs_of(info, training=True) if one.forward_input is not None), None)
    if given is None:
        pytest.skip("has no inputs")
    module = make(info, given, training=True)
    stored = io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    others = [copy.deepcopy(module), pickle.loads(pickle.dumps(module)), torch.load(stored, weights_only=False)]
    expected = run(module, given)
    for other in others:
        torch.testing.assert_close(run(other, given), expected, rtol=0, atol=0, equal_nan=True)
    show(expected, repr(module), [list(vars(one)) for one in module.modules()])


@every_module
def test_a_step_of_training(info: Any) -> None:
    given = next((one for one in inputs_of(info, training=True) if one.forward_input is not None), None)
    module = None if given is None else make(info, given, training=True)
    if module is None or not any(True for _ in module.parameters()):
        pytest.skip("has nothing to train")
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, foreach=False)
    for _ in range(2):
        optimizer.zero_grad()
        run(module, given)
        optimizer.step()
    show(module.state_dict(), optimizer.state_dict())


@pytest.mark.parametrize("info", LOSSES, ids=[f"{one.module_cls.__name__}-{place}" for place, one in enumerate(LOSSES)])
def test_a_loss_at_the_end_of_a_network(info: Any) -> None:
    for given in inputs_of(info, training=True):
        loss_function = make(info, given, training=True)
        outputs, *rest = given.forward_input.args
        rest = [one.detach() if isinstance(one, torch.Tensor) else one for one in rest]
        torch.manual_seed(3)
        scale = torch.nn.Parameter(torch.ones((), dtype=outputs.dtype))
        optimizer = torch.optim.Adam([scale], lr=0.01)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            first = outputs.detach() * scale
            loss = loss_function(
                first.clamp(1e-3, 1) if outputs.min() >= 0 else first, *rest, **given.forward_input.kwargs
            )
            loss.sum().backward()
            optimizer.step()
            losses.append(loss.detach())
        show(losses, scale, type(loss).__name__, str(loss.grad_fn)[:8])


@pytest.mark.parametrize(
    "info", [one for one in module_db if one.module_error_inputs_func], ids=lambda info: info.module_cls.__name__
)
def test_inputs_that_it_refuses(info: Any) -> None:
    torch.manual_seed(0)
    refused = info.module_error_inputs_func(
        info, device="cpu", dtype=dtype_of(info), requires_grad=False, training=True
    )
    for one in refused:
        given = one.module_error_input
        try:
            run(make(info, given, training=True), given)
        except one.error_type as error:
            show(str(error))


# -- hooks, and what takes modules apart -------------------------------------------------------------------------------


def network() -> Any:
    torch.manual_seed(4)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 3))


def train(module: Any, loss_function: Any = None, steps: int = 3) -> list[Any]:
    loss_function = loss_function or torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    torch.manual_seed(5)
    inputs, classes = torch.randn(8, 4), torch.randint(0, 3, (8,))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_function(module(inputs), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def test_hooks_of_modules_are_called_as_ever() -> None:
    module, called = network(), []
    handles = [
        module[0].register_forward_pre_hook(lambda one, args: called.append(("pre", len(args)))),
        module[0].register_forward_hook(lambda one, args, out: out * 2),
        module[3].register_forward_hook(
            lambda one, args, kwargs, out: called.append(("post", tuple(out.shape))), with_kwargs=True
        ),
        module[3].register_full_backward_pre_hook(lambda one, grads: called.append(("back", len(grads)))),
        module[3].register_full_backward_hook(lambda one, inner, outer: (inner[0] * 0.5,)),
        torch.nn.modules.module.register_module_forward_hook(lambda one, args, out: called.append(type(one).__name__)),
    ]
    losses = train(module)
    hooks = [
        len(one._forward_hooks) + len(one._forward_pre_hooks) + len(one._backward_hooks) for one in module.modules()
    ]
    for handle in handles:
        handle.remove()
    show(losses, called, hooks, module.state_dict())


def test_hooks_of_tensors_are_called_as_ever() -> None:
    module, called = network(), []
    weight = module[0].weight
    weight.register_hook(lambda grad: grad * 2)
    weight.register_post_accumulate_grad_hook(lambda one: called.append(float(one.grad.sum())))
    module[3].bias.register_hook(lambda grad: called.append(grad.shape))
    show(train(module), called, module.state_dict())


def test_an_optimizer_in_the_backward_pass() -> None:
    module = network()
    optimizers = {one: torch.optim.SGD([one], lr=0.1) for one in module.parameters()}

    def step(parameter: Any) -> None:
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in module.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    torch.manual_seed(6)
    for _ in range(3):
        torch.nn.functional.cross_entropy(module(torch.randn(8, 4)), torch.randint(0, 3, (8,))).backward()
    show(module.state_dict())


def test_parametrized_pruned_and_normed_modules() -> None:
    module = network()
    parametrizations.spectral_norm(module[0])
    parametrizations.weight_norm(module[3])
    losses = train(module)
    parametrize.remove_parametrizations(module[3], "weight")
    prune.l1_unstructured(module[3], "weight", 0.3)
    show(losses, train(module), module.state_dict())


def test_a_loss_function_of_ones_own() -> None:
    class Focal(torch.nn.CrossEntropyLoss):
        def forward(self, outputs: Any, targets: Any) -> Any:
            loss = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
            return ((1 - torch.exp(-loss)) ** 2 * loss).mean()

    module, loss_function = network(), Focal()
    losses = train(module, loss_function)
    assert copy.deepcopy(loss_function).__dict__.keys() == loss_function.__dict__.keys()
    show(losses, list(vars(loss_function)), pickle.dumps(torch.nn.CrossEntropyLoss()))


@pytest.mark.parametrize("strict", [True, False])
def test_states_that_do_not_fit(strict: bool) -> None:
    state = network().state_dict()
    state["extra"] = state.pop("0.weight")
    if strict:
        with pytest.raises(RuntimeError, match="Missing key") as raised:
            network().load_state_dict(state)
        show(str(raised.value))
    else:
        show(list(network().load_state_dict(state, strict=False)))


def test_functions_of_losses_are_the_objects_that_they_are() -> None:
    names = [name for name in dir(torch.nn.functional) if name.endswith(("loss", "entropy", "div"))]
    for name in names:
        function = getattr(torch.nn.functional, name)
        if function.__module__ == "torch.nn.functional":
            assert pickle.loads(pickle.dumps(function)) is function
            show(name, function.__name__, function.__doc__, function.__defaults__)
