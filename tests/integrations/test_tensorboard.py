"""What programs write for TensorBoard feeds the active run, and their event files are what they would be anyway."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest

import autolog
from autolog.integrations import tensorboard_runs
from autolog.integrations.tensorboard_runs import DENSE, MOST_HELD
from autolog.loops import Loop
from autolog.training import Training, silence

pytest.importorskip("tensorboard")


def _torch_writer(folder):
    pytest.importorskip("torch")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def _x_writer(folder):
    tensorboardX = pytest.importorskip("tensorboardX")
    return tensorboardX.SummaryWriter(str(folder))


@pytest.fixture(params=["torch", "tensorboardX"])
def make_writer(request):
    return _torch_writer if request.param == "torch" else _x_writer


@pytest.fixture(autouse=True)
def _enabled(isolated):
    tensorboard_runs._held.writes.clear()
    autolog.enable(integrations=["tensorboard"], strict=True)


def points(run, key):
    autolog.flush(10)
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def stored(run, path=None):
    autolog.flush(10)
    return sorted(one.path for one in autolog.Client().list_artifacts(run.info.run_id, path))


def content(run, path):
    autolog.flush(10)
    return Path(autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path)).read_bytes()


def read_events(folder):
    """Return what the event files below a folder say, without the time that it was said."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.rglob("*tfevents*")):
        for raw in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(raw)
            event.wall_time = 0
            place = str(path.parent.relative_to(folder))
            found.setdefault(place, []).append(event.SerializeToString(deterministic=True))
    return found


def test_scalars_are_metrics(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        for step in range(3):
            writer.add_scalar("loss/train", 0.5 / (step + 1), step)
        writer.add_scalar("array", np.float32(0.25), global_step=7)
        writer.add_scalar("nan", float("nan"), 1)
        writer.add_scalar("stepless", 2.0)
    assert points(run, "loss/train") == [(step, float(np.float32(0.5 / (step + 1)))) for step in range(3)]
    assert points(run, "array") == [(7, 0.25)]
    assert np.isnan(points(run, "nan")[0][1])
    assert points(run, "stepless") == [(0, 2.0)]


def test_the_time_of_a_scalar_is_the_writers(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        writer.add_scalar("loss", 1.0, 1, walltime=1_700_000_000.5)
    autolog.flush(10)
    (point,) = autolog.get_metric_history(run.info.run_id, "loss")
    assert point.timestamp == 1_700_000_000_500


def test_tensors_are_read_by_the_writer_alone(tmp_path):
    torch = pytest.importorskip("torch")
    reads = []

    class Counted(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            name = getattr(function, "__name__", "")
            if name in {"cpu", "numpy", "item", "tolist", "__float__"}:
                reads.append(name)
            return super().__torch_function__(function, types, args, kwargs or {})

    def write(folder):
        reads.clear()
        with _torch_writer(folder) as writer:
            writer.add_scalar("loss", torch.tensor(0.5).as_subclass(Counted), 1)
            writer.add_histogram("weights", torch.ones(3).as_subclass(Counted), 1)
        return list(reads)

    with autolog.start_run() as run:
        recorded = write(tmp_path / "one")
    autolog.disable()
    assert recorded
    assert write(tmp_path / "two") == recorded
    assert points(run, "loss") == [(1, 0.5)]


def test_several_scalars_under_one_tag_are_told_apart(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        for step in range(2):
            writer.add_scalars("loss/all", {"train": 1.0 + step, "held out": 2.0 + step}, step)
        writer.add_scalar("loss/all", 9.0, 5)
    assert points(run, "loss/all/train") == [(0, 1.0), (1, 2.0)]
    assert points(run, "loss/all/held out") == [(0, 2.0), (1, 3.0)]
    assert points(run, "loss/all") == [(5, 9.0)]


def test_a_tag_of_two_folders_is_two_metrics(make_writer, tmp_path):
    with (
        autolog.start_run() as run,
        make_writer(tmp_path / "logs" / "train") as train,
        make_writer(tmp_path / "logs" / "test") as test,
    ):
        train.add_scalar("loss", 1.0, 1)
        test.add_scalar("loss", 2.0, 1)
        test.add_scalar("accuracy", 0.5, 1)
        train.add_scalar("loss", 0.75, 2)
    assert points(run, "loss") == [(1, 1.0), (2, 0.75)]
    assert points(run, "test/loss") == [(1, 2.0)]
    assert points(run, "accuracy") == [(1, 0.5)]


def test_hyperparameters_are_params_and_metrics(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        writer.add_hparams({"lr": 0.1, "optimizer": "sgd", "nesterov": True, "layers": 3}, {"hparam/accuracy": 0.75})
    autolog.flush(10)
    data = autolog.get_run(run.info.run_id).data
    assert data.params == {"lr": "0.1", "optimizer": "sgd", "nesterov": "True", "layers": "3"}
    assert data.metrics == {"hparam/accuracy": 0.75}


def test_images_and_figures_are_stored_as_they_were_written(make_writer, tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pixels = np.random.default_rng(0).integers(0, 255, size=(3, 6, 5), dtype=np.uint8)
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        writer.add_image("digits/first", pixels, 4)
        figure, axes = pyplot.subplots(figsize=(2, 1))
        axes.plot([1, 2, 3])
        writer.add_figure("curve", figure, 4, close=False)
    assert pyplot.fignum_exists(figure.number)
    pyplot.close(figure)
    found = np.asarray(image_of.open(io.BytesIO(content(run, "images/digits/first/4.png"))))
    assert (found == pixels.transpose(1, 2, 0)).all()
    assert image_of.open(io.BytesIO(content(run, "images/curve/4.png"))).size == (200, 100)


def test_histograms_are_stored_as_counts(make_writer, tmp_path):
    values = np.array([0.0, 0.1, 0.1, 0.9, 1.0])
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        writer.add_histogram("weights", values, 2, bins=4)
    found = json.loads(content(run, "histograms/weights/2.json"))
    assert (found["tag"], found["step"]) == ("weights", 2)
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert sum(found["counts"]) == len(values)
    for low, high, count in zip(found["edges"], found["edges"][1:], found["counts"], strict=False):
        if high > low:
            assert count == ((values >= low) & (values < high)).sum() + (high == 1.0)


def test_texts_are_stored(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        writer.add_text("notes", "a **bold** plan: größer", 3)
    assert content(run, "text/notes/3.txt").decode() == "a **bold** plan: größer"


def test_a_tag_cannot_leave_its_folder(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        writer.add_text("../../etc/pass:wd", "x", 1)
        writer.add_text("C:\\a//b", "y", 1)
    assert stored(run, "text/_/_/etc/pass_wd") == ["text/_/_/etc/pass_wd/1.txt"]
    assert stored(run, "text/C__a/_/b") == ["text/C__a/_/b/1.txt"]


def test_many_files_of_a_tag_are_thinned_out(make_writer, tmp_path):
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        for step in range(4 * DENSE):
            writer.add_text("notes", "x", step)
        writer.add_text("others", "y", 1)
    steps = sorted(int(path.rpartition("/")[2].removesuffix(".txt")) for path in stored(run, "text/notes"))
    assert steps[:DENSE] == list(range(DENSE))
    assert steps[DENSE : 2 * DENSE] == list(range(DENSE, 3 * DENSE, 2))
    assert len(steps) < 3 * DENSE
    assert stored(run, "text/others") == ["text/others/1.txt"]


def test_event_files_are_what_they_are_without(make_writer, tmp_path):
    def write(folder):
        with make_writer(folder) as writer:
            for step in range(3):
                writer.add_scalar("loss", 1 / (step + 1), step)
                writer.add_scalars("both", {"a": step, "b": 2 * step}, step)
                writer.add_histogram("weights", np.arange(step + 4.0), step)
                writer.add_text("notes", f"step {step}", step)
                writer.add_image("image", np.full((3, 4, 4), step / 4, dtype=np.float32), step)
        return read_events(folder)

    with autolog.start_run():
        recorded = write(tmp_path / "one")
    autolog.disable()
    plain = write(tmp_path / "two")
    assert plain
    assert recorded == plain


def test_without_a_run_nothing_is_recorded_and_none_is_begun(make_writer, tmp_path):
    with make_writer(tmp_path / "events") as writer:
        writer.add_scalar("loss", 1.0, 1)
    autolog.flush(10)
    assert autolog.search_runs(search_all_experiments=True, output_format="list") == []


def test_what_is_written_before_the_first_step_goes_to_the_loop_that_begins(make_writer, tmp_path):
    with make_writer(tmp_path / "events") as writer:
        writer.add_text("plan", "begin", 0)
        writer.add_scalar("loss", 3.0, 0)
        writer.add_hparams({"lr": 0.1}, {})
        loop = Loop("test", "a loop", {})
        writer.add_scalar("loss", 2.0, 1)
        loop.end()
    run = autolog.get_run(loop.run.run_id)
    assert points(run, "loss") == [(0, 3.0), (1, 2.0)]
    assert run.data.params == {"lr": "0.1"}
    assert content(run, "text/plan/0.txt") == b"begin"


def test_what_waits_is_bounded_and_a_run_of_the_users_does_not_take_it(make_writer, tmp_path):
    with make_writer(tmp_path / "events") as writer:
        for step in range(MOST_HELD + 10):
            writer.add_scalar("loss", 1.0, step)
        with autolog.start_run() as own:
            pass
        writer.add_image("large", np.random.default_rng(0).random((3, 600, 600)), 0)
        loop = Loop("test", "a loop", {})
        loop.end()
    assert points(loop.run, "loss")[0][0] == 10
    assert len(points(loop.run, "loss")) == MOST_HELD
    assert autolog.get_run(own.info.run_id).data.metrics == {}
    assert stored(loop.run) == []


def test_another_threads_writes_are_not_taken_for_the_loops(make_writer, tmp_path):
    with make_writer(tmp_path / "events") as writer:
        thread = threading.Thread(target=writer.add_scalar, args=("loss", 1.0, 1))
        thread.start()
        thread.join()
        loop = Loop("test", "a loop", {})
        loop.end()
    autolog.flush(10)
    assert autolog.get_run(loop.run.run_id).data.metrics == {}


def test_inside_a_training_the_users_own_values_are_recorded_and_a_frameworks_are_not(make_writer, tmp_path):
    frameworks = {"__name__": "lightning.pytorch.loggers.tensorboard"}
    exec("def log(writer): writer.add_scalar('train_loss', 1.0, 1)", frameworks)  # as its logger does
    with autolog.start_run() as run, make_writer(tmp_path / "events") as writer:
        with Training() as training:
            training.run = training.begin("fit", "test", {})
            frameworks["log"](writer)
            writer.add_scalar("mine", 2.0, 1)
            with silence():
                writer.add_scalar("of a part", 3.0, 1)
        writer.add_scalar("later", 4.0, 1)
    autolog.flush(10)
    assert autolog.get_run(run.info.run_id).data.metrics == {"mine": 2.0, "later": 4.0}
