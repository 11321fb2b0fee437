"""Where the run of a plain PyTorch loop begins and ends."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import autolog
from autolog.entities import RunStatus

torch = pytest.importorskip("torch")
F = torch.nn.functional

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def enabled(isolated):
    torch.manual_seed(7)
    autolog.enable(integrations=["torch", "sklearn"], strict=True)


def runs():
    autolog.flush(10)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def points(run, key):
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def make_data(rows=20):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, 4, generator=generator)
    return x, (x.sum(1) > 0).long()


def train(model, optimizer, steps=3):
    x, y = make_data()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def make(width=4):
    model = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Linear(width, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def losses_of(run):
    return [value for _, value in points(run, "loss")]


# -- in a process that goes on -----------------------------------------------------------------------------------------


def test_a_run_begins_with_the_first_step_and_not_before(enabled):
    model, _ = make()
    F.cross_entropy(model(make_data()[0]), make_data()[1]).backward()
    assert runs() == []


def test_a_run_ends_when_model_and_optimizer_are_gone_at_the_time_of_its_last_step(enabled):
    def inside():
        model, optimizer = make()
        return train(model, optimizer)

    losses = inside()
    gc.collect()
    (run,) = runs()
    assert run.info.status is RunStatus.FINISHED
    assert losses_of(run) == losses
    assert run.info.end_time - run.info.start_time < 10_000


def test_a_run_goes_on_while_the_model_is_there(enabled):
    def inside():
        model, optimizer = make()
        train(model, optimizer)
        return model

    model = inside()
    gc.collect()
    assert runs()[0].info.status is RunStatus.RUNNING
    del model
    gc.collect()
    assert runs()[0].info.status is RunStatus.FINISHED


def test_each_new_model_of_a_sweep_has_a_run_of_its_own(enabled):
    kept, losses = [], []
    for width in (3, 5, 7):
        model, optimizer = make(width)
        losses.append(train(model, optimizer))
        model.eval()
        kept.append((model, optimizer))
    autolog.end_run()
    found = runs()
    assert [losses_of(run) for run in found] == losses
    assert [run.info.status for run in found] == [RunStatus.FINISHED] * 3
    assert [run.data.params["total_params"] for run in found] == [str(width * 7 + 2) for width in (3, 5, 7)]
    assert [run.data.params["loss_function"] for run in found] == ["cross_entropy"] * 3


def test_the_first_losses_of_a_model_are_no_evaluation_of_the_one_before(enabled):
    first, optimizer = make()
    train(first, optimizer)
    first.eval()
    second, optimizer = make()
    with torch.no_grad():
        F.cross_entropy(second(make_data()[0]), make_data()[1])
    train(second, optimizer)
    autolog.end_run()
    assert ["val_loss" in run.data.metrics for run in runs()] == [False, False]


def test_a_second_phase_with_another_optimizer_goes_on_in_the_same_run(enabled):
    model, optimizer = make()
    losses = train(model, optimizer)
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    fine_tuning = torch.optim.Adam(model[1].parameters(), lr=0.01)
    later = train(model, fine_tuning)
    autolog.end_run()
    (run,) = runs()
    assert losses_of(run) == losses + later
    assert run.data.params["optimizer_name"] == "SGD"
    assert run.data.params["optimizer_2.optimizer_name"] == "Adam"
    assert points(run, "learning_rate") == [(0, 0.1), (3, 0.01)]


def test_training_a_model_again_after_its_run_has_ended_is_a_run_that_continues_it(enabled):
    model, optimizer = make()
    train(model, optimizer)
    autolog.end_run()
    train(model, optimizer)
    autolog.end_run()
    first, second = runs()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    assert second.data.params["loss_function"] == "cross_entropy"


def test_two_models_that_take_turns_from_the_beginning_are_one_run(enabled):
    (one, first), (other, second) = make(), make()
    x, y = make_data()
    expected = {"one_loss": [], "other_loss": []}
    for _ in range(3):
        one_loss = F.cross_entropy(one(x), y)
        first.zero_grad()
        one_loss.backward()
        first.step()
        other_loss = F.cross_entropy(other(x), y) + 1
        second.zero_grad()
        other_loss.backward()
        second.step()
        expected["one_loss"].append(one_loss.item())
        expected["other_loss"].append(other_loss.item())
    autolog.end_run()
    (run,) = runs()
    assert {name: [value for _, value in points(run, name)] for name in expected} == expected


def test_inside_the_users_run_the_loop_goes_into_it_and_the_users_params_stay(enabled):
    with autolog.start_run(run_name="mine") as mine:
        autolog.log_params({"lr": "whatever I say", "batch_size": 20})
        model, optimizer = make()
        losses = train(model, optimizer)
    (run,) = runs()
    assert run.info.run_id == mine.info.run_id
    assert run.info.run_name == "mine"
    assert run.info.status is RunStatus.FINISHED
    assert losses_of(run) == losses
    assert run.data.params["lr"] == "whatever I say"
    assert run.data.params["torch.lr"] == "0.1"


def test_a_second_loop_inside_the_users_run_is_a_child_of_it(enabled):
    with autolog.start_run() as mine:
        first = train(*(kept := make()))
        second = train(*(other := make()))
    found = runs()
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId") == mine.info.run_id]
    (own,) = [run for run in found if run.info.run_id == mine.info.run_id]
    assert (losses_of(own), [losses_of(child) for child in children]) == (first, [second])
    assert [child.info.status for child in children] == [RunStatus.FINISHED]
    assert kept
    assert other


def test_a_model_of_scikit_learn_has_its_own_run_amid_a_loop_and_after_it(enabled):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = make_data()
    model, optimizer = make()
    losses = []
    for _ in range(2):
        losses += train(model, optimizer)
        linear_model.LogisticRegression().fit(x.numpy(), y.numpy())
    autolog.end_run()
    loop, *fits = runs()
    assert losses_of(loop) == losses
    assert [run.info.run_name for run in fits] == ["LogisticRegression"] * 2
    assert all("mlflow.parentRunId" not in run.data.tags for run in fits)
    assert [run.data.tags["mlflow.autologging"] for run in (loop, *fits)] == ["torch", "sklearn", "sklearn"]


def test_threads_have_a_run_each(enabled):
    import threading

    losses, kept = {}, []

    def work(width):
        kept.append(make(width))
        losses[str(width * 7 + 2)] = train(*kept[-1])

    threads = [threading.Thread(target=work, args=(width,)) for width in (3, 5)]
    for thread in threads:
        thread.start()
        thread.join()
    kept.clear()
    gc.collect()
    assert {run.data.params["total_params"]: losses_of(run) for run in runs()} == losses


def test_disabling_ends_what_is_recorded_and_the_loop_goes_on_alone(enabled):
    model, optimizer = make()
    losses = train(model, optimizer)
    autolog.flush(10)
    autolog.disable()
    train(model, optimizer)
    autolog.end_run()
    (run,) = runs()
    assert losses_of(run) == losses


# -- at the end of a process -------------------------------------------------------------------------------------------

PROGRAM = """
import json, torch
import autolog
autolog.enable(strict=True)
F = torch.nn.functional
torch.manual_seed(7)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(20, 4), torch.randint(0, 2, (20,))
losses = []
def train(steps, fail_at=None):
    for step in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step == fail_at:
            print(json.dumps(losses), flush=True)
            raise ValueError("diverged")
"""


def run_program(text, folder):
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_run_ends_with_the_process(tmp_path):
    done = run_program(PROGRAM + "train(3)\nprint(json.dumps(losses))", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = runs()
    assert run.info.status is RunStatus.FINISHED
    assert losses_of(run) == json.loads(done.stdout)


def test_an_exception_that_ends_the_program_fails_the_run(tmp_path):
    done = run_program(PROGRAM + "train(5, fail_at=2)", tmp_path)
    assert done.returncode == 1
    assert "ValueError: diverged" in done.stderr
    (run,) = runs()
    assert run.info.status is RunStatus.FAILED
    assert run.data.tags["autolog.exception"] == "ValueError: diverged"
    assert losses_of(run) == json.loads(done.stdout)


def test_an_exception_that_the_program_catches_fails_nothing(tmp_path):
    done = run_program(PROGRAM + "try:\n    train(5, fail_at=2)\nexcept ValueError:\n    train(2)", tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = runs()
    assert run.info.status is RunStatus.FINISHED
    assert len(losses_of(run)) == 5


def test_steps_that_were_done_ten_milliseconds_before_a_kill_are_not_lost(tmp_path):
    text = PROGRAM + textwrap.dedent(
        """
        train(50)
        import time, os, signal
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert run_program(text, tmp_path).returncode == -9
    done = run_program("import autolog; from autolog import recovery; autolog.enable()", tmp_path)
    assert done.returncode == 0, done.stderr
    deadline = 50
    assert subprocess.run([sys.executable, "-m", "autolog", "sync"], check=False, capture_output=True).returncode == 0
    (run,) = runs()
    assert run.info.status is RunStatus.KILLED
    assert len(losses_of(run)) == deadline


# -- in a notebook -----------------------------------------------------------------------------------------------------

NOTEBOOK = """
import json
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def cell(text):
    shell.run_cell(text, store_history=True).raise_error()
cell('''
import torch, autolog
autolog.enable(strict=True)
x, y = torch.randn(20, 4), torch.randint(0, 2, (20,))
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
''')
training = '''
for _ in range(3):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
'''
cell(training)
cell('''
with torch.no_grad():
    model.eval()
    valid = torch.nn.functional.cross_entropy(model(x), y).item()
model.train()
autolog.log_metric("mine", 1.0)
''')
cell(training)
print(shell.user_ns["valid"])
"""


def test_a_cell_that_is_run_again_is_another_run(tmp_path):
    if importlib.util.find_spec("IPython") is None:
        pytest.skip("IPython is not installed")
    done = run_program(NOTEBOOK, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = runs()
    assert [len(losses_of(run)) for run in (first, second)] == [3, 3]
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    assert first.data.metrics["val_loss"] == pytest.approx(float(done.stdout.splitlines()[-1]))
    assert first.data.metrics["mine"] == 1.0
    assert second.data.params["loss_function"] == "cross_entropy"
