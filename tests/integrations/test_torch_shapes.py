"""Well-known shapes of training in plain PyTorch: each example is recorded as it computes, and computes as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import autolog
from autolog.entities import RunStatus
from autolog.sources import digest_file

pytest.importorskip("torch")
pytest.importorskip("sklearn")

REPOSITORY = Path(__file__).parents[2]

# Runs an example as if it had no line of autolog's, then as it is. What a first run imports may draw random numbers.
DRIVER = """
import contextlib, io, json, random, runpy, sys
import numpy, torch
import autolog
from autolog.values import is_plain

path, names = sys.argv[1], sys.argv[2:]

def run():
    torch.manual_seed(1)
    random.seed(1)
    numpy.random.seed(1)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        made = runpy.run_path(path, run_name="__main__")
    weights = {name: [one.double().sum().item() for one in module.state_dict().values()]
               for name, module in made.items() if isinstance(module, torch.nn.Module)}
    states = [torch.get_rng_state().sum().item(), random.random(), numpy.random.rand()]
    return made, {name: made[name] for name in names} | {"said": said.getvalue(), "weights": weights, "states": states}

kept = autolog.enable, autolog.log_metric
autolog.enable = autolog.log_metric = lambda *args, **kwargs: None
run()
plain = run()[1]
autolog.enable, autolog.log_metric = kept
# Until the process ends, as the names of a script would be.
made, truth = run()
print(json.dumps({"same": json.dumps(plain) == json.dumps(truth), **truth}))
"""


def train(folder, example, *names):
    """Run an example; return what it has computed, by itself and by what stands under names, and its run."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(REPOSITORY / "examples" / example), *names],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    truth = SimpleNamespace(**json.loads(done.stdout))
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status is RunStatus.FINISHED
    assert truth.same, "what is recorded computes something else than what is not"
    return truth, run


def points(run, key):
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def numbered(values):
    return [(number, pytest.approx(value, rel=1e-6)) for number, value in enumerate(values)]


def params(run, *names):
    return [run.data.params.get(name) for name in names]


def test_a_perceptron(tmp_path):
    names = ("losses", "norms", "rates", "train_losses", "val_losses", "test_loss")
    truth, run = train(tmp_path, "pytorch_mlp.py", *names)
    assert run.info.run_name == "Sequential"
    assert points(run, "loss") == numbered(truth.losses)
    assert points(run, "gradient_norm") == numbered(truth.norms)
    assert points(run, "train_loss") == numbered(truth.train_losses)
    assert points(run, "val_loss") == numbered(truth.val_losses)
    assert points(run, "test_loss") == [(4, pytest.approx(truth.test_loss, rel=1e-6))]
    assert points(run, "learning_rate") == [(0, truth.rates[0]), (40, truth.rates[2]), (80, truth.rates[4])]
    assert params(run, "optimizer_name", "scheduler_name", "loss_function") == ["AdamW", "StepLR", "CrossEntropyLoss"]
    assert params(run, "loss_label_smoothing", "gradient_clip_norm", "epochs") == ["0.05", "1.0", "5"]
    assert params(run, "batch_size", "dataset_size", "shuffle", "seed") == ["64", "1258", "True", "0"]
    assert params(run, "total_params") == [str(64 * 32 + 32 + 32 * 10 + 10)]
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["train_set"]
    assert {"samples_per_second", "steps_per_second"} <= set(run.data.metrics)


def test_a_convolutional_network(tmp_path):
    truth, run = train(tmp_path, "pytorch_cnn.py", "losses", "rates", "val_losses", "accuracies", "saved")
    assert run.info.run_name == "Net"
    assert points(run, "loss") == numbered(truth.losses)
    assert points(run, "learning_rate") == numbered(truth.rates)
    assert points(run, "val_loss") == numbered(truth.val_losses)
    assert points(run, "val_accuracy") == numbered(truth.accuracies)
    assert points(run, "train_loss") == numbered([sum(truth.losses[at : at + 15]) / 15 for at in (0, 15, 30)])
    assert params(run, "amp", "amp_dtype", "grad_scaler") == ["True", "bfloat16", "True"]
    assert params(run, "gradient_accumulation_steps", "epochs") == ["2", "3"]
    assert params(run, "optimizer_name", "nesterov", "scheduler_name") == ["SGD", "True", "OneCycleLR"]
    assert params(run, "dataset_class", "dataset_size", "loss_function") == ["Digits", "1200", "cross_entropy"]
    listed = Path(autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="checkpoints.json"))
    checkpoints = json.loads(listed.read_text())
    assert [(one["epoch"], one["step"]) for one in checkpoints] == [
        (epoch + 1, 15 * (epoch + 1)) for epoch in truth.saved
    ]
    assert checkpoints[-1]["path"] == str(tmp_path / "best.pt")
    assert checkpoints[-1]["digest"] == digest_file(str(tmp_path / "best.pt"))


def test_a_transformer(tmp_path):
    truth, run = train(tmp_path, "pytorch_transformer.py", "losses", "estimates")
    assert run.info.run_name == "CharacterTransformer"
    assert points(run, "loss") == numbered(truth.losses)
    at = [19, 39, 59]
    for name, split in (("val_loss", "val"), ("train_eval_loss", "train")):
        expected = [(step, pytest.approx(one[split], rel=1e-6)) for step, one in zip(at, truth.estimates, strict=True)]
        assert points(run, name) == expected
    assert [len(points(run, f"learning_rate_group_{number}")) for number in (0, 1)] == [60, 60]
    assert params(run, "weight_decay", "group_1.weight_decay", "optimizer_groups") == ["0.1", "0.0", "2"]
    assert params(run, "loss_function", "scheduler_T_max", "epochs") == ["cross_entropy", "60", None]


def test_a_variational_autoencoder(tmp_path):
    truth, run = train(tmp_path, "pytorch_vae.py", "losses", "test_losses")
    assert run.info.run_name == "VAE"
    assert points(run, "loss") == numbered(truth.losses)
    assert points(run, "train_loss") == numbered([sum(truth.losses[at : at + 14]) / 14 for at in range(0, 56, 14)])
    assert points(run, "test_loss") == numbered(truth.test_losses)
    assert params(run, "loss_function", "epochs", "dataset_size") == ["loss_function", "4", "1400"]


def test_a_generative_adversarial_network(tmp_path):
    truth, run = train(tmp_path, "pytorch_gan.py", "history")
    assert sorted(truth.history) == ["errD_fake", "errD_real", "errG"]
    for name, values in truth.history.items():
        assert points(run, name) == numbered(values)
        means = [sum(values[at : at + 10]) / 10 for at in range(0, 30, 10)]
        assert points(run, f"train_{name}") == numbered(means)
    assert points(run, "learning_rate_optimizerD") == [(0, 0.002)]
    assert points(run, "learning_rate_optimizerG") == [(0, 0.001)]
    assert params(run, "lr", "optimizerG.lr", "epochs", "loss_function") == ["0.002", "0.001", "3", "BCELoss"]
    assert params(run, "total_params", "optimizerG.total_params") == ["512", "2336"]


def test_q_learning_from_a_replay_memory(tmp_path):
    truth, run = train(tmp_path, "pytorch_dqn.py", "losses", "returns")
    assert run.info.run_name == "DQN"
    assert points(run, "loss") == numbered(truth.losses)
    assert [value for _, value in points(run, "return")] == pytest.approx(truth.returns[1:])
    assert params(run, "loss_function", "gradient_clip_value", "amsgrad") == ["SmoothL1Loss", "100", "True"]
    assert "epochs" not in run.data.params
    assert "val_loss" not in run.data.metrics
