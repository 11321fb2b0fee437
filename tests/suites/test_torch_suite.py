"""The PyTorch integration keeps the promises of the suite, as far as they are about loops: no call is one."""

from __future__ import annotations

import json

import pytest

from autolog.entities import RunStatus
from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("torch")

# Of what trains nothing is left when the function has returned, so that the run has ended.
IMPORTS = """
import torch
def descend(fails=False):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(8, 3, generator=generator)
    model = torch.nn.Linear(3, 1)
    model.weight.data.fill_(0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs), batch_size=4)
    for epoch in range(2):
        for (x,) in loader:
            if fails and epoch == 1:
                raise ValueError("no more")
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
            loss.backward()
            optimizer.step()
torch.manual_seed(5)
"""


class TestTorch(IntegrationSuite):
    integration = "torch"
    imports = IMPORTS
    training = "descend()"
    failing = "descend(fails=True)"
    patched = (
        "torch.autograd.backward",
        "torch.nn.functional.mse_loss",
        "torch.nn.functional.cross_entropy",
        "torch.nn.Module.eval",
        "torch.optim.Optimizer.__init__",
        "torch.optim.lr_scheduler.LRScheduler.__init__",
        "torch.amp.GradScaler.scale",
        "torch.nn.utils.clip_grad_norm_",
        "torch.utils.data.DataLoader.__iter__",
        "torch.save",
    )

    def test_a_bug_in_a_hook_is_one_log_line_and_the_training_goes_on(self) -> None:
        done = self.run_program(
            f"""
import autolog
autolog.enable()
{self.imports}
from autolog.integrations import torch_losses, torch_passes, torch_steps
def broken(*_):
    raise RuntimeError("a bug of ours")
torch_losses.find_origin = torch_steps.find_model = torch_passes._rows_of = broken
{self.training}
{self.training}
"""
        )
        lines = [line for line in done.stderr.splitlines() if "a bug of ours" in line]
        # Each place says so once.
        assert len(lines) == len(set(lines)) == 3
        assert "your code is not affected" in done.stderr
        assert "Traceback" not in done.stderr

    # Of the suite's test the end is another: the program catches the exception, and nobody can tell a loop that is over
    # from one that an exception has ended. One that ends the program does fail the run: ``test_torch_runs``.
    def test_a_users_exception_arrives_as_it_was_and_the_run_has_failed(self) -> None:
        program = f"""
{self.imports}
import json, traceback
try:
    {self.failing}
except Exception as error:
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__) if "autolog" not in str(frame)]
    print(json.dumps([type(error).__name__, str(error), repr(error.__context__), repr(error.__cause__), frames]))
"""
        plain = json.loads(self.run_program(program).stdout)
        recorded = json.loads(self.run_program(f"import autolog; autolog.enable(strict=True)\n{program}").stdout)
        assert recorded == plain
        (run,) = self.recorded()
        assert run.info.status is RunStatus.FINISHED
