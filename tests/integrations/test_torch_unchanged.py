"""Recording a plain PyTorch loop keeps nothing alive, leaves nothing behind, and stands in nobody's way."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import pytest

import autolog
from autolog.entities import RunStatus

torch = pytest.importorskip("torch")
F = torch.nn.functional

REPOSITORY = Path(__file__).parents[2]


def runs():
    autolog.flush(10)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def losses_of(run):
    return [point.value for point in autolog.get_metric_history(run.info.run_id, "loss")]


def make():
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def make_data(rows=24):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(rows, 4, generator=generator)
    return x, (x.sum(1) > 0).long()


def train(model, optimizer, steps=4, compute=F.cross_entropy):
    x, y = make_data()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = compute(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def run_script(text, folder):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


# -- memory ------------------------------------------------------------------------------------------------------------


def test_no_loss_of_a_past_step_is_kept(untraced):
    autolog.enable(integrations=["torch"], strict=True)
    model, optimizer = make()
    x, y = make_data()
    past = []
    for _ in range(50):
        optimizer.zero_grad()
        output = model(x)
        loss = F.cross_entropy(output, y) / 2
        loss.backward()
        optimizer.step()
        past += [weakref.ref(loss), weakref.ref(output)]
        del loss, output
        assert [one() for one in past] == [None] * len(past)
    model.eval()
    value = F.cross_entropy(model(x), y)
    past.append(weakref.ref(value))
    del value
    assert past[-1]() is None


def test_models_and_optimizers_go_when_the_program_lets_them_go(untraced):
    autolog.enable(integrations=["torch"], strict=True)
    model, optimizer = make()
    train(model, optimizer)
    gone = [weakref.ref(model), weakref.ref(optimizer), weakref.ref(model[0].weight)]
    del model, optimizer
    import gc

    gc.collect()
    assert [one() for one in gone] == [None] * 3


def test_a_hundred_thousand_steps_take_no_more_memory_than_some(tmp_path):
    done = run_script(
        """
        import gc, json, psutil, torch
        import autolog
        autolog.enable(strict=True)
        torch.set_num_threads(1)
        line = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(line.parameters(), lr=1e-3)
        x = torch.ones(1, 1)
        def descend(steps):
            for _ in range(steps):
                loss = line(x).sum()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            gc.collect()
            return psutil.Process().memory_info().rss, len(gc.get_objects())
        first, last = descend(20_000), descend(80_000)
        print(json.dumps([last[0] - first[0], last[1] - first[1]]))
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    bytes_more, objects_more = json.loads(done.stdout)
    assert bytes_more < 32 * 1024**2
    assert objects_more < 1000
    (run,) = runs()
    assert run.data.summaries["loss"].count == 100_000


# -- objects -----------------------------------------------------------------------------------------------------------


def test_models_optimizers_and_their_copies_bear_no_trace():
    model, optimizer = make()
    expected = train(model, optimizer)
    states = model.state_dict(), optimizer.state_dict()
    attributes = [set(vars(one)) for one in (model, optimizer)]
    autolog.enable(integrations=["torch"], strict=True)
    model, optimizer = make()
    assert train(model, optimizer) == expected
    assert b"autolog" not in pickle.dumps((model, optimizer))
    torch.testing.assert_close((model.state_dict(), optimizer.state_dict()), states, rtol=0, atol=0)
    assert [set(vars(one)) for one in (model, optimizer)] == attributes
    other = copy.deepcopy(model)
    again, optimizer_of_it = pickle.loads(pickle.dumps((model, optimizer)))
    assert set(vars(again)) == attributes[0]
    assert set(vars(optimizer_of_it)) <= attributes[1]
    assert all(torch.equal(one, two) for one, two in zip(other.parameters(), again.parameters(), strict=True))


def test_hooks_of_the_users_are_called_in_their_order():
    from torch.optim.optimizer import register_optimizer_step_post_hook

    called = []
    handle = register_optimizer_step_post_hook(lambda *_: called.append("after any step"))
    autolog.enable(integrations=["torch"], strict=True)
    model, optimizer = make()
    model.register_forward_hook(lambda *_: called.append("forward"))
    optimizer.register_step_pre_hook(lambda *_: called.append("before a step"))
    optimizer.register_step_post_hook(lambda *_: called.append("after a step"))
    try:
        train(model, optimizer, steps=1)
    finally:
        handle.remove()
    assert called == ["forward", "before a step", "after a step", "after any step"]


# -- compilers ---------------------------------------------------------------------------------------------------------


def squared_distance(logits, targets):
    return (logits.softmax(1) - F.one_hot(targets, 2)).square().sum(1).mean()


# The compiler looks at gradients of what is no leaf, with autolog or without.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_loss_function_that_was_followed_is_compiled_as_it_is():
    original = squared_distance.__code__
    model, optimizer = make()
    expected = train(model, optimizer, compute=squared_distance)
    autolog.enable(integrations=["torch"], strict=True)
    model, optimizer = make()
    assert train(model, optimizer, compute=squared_distance) == expected
    assert squared_distance.__code__ is not original
    torch._dynamo.reset()
    compiled = torch.compile(squared_distance, backend="eager", fullgraph=True)
    assert squared_distance.__code__ is original
    model, optimizer = make()
    assert train(model, optimizer, compute=compiled) == expected
    # And it is not followed again, since what was compiled would have to be compiled anew.
    model, optimizer = make()
    train(model, optimizer, compute=squared_distance)
    assert squared_distance.__code__ is original
    torch._dynamo.reset()
    autolog.end_run()
    assert [losses_of(run) for run in runs()] == [expected] * 3


def test_a_compiled_model_is_recorded_as_the_model_that_it_is():
    autolog.enable(integrations=["torch"], strict=True)
    model, _ = make()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.Adam(compiled.parameters(), lr=0.01)
    losses = train(compiled, optimizer)
    torch._dynamo.reset()
    autolog.end_run()
    (run,) = runs()
    assert run.info.run_name == "Sequential"
    assert losses_of(run) == losses
    assert run.data.params["torch_compile"] == "True"


@pytest.mark.filterwarnings("ignore")
def test_a_step_that_is_compiled_is_not_seen_and_not_disturbed():
    x, y = make_data()

    def descend(model, optimizer, step):
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            step()
            losses.append(loss.item())
        return losses

    model, optimizer = make()
    expected = descend(model, optimizer, optimizer.step)
    autolog.enable(integrations=["torch"], strict=True)
    torch._dynamo.reset()
    model, optimizer = make()
    assert descend(model, optimizer, torch.compile(optimizer.step, backend="eager")) == pytest.approx(expected)
    torch._dynamo.reset()
    assert runs() == []


# -- workers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_loader_record_nothing_and_end_cleanly(start, tmp_path):
    done = run_script(
        f"""
        import json, multiprocessing, torch
        import autolog
        autolog.enable(strict=True)
        class Rows(torch.utils.data.Dataset):
            def __len__(self):
                return 12
            def __getitem__(self, index):
                return torch.full((2,), float(index)), index % 2
        if __name__ == "__main__":
            torch.manual_seed(0)
            model = torch.nn.Linear(2, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            loader = torch.utils.data.DataLoader(Rows(), 4, num_workers=2, multiprocessing_context={start!r})
            losses = []
            for _ in range(2):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = torch.nn.functional.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.item())
            assert multiprocessing.active_children() == []
            print(json.dumps(losses))
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = runs()
    assert run.info.status is RunStatus.FINISHED
    assert losses_of(run) == json.loads(done.stdout)
    assert (run.data.params["num_workers"], run.data.params["epochs"]) == ("2", "2")
