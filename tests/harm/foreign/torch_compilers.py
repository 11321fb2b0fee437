"""What takes a program's functions apart and puts them together anew: compilers, scripts, traces, exports."""

from __future__ import annotations

import copy
import io
from typing import Any, ClassVar

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from digest import show
from torch._dynamo.testing import CompileCounterWithBackend

# Scripts and traces go, says PyTorch.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BACKENDS = ("eager", "aot_eager")
LOSSES = ("cross_entropy", "mse_loss", "l1_loss", "binary_cross_entropy_with_logits", "smooth_l1_loss", "kl_div")


@pytest.fixture(autouse=True)
def _compile_anew() -> None:
    torch._dynamo.reset()


class Network(torch.nn.Module):
    """A network that can give its own loss, as those for language do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Linear(4, 6)
        self.second = torch.nn.Linear(6, 3)
        self.loss = torch.nn.CrossEntropyLoss()

    def forward(self, inputs: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        outputs = self.second(torch.tanh(self.first(inputs)))
        if classes is not None:
            return self.loss(outputs, classes)
        return outputs


def batch() -> tuple[Any, Any]:
    torch.manual_seed(1)
    return torch.randn(8, 4), torch.randint(0, 3, (8,))


def train(module: Any, parameters: Any = None, steps: int = 3) -> list[Any]:
    inputs, classes = batch()
    optimizer = torch.optim.SGD(parameters or module.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(inputs), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_compiled_network_is_trained(backend: str) -> None:
    module = Network()
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(module, backend=counter, fullgraph=True)
    losses = train(compiled, module.parameters())
    assert counter.frame_count == 1
    show(losses, counter.frame_count, counter.op_count, compiled.state_dict(), list(vars(module)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_function_inside_of_what_is_compiled(backend: str, name: str) -> None:
    counter = CompileCounterWithBackend(backend)
    torch.manual_seed(2)
    outputs = torch.randn(4, 3, requires_grad=True)
    targets = torch.softmax(torch.randn(4, 3), 1)

    @torch.compile(backend=counter, fullgraph=True)
    def loss_of(outputs: Any, targets: Any) -> Any:
        return getattr(F, name)(torch.log_softmax(outputs, 1), targets) * 2

    loss = loss_of(outputs, targets)
    loss.backward()
    assert counter.frame_count == 1
    show(loss, outputs.grad, counter.op_count)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_module_inside_of_what_is_compiled(backend: str) -> None:
    module, (inputs, classes) = Network(), batch()
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(module, backend=counter, fullgraph=True)
    optimizer = torch.optim.AdamW(module.parameters())
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(compiled(inputs, classes))
        losses[-1].backward()
        optimizer.step()
    assert counter.frame_count == 1
    show(losses, counter.op_count, module.state_dict())


def test_a_step_that_is_compiled_breaks_where_it_did() -> None:
    module, (inputs, classes) = Network(), batch()
    counter = CompileCounterWithBackend("eager")
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    @torch.compile(backend=counter)
    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(module(inputs), classes)
        loss.backward()
        optimizer.step()
        return loss

    losses = [step() for _ in range(3)]
    show(losses, module.state_dict(), counter.frame_count, counter.op_count)


def test_an_optimizers_step_that_is_compiled() -> None:
    module, (inputs, classes) = Network(), batch()
    counter = CompileCounterWithBackend("eager")
    optimizer = torch.optim.Adam(module.parameters(), lr=torch.tensor(0.01))
    step = torch.compile(optimizer.step, backend=counter)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(module(inputs), classes).backward()
        step()
    show(module.state_dict(), counter.frame_count, counter.op_count)


def test_a_compiled_function_is_compiled_again_for_what_it_was() -> None:
    counter = CompileCounterWithBackend("eager")
    loss_of = torch.compile(lambda one, two: F.mse_loss(one, two) * 2, backend=counter, dynamic=False)
    for rows in (2, 3, 2, 4):
        loss_of(torch.ones(rows, requires_grad=True), torch.zeros(rows)).backward()
    show(counter.frame_count, counter.op_count)


def test_what_is_compiled_explains_itself() -> None:
    module, (inputs, classes) = Network(), batch()

    def loss_of(inputs: Any, classes: Any) -> Any:
        return F.cross_entropy(module(inputs), classes)

    found = torch._dynamo.explain(loss_of)(inputs, classes)
    graph, guards = torch._dynamo.export(loss_of)(inputs, classes)
    show(found.graph_count, found.graph_break_count, found.op_count, graph.code, len(guards) > 0)


def test_loss_functions_are_scripted() -> None:
    @torch.jit.script
    def loss_of(outputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(outputs, classes) + torch.nn.functional.mse_loss(outputs, outputs * 2)

    outputs = batch()[0][:, :3].clone().requires_grad_()
    loss = loss_of(outputs, batch()[1])
    loss.backward()
    show(loss, outputs.grad, str(loss_of.graph).count("aten::"), loss_of.code)


def test_a_scripted_network_is_trained_saved_and_loaded() -> None:
    scripted = torch.jit.script(Network())
    losses = train(scripted)
    inputs, classes = batch()
    losses.append(scripted(inputs, classes))
    stored = io.BytesIO()
    torch.jit.save(scripted, stored)
    stored.seek(0)
    loaded = torch.jit.load(stored)
    torch.testing.assert_close(loaded(inputs), scripted(inputs), rtol=0, atol=0)
    show(losses, scripted.state_dict(), scripted.code, train(loaded))


def test_a_traced_network_is_trained() -> None:
    module, (inputs, classes) = Network(), batch()
    traced = torch.jit.trace(module, (inputs, classes))
    loss = traced(inputs, classes)
    loss.backward()
    show(loss, traced.code, [one.grad for one in module.parameters()])


@pytest.mark.parametrize("strict", [True, False])
def test_an_export_holds_the_loss(strict: bool) -> None:
    module, (inputs, classes) = Network(), batch()
    exported = torch.export.export(module, (inputs, classes), strict=strict)
    again = exported.module()(inputs, classes)
    torch.testing.assert_close(again, module(inputs, classes), rtol=0, atol=0)
    stored = io.BytesIO()
    torch.export.save(exported, stored)
    stored.seek(0)
    loaded = torch.export.load(stored).module()(inputs, classes)
    show(again, loaded, [node.name for node in exported.graph.nodes], str(exported.graph_signature))


def test_symbolic_traces() -> None:
    class Scored(torch.nn.Module):
        def forward(self, outputs: Any, targets: Any) -> Any:
            return F.mse_loss(outputs, targets) + F.cross_entropy(outputs, targets, label_smoothing=0.1)

    graph = torch.fx.symbolic_trace(Scored())
    outputs, targets = torch.randn(2, 3), torch.rand(2, 3)
    torch.testing.assert_close(graph(outputs, targets), Scored()(outputs, targets), rtol=0, atol=0)
    show(
        [(node.op, str(node.target).split(" at ")[0], len(node.args), dict(node.kwargs)) for node in graph.graph.nodes]
    )
    show(graph.code, copy.deepcopy(graph).code)


def test_graphs_of_operations() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    inputs, classes = batch()
    module = Network()
    params = dict(module.named_parameters())

    def slopes(params: Any, inputs: Any) -> Any:
        loss = F.cross_entropy(torch.func.functional_call(module, params, (inputs,)), classes)
        return torch.autograd.grad(loss, list(params.values()))

    graph = make_fx(slopes)(params, inputs)
    show(graph.code, graph(params, inputs))


def test_modes_that_see_every_operation() -> None:
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(getattr(function, "__name__", str(function)))
            return function(*args, **(kwargs or {}))

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(operation))
            return operation(*args, **(kwargs or {}))

    module = Network()
    with Functions(), Operations():
        losses = train(module, steps=2)
    show(seen, losses, module.state_dict())


class Counted(torch.Tensor):
    """A tensor of one's own, which sees what is done with it."""

    calls: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(function.__name__)
        return super().__torch_function__(function, types, args, kwargs or {})


def test_a_tensor_of_ones_own_sees_what_it_sees() -> None:
    Counted.calls.clear()
    module, (inputs, classes) = Network(), batch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loss = F.cross_entropy(module(inputs.as_subclass(Counted)), classes)
    loss.backward()
    optimizer.step()
    show(Counted.calls, type(loss).__name__, module.state_dict())


def test_meta_and_fake_tensors() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with torch.device("meta"):
        module = torch.nn.Linear(4, 3)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        F.cross_entropy(module(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long)).backward()
        optimizer.step()
    with FakeTensorMode():
        other = torch.nn.Linear(4, 3)
        optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
        loss = F.cross_entropy(other(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long))
        loss.backward()
        optimizer.step()
    show(str(module.weight.grad.device), type(loss).__name__, tuple(other.weight.grad.shape))
