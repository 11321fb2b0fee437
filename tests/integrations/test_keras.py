"""What Keras trainings leave in the store on each backend, and that they are what they are without autolog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("keras")

from keras_recorded import Recorded, run_scenarios

from autolog.entities import RunStatus


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Recorded]]:
    found: dict[str, Recorded] = {}

    def of_backend(backend: str) -> Recorded:
        pytest.importorskip(backend)
        if backend not in found:
            found[backend] = Recorded(tmp_path_factory.mktemp(backend), backend)
        return found[backend]

    yield of_backend
    for one in found.values():
        one.reader.close()


@pytest.fixture(scope="module", params=["tensorflow", "torch", "jax"])
def recorded(request: pytest.FixtureRequest, record: Callable[[str], Recorded]) -> Recorded:
    """The scenarios on each backend."""
    return record(request.param)


@pytest.fixture(scope="module")
def recorded_once(record: Callable[[str], Recorded]) -> Recorded:
    """Those that are the same on every backend."""
    return record("torch")


# -- nothing changes ---------------------------------------------------------------------------------------------------


def test_everything_is_as_without_autolog(recorded: Recorded, tmp_path: Path) -> None:
    plain = run_scenarios(tmp_path, recorded.backend, "plain")
    of_autolog = {"runs", "streamed", "path"}
    for name, found in plain.items():
        observed = {key: value for key, value in found["observed"].items() if key not in of_autolog}
        assert {key: recorded.seen(name)[key] for key in observed} == observed, name
    assert plain.keys() == recorded.scenarios.keys()


# -- fit ---------------------------------------------------------------------------------------------------------------


def test_every_value_of_the_history_is_a_point_at_its_epoch(recorded: Recorded) -> None:
    for name in ("functional", "scheduled", "subclassed"):
        history = recorded.seen(name)["history"]
        assert history
        for key, values in history.items():
            assert recorded.series(recorded.run(name), key) == list(enumerate(values)), (name, key)


def test_a_history_that_callbacks_add_to_and_one_of_several_outputs_is_recorded_whole(recorded_once: Recorded) -> None:
    for name in ("users_fit", "users_callback", "several_inputs_and_outputs"):
        history = recorded_once.seen(name)["history"]
        for key, values in history.items():
            assert recorded_once.series(recorded_once.run(name), key) == list(enumerate(values)), (name, key)
    assert recorded_once.values(recorded_once.run("users_callback"), "added") == [0.0, 2.0]


def test_a_run_has_the_arguments_and_what_the_model_was_compiled_with(recorded: Recorded) -> None:
    run = recorded.run("functional")
    params = run.data.params
    assert run.info.run_name == "digits"
    assert run.info.status is RunStatus.FINISHED
    assert (params["epochs"], params["batch_size"], params["initial_epoch"], params["shuffle"]) == (
        "9",
        "16",
        "0",
        "True",
    )
    assert params["loss"] == "sparse_categorical_crossentropy"
    assert params["metrics"] == "['accuracy']"
    assert params["backend"] == recorded.backend
    assert params["dtype_policy"] == "float32"
    # (4 + 1) · 8 of the hidden layer, (8 + 1) · 2 of the last.
    assert recorded.seen("functional")["counts"][0] == 58
    assert (params["total_params"], params["trainable_params"], params["non_trainable_params"]) == ("58", "58", "0")
    assert not {"x", "y", "verbose", "validation_data"} & params.keys()


def test_an_optimizer_has_the_params_that_its_config_has(recorded: Recorded) -> None:
    params = recorded.run("functional").data.params
    config = recorded.seen("functional")["config"]
    # The rate is what it was at the beginning, written as the user would.
    assert params["optimizer_learning_rate"] == "0.001"
    assert params["optimizer"] == "Adam"
    for key in config.keys() - {"learning_rate"}:
        assert params[f"optimizer_{key}"] == config[key]


def test_callbacks_settings_are_params(recorded: Recorded) -> None:
    params = recorded.run("functional").data.params
    assert params["callbacks"] == str(recorded.seen("functional")["told"])
    assert params["monitor"] == "val_loss"
    assert (params["patience"], params["baseline"], params["restore_best_weights"]) == ("2", "None", "True")
    assert (params["ReduceLROnPlateau.factor"], params["ReduceLROnPlateau.patience"]) == ("0.5", "1")
    assert params["ModelCheckpoint.filepath"] == recorded.seen("functional")["path"]
    assert params["ModelCheckpoint.save_best_only"] == "True"


def test_early_stopping_tells_where_it_stopped_and_what_it_restored(recorded: Recorded) -> None:
    run, seen = recorded.run("functional"), recorded.seen("functional")
    assert seen["stopped"] > 0
    metrics = run.data.metrics
    assert metrics["stopped_epoch"] == seen["stopped"] == len(seen["epochs"]) - 1
    assert [metrics["restored_epoch"], metrics["best_val_loss"]] == seen["best"]


def test_the_best_checkpoint_has_its_path_and_its_epoch(recorded: Recorded) -> None:
    run, seen = recorded.run("functional"), recorded.seen("functional")
    losses = seen["history"]["val_loss"]
    assert run.data.tags["autolog.checkpoint.path"] == seen["path"]
    assert run.data.tags["autolog.checkpoint.epoch"] == str(losses.index(min(losses)))


def test_the_learning_rate_of_an_epoch_is_the_one_before_a_callback_lowers_it(recorded: Recorded) -> None:
    rates = recorded.values(recorded.run("functional"), "learning_rate")
    assert rates == pytest.approx([0.001, 0.001, 0.0005][: len(rates)])
    assert len(rates) == 3


def test_a_schedule_is_evaluated_for_every_epoch(recorded: Recorded) -> None:
    run = recorded.run("scheduled")
    # Three batches an epoch; half of it after every second one.
    rates = [0.1 * 0.5 ** (batches // 2) for batches in (3, 6, 9)]
    assert recorded.values(run, "learning_rate") == pytest.approx(rates)
    assert run.data.params["optimizer_learning_rate"].startswith("ExponentialDecay(initial_learning_rate=0.1, ")
    assert run.data.params["optimizer_momentum"] == "0.9"


def test_a_schedule_of_the_users_own_is_not_called(recorded_once: Recorded) -> None:
    run = recorded_once.run("users_schedule")
    assert "Rates" in run.data.params["optimizer_learning_rate"]
    assert "learning_rate" not in run.data.metrics


def test_a_models_layers_are_a_table(recorded: Recorded) -> None:
    summary = recorded.artifact(recorded.run("functional"), "model_summary.txt")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in summary.splitlines() if line.strip()}
    assert lines["hidden"] == "(Dense) (None, 8) 40 features"
    assert lines["classes"] == "(Dense) (None, 2) 18 dropout"
    assert "total params: 58" in summary


def test_a_models_architecture_is_what_keras_writes_less_the_compilation(recorded: Recorded) -> None:
    if "tensorflow" not in recorded.seen("functional")["imported"]:
        # Keras imports it to write an architecture down, if it is there; autolog does not have it do so.
        assert recorded.backend != "tensorflow"
        return
    stored = json.loads(recorded.artifact(recorded.run("functional"), "model_architecture.json"))
    written = json.loads(recorded.seen("functional")["json"])
    assert stored["config"] == written["config"]
    assert stored["class_name"] == written["class_name"] == "Functional"


def test_a_subclassed_model_has_a_summary_and_no_architecture(recorded: Recorded) -> None:
    run = recorded.run("subclassed")
    assert run.info.run_name == "twins"
    assert "total params: 58" in recorded.artifact(run, "model_summary.txt")
    assert not list((recorded.folder / "runs").glob(f"**/{run.info.run_id}/artifacts/model_architecture.json"))
    assert run.data.params["class_weight"] == "{0: 1.0, 1: 2.0}"
    assert run.data.params["loss"].startswith("SparseCategoricalCrossentropy(")


def test_a_fit_of_the_users_own_is_one_run_with_the_arguments_of_keras(recorded_once: Recorded) -> None:
    run = recorded_once.run("users_fit")
    assert run.data.params["epochs"] == "3"
    assert run.data.params["batch_size"] == "32"
    assert run.data.tags["estimator_name"] == "Tripled"
    assert "autolog.continued_from" not in run.data.tags


def test_each_optimizer_of_a_model_has_its_params_and_its_rate(recorded_once: Recorded) -> None:
    run = recorded_once.run("several_optimizers")
    assert run.data.params["one_optimizer"] == "Adam"
    assert run.data.params["other_optimizer_learning_rate"] == "0.5"
    assert recorded_once.values(run, "one_optimizer_learning_rate") == [0.25, 0.25]
    assert recorded_once.values(run, "one_loss") == recorded_once.seen("several_optimizers")["history"]["one_loss"]


def test_a_fit_inside_a_callback_is_kept_apart_in_the_same_run(recorded_once: Recorded) -> None:
    run, seen = recorded_once.run("in_a_callback"), recorded_once.seen("in_a_callback")
    assert run.info.run_name == "outer"
    assert recorded_once.values(run, "loss") == seen["history"]["loss"]
    assert recorded_once.values(run, "fit_2.loss") == seen["trained"]


def test_a_fit_that_fails_is_a_failed_run_with_the_epochs_before(recorded_once: Recorded) -> None:
    run = recorded_once.run("failing")
    assert run.info.status is RunStatus.FAILED
    assert run.data.tags["autolog.exception"] == "ZeroDivisionError: it went wrong"
    assert len(recorded_once.values(run, "loss")) == 1
    assert recorded_once.run("not_compiled").info.status is RunStatus.FAILED


# -- which run ---------------------------------------------------------------------------------------------------------


def test_a_fit_that_begins_with_the_next_epoch_goes_on_in_the_same_run(recorded: Recorded) -> None:
    seen = recorded.seen("continued")
    first, second, third = seen["runs"]
    assert first == second != third
    losses = [*seen["histories"][0], *seen["histories"][1]]
    assert recorded.series(first, "loss") == list(enumerate(losses))
    params = recorded.runs[first].data.params
    assert (params["epochs"], params["fit_2.epochs"], params["fit_2.initial_epoch"]) == ("2", "5", "2")
    assert params["fit_2.batch_size"] == "16"
    assert recorded.runs[first].info.status is RunStatus.FINISHED


def test_any_other_fit_of_the_model_is_a_run_that_names_the_one_before(recorded: Recorded) -> None:
    first, _, third = recorded.seen("continued")["runs"]
    assert recorded.runs[third].data.tags["autolog.continued_from"] == first
    assert recorded.series(third, "loss") == list(enumerate(recorded.seen("continued")["histories"][2]))


# -- data --------------------------------------------------------------------------------------------------------------


def test_arrays_are_described_under_their_names(recorded: Recorded) -> None:
    inputs = recorded.inputs(recorded.run("functional"))
    assert inputs["X_TRAIN"][0] == "train"
    assert inputs["X_TRAIN"][1]["features_shape"] == [64, 4]
    assert inputs["X_TRAIN"][1]["targets_shape"] == [64]
    assert inputs["X_VAL"][0] == "eval"


def test_several_inputs_are_described_each_by_its_name(recorded_once: Recorded) -> None:
    (context, profile) = recorded_once.inputs(recorded_once.run("several_inputs_and_outputs"))["dataset"]
    assert context == "train"
    assert profile["features_shape"] == {"left": [96, 2], "right": [96, 2]}


def test_a_generator_and_a_dataset_of_the_users_own_are_named_by_their_types(recorded_once: Recorded) -> None:
    (_, generator) = recorded_once.inputs(recorded_once.run("generator"))["dataset"]
    assert generator["type"] == "builtins.generator"
    assert "batch_size" not in recorded_once.run("generator").data.params
    (_, dataset) = recorded_once.inputs(recorded_once.run("py_dataset"))["dataset"]
    assert dataset["type"].endswith(".Batches")


def test_a_pipeline_that_never_ends_is_described_without_being_run(recorded: Recorded) -> None:
    run = recorded.run("pipeline")
    assert run.data.params["batch_size"] == "32"
    context, profile = recorded.inputs(run)["batches"]
    assert context == "train"
    if recorded.backend == "tensorflow":
        assert profile["num_batches"] == "infinite"
        assert profile["batch_size"] == 32
        assert recorded.inputs(run)["held_out"][1]["num_batches"] == 2
        assert recorded.values(run, "loss_held_out") == [recorded.seen("pipeline")["evaluated"][0]]
    else:
        assert profile["type"] == "torch.utils.data.dataloader.DataLoader"


# -- after a fit -------------------------------------------------------------------------------------------------------


def test_an_evaluation_is_a_series_of_the_models_run_at_its_epochs(recorded: Recorded) -> None:
    run = recorded.run("evaluated")
    (loss, accuracy), other = recorded.seen("evaluated")["values"]
    assert recorded.series(run, "loss_X_VAL") == [(1, loss), (2, other["loss"])]
    assert recorded.series(run, "accuracy_X_VAL") == [(1, accuracy), (2, other["accuracy"])]
    calls = json.loads(recorded.artifact(run, "metric_info.json"))
    assert calls["loss_X_VAL"] == "Functional.evaluate(x=X_VAL, y=Y_VAL)"
    assert recorded.inputs(run)["X_VAL"][0] == "eval"


def test_a_metric_of_predictions_goes_to_the_models_run(recorded: Recorded) -> None:
    run = recorded.run("evaluated")
    assert run.data.metrics["accuracy_score_X_VAL"] == recorded.seen("evaluated")["accuracy"]


# -- batches -----------------------------------------------------------------------------------------------------------


def test_batches_of_a_model_are_one_run_with_a_step_each(recorded: Recorded) -> None:
    seen = recorded.seen("by_batches")
    run = recorded.runs[seen["streamed"]]
    assert run.info.run_name == "stream"
    assert run.info.status is RunStatus.FINISHED
    losses, errors = zip(*seen["trained"], strict=True)
    assert recorded.series(run, "loss") == list(enumerate(losses, 1))
    assert recorded.series(run, "mae") == list(enumerate(errors, 1))
    assert recorded.values(run, "learning_rate") == pytest.approx([0.01])
    assert run.data.params["total_params"] == "5"


def test_tests_between_two_batches_are_one_mean_over_their_rows(recorded: Recorded) -> None:
    seen = recorded.seen("by_batches")
    means = [(8 * one[0] + 24 * other["loss"]) / 32 for one, other in seen["tested"]]
    points = recorded.series(seen["streamed"], "test_loss")
    assert [step for step, _ in points] == [1, 2, 3]
    assert [value for _, value in points] == pytest.approx(means)


def test_two_models_that_are_trained_in_turns_have_a_run_each(recorded_once: Recorded) -> None:
    for place, name in enumerate(("generator", "critic")):
        (run,) = (one for one in recorded_once.runs.values() if one.info.run_name == name)
        assert recorded_once.values(run, "loss") == [
            step[place] for step in recorded_once.seen("two_by_batches")["losses"]
        ]
