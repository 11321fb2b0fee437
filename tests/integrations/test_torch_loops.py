"""Loops of plain PyTorch: what is recorded of them is what they have computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import autolog
from autolog.sources import digest_file

torch = pytest.importorskip("torch")
F = torch.nn.functional
DataLoader, TensorDataset = torch.utils.data.DataLoader, torch.utils.data.TensorDataset


@pytest.fixture(autouse=True)
def _enabled(isolated):
    torch.manual_seed(7)
    autolog.enable(integrations=["torch"], strict=True)


def runs():
    autolog.end_run()
    autolog.flush(10)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def only_run():
    (run,) = runs()
    return run


def points(run, key):
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def artifact(run, path):
    return Path(autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path)).read_text()


def numbered(values, first=0):
    return [(first + number, pytest.approx(value, rel=1e-6)) for number, value in enumerate(values)]


def make_data(rows=50, seed=3):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 4, generator=generator)
    return TensorDataset(x, (x.sum(1) > 0).long())


def make_model():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


def weighted_mean(pairs):
    return sum(value * rows for value, rows in pairs) / sum(rows for _, rows in pairs)


# -- epochs and evaluations --------------------------------------------------------------------------------------------


def test_a_loop_over_loaders_is_a_complete_run():
    train_set, val_set = make_data(50), make_data(30, seed=4)
    train_loader = DataLoader(train_set, batch_size=16, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=16)
    model, criterion = make_model(), torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    losses, train_means, val_means = [], [], []
    for _ in range(3):
        model.train()
        seen = []
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            seen.append((loss.item(), len(x)))
        losses += [value for value, _ in seen]
        train_means.append(weighted_mean(seen))
        model.eval()
        with torch.no_grad():
            val_means.append(weighted_mean([(criterion(model(x), y).item(), len(x)) for x, y in val_loader]))
    run = only_run()
    assert run.info.run_name == "Sequential"
    assert points(run, "loss") == numbered(losses)
    assert points(run, "train_loss") == numbered(train_means)
    assert points(run, "val_loss") == numbered(val_means)
    assert points(run, "learning_rate") == [(0, 0.01)]
    expected = {
        "optimizer_name": "AdamW",
        "lr": "0.01",
        "weight_decay": "0.1",
        "loss_function": "CrossEntropyLoss",
        "loss_label_smoothing": "0.1",
        "batch_size": "16",
        "num_workers": "0",
        "shuffle": "True",
        "drop_last": "False",
        "dataset_class": "TensorDataset",
        "dataset_size": "50",
        "model_class": "Sequential",
        "total_params": str(4 * 8 + 8 + 8 * 2 + 2),
        "trainable_params": str(4 * 8 + 8 + 8 * 2 + 2),
        "dtype": "float32",
        "device": "cpu",
        "seed": "7",
        "deterministic_algorithms": "False",
        "epochs": "3",
    }
    assert {key: run.data.params.get(key) for key in expected} == expected
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "train_set"
    assert json.loads(data.dataset.profile)["features_shape"] == [50, 4]
    summary = artifact(run, "model_summary.txt")
    assert "weight [8, 4], bias [8]" in summary
    assert f"Parameters: {4 * 8 + 8 + 8 * 2 + 2}" in summary


def validate(model, loader):
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for x, y in loader:
            total += F.cross_entropy(model(x), y, reduction="sum").item()
    model.train()
    return total / len(loader.dataset)


def test_validation_in_a_function_of_its_own_is_found_with_sums_as_means():
    train, held_out = DataLoader(make_data(), batch_size=25), DataLoader(make_data(30, seed=4), batch_size=16)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []
    for _ in range(2):
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        expected.append(validate(model, held_out))
    assert points(only_run(), "val_loss") == numbered(expected)


def test_validation_on_a_whole_tensor_needs_no_loader():
    train = DataLoader(make_data(), batch_size=25)
    x_val, y_val = make_data(30, seed=4).tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []
    for _ in range(2):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            expected.append(F.cross_entropy(model(x_val), y_val).item())
    run = only_run()
    assert points(run, "val_loss") == numbered(expected)
    assert run.data.params["epochs"] == "2"


def test_validation_amid_an_epoch_is_for_the_step_that_it_comes_before():
    train, held_out = DataLoader(make_data(), batch_size=10), DataLoader(make_data(30, seed=4), batch_size=16)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected, number = [], 0
    for _ in range(2):
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            number += 1
            if number % 3 == 0:
                expected.append((number, pytest.approx(validate(model, held_out), rel=1e-6)))
    run = only_run()
    # The last one comes at step 9, of ten.
    assert points(run, "val_loss_step") == expected
    assert run.data.params["epochs"] == "2"
    assert len(points(run, "train_loss")) == 2


def test_the_test_set_is_told_from_the_validation_set_by_its_name():
    train, val_loader = DataLoader(make_data(), batch_size=25), DataLoader(make_data(30, seed=4), batch_size=16)
    test_loader = DataLoader(make_data(20, seed=5), batch_size=16)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []
    for _ in range(2):
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        expected.append(validate(model, val_loader))
    tested = validate(model, test_loader)
    run = only_run()
    assert points(run, "val_loss") == numbered(expected)
    assert points(run, "test_loss") == [(1, pytest.approx(tested, rel=1e-6))]


def test_the_training_set_in_evaluation_mode_has_a_name_of_its_own():
    train_loader = DataLoader(make_data(), batch_size=25)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []
    for _ in range(2):
        for x, y in train_loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        expected.append(validate(model, train_loader))
    run = only_run()
    assert points(run, "train_eval_loss") == numbered(expected)
    assert run.data.params["epochs"] == "2"


def test_full_batches_without_a_loader_have_steps_and_no_epochs():
    x, y = make_data().tensors
    x_val, y_val = make_data(30, seed=4).tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, validations = [], []
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        with torch.no_grad():
            validations.append(F.cross_entropy(model(x_val), y_val).item())
    run = only_run()
    assert points(run, "loss") == numbered(losses)
    assert points(run, "val_loss") == numbered(validations)
    assert "epochs" not in run.data.params
    assert "train_loss" not in run.data.metrics


def test_batches_that_are_cut_by_hand_are_steps():
    x, y = make_data(48).tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        order = torch.randperm(48)
        for at in range(0, 48, 16):
            chosen = order[at : at + 16]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert points(only_run(), "loss") == numbered(losses)


# -- steps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_divided", [True, False])
def test_accumulated_gradients_are_one_point_a_step(is_divided):
    loader = DataLoader(make_data(48), batch_size=8)
    model, criterion = make_model(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    accumulate, expected, micro = 3, [], []
    for _ in range(2):
        for number, (x, y) in enumerate(loader):
            loss = criterion(model(x), y)
            micro.append(loss.item())
            if is_divided:
                loss = loss / accumulate
            loss.backward()
            if (number + 1) % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
                expected.append(sum(micro[-accumulate:]) / accumulate)
    run = only_run()
    assert points(run, "loss") == numbered(expected)
    assert points(run, "train_loss") == numbered([sum(micro[:6]) / 6, sum(micro[6:]) / 6])
    assert run.data.params["gradient_accumulation_steps"] == "3"
    assert run.data.params["loss_function"] == "CrossEntropyLoss"
    assert run.data.params["epochs"] == "2"


def test_norms_are_recorded_where_gradients_are_clipped():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = []
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5).item())
        optimizer.step()
    run = only_run()
    assert points(run, "gradient_norm") == numbered(norms)
    assert run.data.params["gradient_clip_norm"] == "0.5"


def test_a_step_has_nothing_of_the_next_one_where_it_has_no_loss_and_no_norm_itself():
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, norms = {}, {}
    for step in range(40):
        optimizer.zero_grad()
        loss = model(torch.ones(4, 3)).square()
        if step % 4 == 3:
            # Several numbers at the place where otherwise one is taken back.
            loss = loss.mean(0)
        else:
            loss = loss.mean()
            losses[step] = pytest.approx(loss.item(), rel=1e-6)
        loss.backward(gradient=torch.ones_like(loss))
        if step % 2:
            norms[step] = pytest.approx(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5).item(), rel=1e-6)
        optimizer.step()
    run = only_run()
    assert points(run, "loss") == list(losses.items())
    assert points(run, "gradient_norm") == list(norms.items())


def test_norms_are_not_computed_uninvited():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 0.25)
        optimizer.step()
    run = only_run()
    assert "gradient_norm" not in run.data.metrics
    assert run.data.params["gradient_clip_value"] == "0.25"


def test_mixed_precision_with_a_scaler_records_the_loss_as_it_was_before_scaling():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    run = only_run()
    assert points(run, "loss") == numbered(losses)
    params = run.data.params
    assert (params["amp"], params["amp_dtype"], params["grad_scaler"]) == ("True", "bfloat16", "True")


def test_a_step_that_the_scaler_leaves_out_is_counted_and_is_no_point():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    losses = []
    for number in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) * (float("inf") if number == 2 else 1.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    run = only_run()
    assert points(run, "loss") == numbered([losses[0], losses[1], losses[3]])
    assert run.data.params["skipped_steps"] == "1"


def test_lbfgs_records_the_loss_before_each_step_however_often_it_asks():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    asked = []

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        asked.append(loss.item())
        return loss

    losses = [optimizer.step(closure).item() for _ in range(3)]
    assert len(asked) > len(losses)
    run = only_run()
    assert points(run, "loss") == numbered(losses)
    assert run.data.params["optimizer_name"] == "LBFGS"
    assert run.data.params["line_search_fn"] == "strong_wolfe"


def test_groups_of_parameters_have_a_learning_rate_each():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters(), "weight_decay": 0.5}],
        lr=0.1,
    )
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    rates = []
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
        scheduler.step()
    run = only_run()
    for number in range(2):
        assert points(run, f"learning_rate_group_{number}") == [
            (step, pytest.approx(rates[step][number])) for step in (0, 2, 4)
        ]
    expected = {
        "lr": "0.01",
        "optimizer_groups": "2",
        "group_1.lr": "0.1",
        "group_1.weight_decay": "0.5",
        "scheduler_name": "StepLR",
        "scheduler_step_size": "2",
        "scheduler_gamma": "0.5",
    }
    assert {key: run.data.params.get(key) for key in expected} == expected


def test_a_rate_that_changes_with_every_step_has_as_many_points():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=30)
    rates = []
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    run = only_run()
    assert points(run, "learning_rate") == numbered(rates)
    assert run.data.params["scheduler_name"] == "OneCycleLR"


def test_a_rate_that_waits_for_a_plateau_is_recorded_where_it_falls():
    train = DataLoader(make_data(), batch_size=25)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    for _ in range(4):
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        scheduler.step(1.0)
    run = only_run()
    # The first bad epoch is the second one.
    assert points(run, "learning_rate") == [(0, 0.1), (4, pytest.approx(0.01)), (6, pytest.approx(0.001))]
    assert run.data.params["scheduler_name"] == "ReduceLROnPlateau"
    assert run.data.params["scheduler_factor"] == "0.1"


def test_several_losses_with_a_backward_pass_each_have_their_names():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    errors, penalties = [], []
    for _ in range(3):
        optimizer.zero_grad()
        error = F.cross_entropy(model(x), y)
        error.backward()
        penalty = 0.01 * sum(one.square().sum() for one in model.parameters())
        penalty.backward()
        optimizer.step()
        errors.append(error.item())
        penalties.append(penalty.item())
    run = only_run()
    assert points(run, "error") == numbered(errors)
    assert points(run, "penalty") == numbered(penalties)


def test_a_loss_that_is_a_sum_is_recorded_as_it_is_trained_for():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    totals = []
    for _ in range(3):
        optimizer.zero_grad()
        total = F.cross_entropy(model(x), y) + 0.01 * model[0].weight.abs().sum()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert points(only_run(), "loss") == numbered(totals)


# -- losses of one's own -----------------------------------------------------------------------------------------------


def focal_loss(logits, targets, gamma=2.0):
    chosen = torch.log_softmax(logits, 1)[torch.arange(len(targets)), targets]
    return -((1 - chosen.exp()) ** gamma * chosen).mean()


class FocalLoss(torch.nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma

    def forward(self, logits, targets):
        return focal_loss(logits, targets, self.gamma)


@pytest.mark.parametrize("kind", ["function", "module"])
def test_a_loss_of_ones_own_is_followed_into_validation(kind):
    train, held_out = DataLoader(make_data(), batch_size=25), DataLoader(make_data(30, seed=4), batch_size=16)
    model, compute = make_model(), focal_loss if kind == "function" else FocalLoss(1.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, means = [], []
    for _ in range(2):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss = compute(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            means.append(weighted_mean([(compute(model(x), y).item(), len(x)) for x, y in held_out]))
    run = only_run()
    assert points(run, "loss") == numbered(losses)
    assert points(run, "val_loss") == numbered(means)
    assert run.data.params["loss_function"] in {"focal_loss", "FocalLoss"}


class WithLoss(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = make_model()

    def forward(self, x, targets=None):
        logits = self.body(x)
        return logits, None if targets is None else F.cross_entropy(logits, targets)


def test_a_model_that_computes_its_loss_itself_is_followed_into_validation():
    train, held_out = DataLoader(make_data(), batch_size=25), DataLoader(make_data(30, seed=4), batch_size=16)
    model = WithLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, means = [], []
    for _ in range(2):
        model.train()
        for x, y in train:
            _, loss = model(x, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            means.append(weighted_mean([(model(x, y)[1].item(), len(x)) for x, y in held_out]))
    run = only_run()
    assert run.info.run_name == "WithLoss"
    assert points(run, "loss") == numbered(losses)
    assert points(run, "val_loss") == numbered(means)


# -- beside the loop ---------------------------------------------------------------------------------------------------


def test_files_that_are_saved_are_noted_with_their_digests(tmp_path):
    train = DataLoader(make_data(), batch_size=25)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(2):
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        torch.save({"model": model.state_dict(), "epoch": epoch}, tmp_path / f"epoch-{epoch}.pt")
    noted = json.loads(artifact(only_run(), "checkpoints.json"))
    assert [(one["step"], one["epoch"]) for one in noted] == [(2, 1), (4, 2)]
    for epoch, one in enumerate(noted):
        path = tmp_path / f"epoch-{epoch}.pt"
        assert one["path"] == str(path)
        assert one["size"] == path.stat().st_size
        assert one["digest"] == digest_file(str(path))


def test_what_the_program_logs_in_the_loop_is_in_the_loops_run():
    x, y = make_data().tensors
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for number in range(3):
        optimizer.zero_grad()
        logits = model(x)
        F.cross_entropy(logits, y).backward()
        optimizer.step()
        autolog.log_metric("accuracy", (logits.argmax(1) == y).float().mean().item(), step=number)
    autolog.log_param("purpose", "test")
    run = only_run()
    assert len(points(run, "accuracy")) == 3
    assert run.data.params["purpose"] == "test"
    assert len(points(run, "loss")) == 3
