"""What programs write with ``tf.summary`` feeds the active run, and their event files are what they would be anyway."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

import autolog
from autolog.integrations import tensorboard_runs

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytest.importorskip("tensorboard")


@pytest.fixture(autouse=True)
def _enabled(isolated):
    tensorboard_runs._held.writes.clear()
    autolog.enable(integrations=["tensorboard"], strict=True)


def points(run, key):
    autolog.flush(10)
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def content(run, path):
    autolog.flush(10)
    return Path(autolog.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path)).read_bytes()


def write_everything(folder):
    writer = tf.summary.create_file_writer(str(folder))
    pixels = np.random.default_rng(0).integers(0, 255, size=(2, 5, 6, 3), dtype=np.uint8)
    with writer.as_default():
        for step in range(3):
            tf.summary.scalar("loss/train", 1 / (step + 1), step=step)
        tf.summary.image("digits", pixels, step=4)
        tf.summary.histogram("weights", tf.constant([0.0, 0.1, 0.1, 0.9, 1.0]), step=2, buckets=4)
        tf.summary.text("notes", "a **bold** plan: größer", step=3)
        with tf.summary.record_if(False):
            tf.summary.scalar("unwanted", 1.0, step=1)
    writer.close()
    return pixels


def test_scalars_images_histograms_and_texts_are_recorded(tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    with autolog.start_run() as run:
        pixels = write_everything(tmp_path / "events")
    assert points(run, "loss/train") == [(step, float(np.float32(1 / (step + 1)))) for step in range(3)]
    for number, path in enumerate(["images/digits/4.png", "images/digits-2/4.png"]):
        assert (np.asarray(image_of.open(io.BytesIO(content(run, path)))) == pixels[number]).all()
    histogram = json.loads(content(run, "histograms/weights/2.json"))
    assert histogram["edges"] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert histogram["counts"] == [3, 0, 0, 2]
    assert content(run, "text/notes/3.txt").decode() == "a **bold** plan: größer"
    assert list(autolog.get_run(run.info.run_id).data.metrics) == ["loss/train"]


def test_event_files_are_what_they_are_without(tmp_path):
    def read(folder):
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event

        events = []
        for path in folder.rglob("*tfevents*"):
            for raw in RawEventFileLoader(str(path)).Load():
                event = Event.FromString(raw)
                event.wall_time = 0
                events.append(event.SerializeToString(deterministic=True))
        return events

    with autolog.start_run():
        write_everything(tmp_path / "one")
    autolog.disable()
    write_everything(tmp_path / "two")
    assert len(read(tmp_path / "two")) == 7
    assert read(tmp_path / "one") == read(tmp_path / "two")


def test_two_writers_of_one_tag_are_two_metrics(tmp_path):
    train, test = (tf.summary.create_file_writer(str(tmp_path / name)) for name in ("train", "test"))
    with autolog.start_run() as run:
        for step in range(2):
            with train.as_default():
                tf.summary.scalar("loss", 1.0 + step, step=step)
            with test.as_default(step=step):
                tf.summary.scalar("loss", 2.0 + step)
    assert points(run, "loss") == [(0, 1.0), (1, 2.0)]
    assert points(run, "test/loss") == [(0, 2.0), (1, 3.0)]


def test_what_a_graph_writes_is_left_alone(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))

    @tf.function
    def step(value, number):
        with writer.as_default():
            tf.summary.scalar("inside", value, step=number)
        return value

    with autolog.start_run() as run:
        assert float(step(tf.constant(2.0), tf.constant(1, tf.int64))) == 2.0
    autolog.flush(10)
    assert autolog.get_run(run.info.run_id).data.metrics == {}


def test_a_gradient_tape_loop_finds_the_run_of_its_own(tmp_path):
    autolog.enable(integrations=["tensorboard", "tensorflow"], strict=True)
    weight, optimizer = tf.Variable(1.0), keras.optimizers.SGD(0.25)
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        tf.summary.text("plan", "down", step=0)
        for step in range(3):
            with tf.GradientTape() as tape:
                loss = weight**2
            tf.summary.scalar("weight", weight, step=step)
            optimizer.apply([tape.gradient(loss, weight)], [weight])
    autolog.flush(10)
    (run,) = autolog.search_runs(search_all_experiments=True, output_format="list")
    assert points(run, "weight") == [(0, 1.0), (1, 0.5), (2, 0.25)]
    assert points(run, "loss") == [(0, 1.0), (1, 0.25), (2, 0.0625)]
    assert content(run, "text/plan/0.txt") == b"down"


# Of Keras' own callback, with NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_own_callback_is_not_recorded_twice(tmp_path):
    from autolog.training import Training

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    class Mine(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            tf.summary.scalar("mine", 5.0, step=epoch)

    with (
        autolog.start_run() as run,
        tf.summary.create_file_writer(str(tmp_path / "own")).as_default(),
        Training() as training,
    ):
        training.begin("fit", "test", {})
        callbacks = [keras.callbacks.TensorBoard(tmp_path / "keras", histogram_freq=1), Mine()]
        model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=callbacks)
    assert points(run, "mine") == [(0, 5.0), (1, 5.0)]
    assert list(autolog.get_run(run.info.run_id).data.metrics) == ["mine"]
    assert list((tmp_path / "keras").rglob("*tfevents*"))
