"""What PyTorch's documentation shows of gradients, function transforms, data loaders, scalers and closures."""

from __future__ import annotations

import gc
import random
import threading
import warnings
import weakref
from typing import Any

import numpy
import pytest
import torch
import torch.nn.functional as F
from digest import show
from torch.func import functional_call, grad, grad_and_value, hessian, jacrev, jvp, stack_module_state, vjp, vmap
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler, random_split


def network(width: int = 6) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Tanh(), torch.nn.Linear(width, 3))


def batch(rows: int = 8) -> tuple[Any, Any]:
    torch.manual_seed(1)
    return torch.randn(rows, 4), torch.randint(0, 3, (rows,))


class Rows(Dataset):
    """Draws its rows, as data that is augmented does."""

    def __init__(self, rows: int = 24) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Any:
        noise = torch.randn(4) + random.random() + numpy.random.rand()
        return noise + row, row % 3


class Stream(IterableDataset):
    """Has no length."""

    def __iter__(self) -> Any:
        for row in range(10):
            yield torch.full((4,), float(row)), row % 3


# -- gradients ---------------------------------------------------------------------------------------------------------


def test_gradients_of_gradients_in_a_training() -> None:
    module, (inputs, classes) = network(), batch()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        points = inputs.clone().requires_grad_()
        loss = F.cross_entropy(module(points), classes)
        (slopes,) = torch.autograd.grad(loss, points, create_graph=True)
        total = loss + 10 * slopes.norm(2, dim=1).sub(1).square().mean()
        total.backward()
        optimizer.step()
        losses.append(total.detach())
    show(losses, module.state_dict())


def test_gradients_are_what_differences_say() -> None:
    torch.manual_seed(2)
    inputs = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    target = torch.randn(3, 4, dtype=torch.double)
    for function in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        assert torch.autograd.gradcheck(lambda one, function=function: function(one, target), (inputs,))
    assert torch.autograd.gradgradcheck(lambda one: F.mse_loss(one, target), (inputs,))


def test_backward_twice_fails_as_ever() -> None:
    loss = F.cross_entropy(network()(batch()[0]), batch()[1])
    loss.backward()
    with pytest.raises(RuntimeError, match="second time") as raised:
        loss.backward()
    show(str(raised.value))


def test_a_graph_that_is_kept() -> None:
    module, (inputs, classes) = network(), batch()
    loss = F.cross_entropy(module(inputs), classes)
    loss.backward(retain_graph=True)
    loss.backward(gradient=torch.tensor(0.5), inputs=list(module.parameters())[:1])
    show([one.grad for one in module.parameters()])


def test_a_function_of_ones_own() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(inputs: Any) -> Any:
            return inputs**3

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * gradient

        @staticmethod
        def jvp(ctx: Any, tangent: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * tangent

        @staticmethod
        def vmap(info: Any, dims: Any, inputs: Any) -> Any:
            return inputs**3, dims[0]

    points = torch.tensor([1.0, 2.0], requires_grad=True)
    Cube.apply(points).sum().backward()
    show(points.grad, jvp(Cube.apply, (points,), (torch.ones(2),)), vmap(Cube.apply)(points))


def test_saved_tensors_are_packed_by_the_users_hooks() -> None:
    packed = []

    def pack(tensor: Any) -> Any:
        packed.append(tuple(tensor.shape))
        return tensor.numpy(force=True)

    module, (inputs, classes) = network(), batch()
    with torch.autograd.graph.saved_tensors_hooks(pack, torch.from_numpy):
        loss = F.cross_entropy(module(inputs), classes)
    loss.backward()
    show(packed, [one.grad for one in module.parameters()])


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_of_activations(reentrant: bool) -> None:
    module, (inputs, classes) = network(), batch()
    called = []
    module[0].register_forward_hook(lambda *_: called.append(1))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        hidden = checkpoint(module[:2], inputs.clone().requires_grad_(), use_reentrant=reentrant)
        F.cross_entropy(module[2](hidden), classes).backward()
        optimizer.step()
    show(len(called), module.state_dict())


def test_anomalies_are_found_as_ever() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly():
            wrong = torch.sqrt(torch.zeros(1, requires_grad=True) * -1).mul(0)
            with pytest.raises(RuntimeError, match="returned nan") as raised:
                wrong.backward()
    show(str(raised.value))


def test_modes_without_gradients() -> None:
    module, (inputs, classes) = network(), batch()
    seen = []
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            loss = F.cross_entropy(module.eval()(inputs), classes)
            seen.append((loss.requires_grad, loss.is_inference(), torch.is_grad_enabled(), float(loss)))
    with torch.inference_mode():
        loss = F.cross_entropy(module(inputs), classes)
    with pytest.raises(RuntimeError, match="does not require grad"):
        loss.backward()
    show(seen, module.training)


def test_nothing_of_a_past_step_is_kept() -> None:
    module, (inputs, classes) = network(), batch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    kept = []
    for _ in range(5):
        optimizer.zero_grad()
        outputs = module(inputs)
        loss = F.cross_entropy(outputs, classes)
        loss.backward()
        optimizer.step()
        kept += [weakref.ref(outputs), weakref.ref(loss)]
    del outputs, loss
    gc.collect()
    show([one() is None for one in kept])


# -- function transforms -----------------------------------------------------------------------------------------------


def test_transforms_of_a_loss() -> None:
    module, (inputs, classes) = network(), batch()
    params = {name: one.detach() for name, one in module.named_parameters()}

    def loss(params: Any, inputs: Any, classes: Any) -> Any:
        outputs = functional_call(module, params, (inputs[None],))
        return F.cross_entropy(outputs, classes[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(params, inputs, classes)
    gradients, values = vmap(grad_and_value(loss), in_dims=(None, 0, 0))(params, inputs, classes)
    _, tangent = jvp(lambda one: loss(params, one, classes[0]), (inputs[0],), (torch.ones(4),))
    _, pull = vjp(lambda one: loss(params, one, classes[0]), inputs[0])
    curvature = hessian(lambda one: loss(params, one, classes[0]))(inputs[0])
    show(each, gradients, values, tangent, pull(torch.ones(())), curvature)
    show(jacrev(lambda one: F.mse_loss(one, torch.zeros(4), reduction="none"))(inputs[0]))


def test_a_training_of_functions_alone() -> None:
    module, (inputs, classes) = network(), batch()
    params = {name: one.detach().clone() for name, one in module.named_parameters()}
    for _ in range(3):
        gradients = grad(lambda one: F.cross_entropy(functional_call(module, one, (inputs,)), classes))(params)
        params = {name: one - 0.1 * gradients[name] for name, one in params.items()}
    show(params)


def test_an_ensemble_of_models() -> None:
    modules = [network() for _ in range(3)]
    params, buffers = stack_module_state(modules)
    inputs, classes = batch()
    outputs = vmap(lambda one, two: functional_call(modules[0], (one, two), (inputs,)))(params, buffers)
    show(outputs, vmap(F.cross_entropy, in_dims=(0, None))(outputs, classes))


def test_steps_inside_of_a_step() -> None:
    module, (inputs, classes) = network(), batch()
    outer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(2):
        params = dict(module.named_parameters())
        for _ in range(2):
            loss = F.cross_entropy(functional_call(module, params, (inputs,)), classes)
            slopes = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            params = {name: one - 0.1 * slope for (name, one), slope in zip(params.items(), slopes, strict=True)}
        outer.zero_grad()
        F.cross_entropy(functional_call(module, params, (inputs,)), classes).backward()
        outer.step()
    show(module.state_dict())


# -- loops -------------------------------------------------------------------------------------------------------------


def test_gradients_that_are_gathered_clipped_and_scaled() -> None:
    module, (inputs, classes) = network(), batch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    norms = []
    for step in range(4):
        for part in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(module(inputs[part::2]), classes[part::2]) / 2
            scaler.scale(loss * (float("inf") if step == 2 else 1)).backward()
        scaler.unscale_(optimizer)
        norms.append(torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5))
        scaler.step(optimizer)
        scaler.update()
        torch.nn.utils.clip_grad_value_(module.parameters(), 0.1)
        optimizer.zero_grad()
    module(inputs * float("inf")).sum().backward()
    with pytest.raises(RuntimeError, match="non-finite"):
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0, error_if_nonfinite=True)
    show(norms, scaler.state_dict(), module.state_dict())


def test_a_closure_that_is_called_many_times() -> None:
    module, (inputs, classes) = network(), batch()
    optimizer = torch.optim.LBFGS(module.parameters(), lr=0.5, max_iter=5, line_search_fn="strong_wolfe")
    called = []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(module(inputs), classes)
        loss.backward()
        called.append(float(loss))
        return loss

    returned = [optimizer.step(closure) for _ in range(3)]
    show(called, returned, module.state_dict())


def test_two_networks_against_each_other() -> None:
    maker, judge = torch.nn.Linear(2, 4), torch.nn.Linear(4, 1)
    torch.manual_seed(3)
    optimizers = [torch.optim.Adam(one.parameters(), lr=0.01) for one in (maker, judge)]
    binary = torch.nn.BCEWithLogitsLoss()
    losses = []
    for _ in range(3):
        made = maker(torch.randn(8, 2))
        optimizers[1].zero_grad()
        judged = binary(judge(torch.randn(8, 4)), torch.ones(8, 1)) + binary(judge(made.detach()), torch.zeros(8, 1))
        judged.backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        fooled = binary(judge(made), torch.ones(8, 1))
        fooled.backward()
        optimizers[0].step()
        losses += [float(judged), float(fooled)]
    show(losses, maker.state_dict(), judge.state_dict(), torch.get_rng_state())


def test_trainings_in_threads() -> None:
    found: dict[int, Any] = {}

    def train(number: int) -> None:
        inputs = torch.full((4, 2), float(number))
        module = torch.nn.Linear(2, 1)
        torch.nn.init.constant_(module.weight, 0.1)
        torch.nn.init.zeros_(module.bias)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            F.mse_loss(module(inputs), torch.ones(4, 1)).backward()
            optimizer.step()
        found[number] = module.state_dict()

    threads = [threading.Thread(target=train, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    show(found)


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (1, "spawn")])
def test_loaders_give_the_batches_that_they_give(workers: int, start: str | None) -> None:
    random.seed(5)
    numpy.random.seed(5)
    torch.manual_seed(5)
    loader = DataLoader(
        Rows(),
        batch_size=5,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=start,
        generator=torch.Generator().manual_seed(6),
        worker_init_fn=seed_worker,
    )
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    seen = []
    for _ in range(1 if start == "spawn" else 2):
        for inputs, classes in loader:
            optimizer.zero_grad()
            F.cross_entropy(module(inputs), classes).backward()
            optimizer.step()
            seen.append(classes)
    show(seen, module.state_dict(), torch.get_rng_state(), len(loader), list(vars(loader)))


def seed_worker(number: int) -> None:
    random.seed(number)
    numpy.random.seed(number)


def test_other_loaders() -> None:
    torch.manual_seed(7)
    data = TensorDataset(*batch(20))
    parts = random_split(data, [12, 8])
    weighted = DataLoader(parts[0], batch_size=4, sampler=WeightedRandomSampler(torch.rand(12), 12), drop_last=True)
    collated = DataLoader(parts[1], batch_size=3, collate_fn=lambda rows: [one for one, _ in rows])
    seen = [list(weighted), list(collated), list(DataLoader(Stream(), batch_size=4)), next(iter(weighted))]
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Stream()))
    show(seen, torch.get_rng_state())


def test_an_error_of_the_data_arrives_as_it_was() -> None:
    class Broken(Rows):
        def __getitem__(self, row: int) -> Any:
            raise KeyError(row)

    for workers in (0, 1):
        with pytest.raises(KeyError) as raised:
            next(iter(DataLoader(Broken(), num_workers=workers)))
        show(type(raised.value).__name__, len(raised.value.args))


def test_a_loader_that_is_left_early_and_begun_anew() -> None:
    loader = DataLoader(TensorDataset(torch.arange(10)), batch_size=3)
    first = iter(loader)
    seen = [next(first), next(iter(loader)), next(first)]
    show(seen, [len(list(loader)) for _ in range(2)])
