"""Loops whose steps are in ``tf.function`` are recorded as far as they can be seen, and what is hidden is said."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import autolog

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend", allow_module_level=True)

HIDDEN = "autolog.tensorflow.hidden"


@pytest.fixture(autouse=True)
def _enabled(isolated):
    keras.utils.set_random_seed(11)
    autolog.enable(integrations=["tensorflow"], strict=True)


def runs():
    autolog.flush(10)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def only_run():
    (run,) = runs()
    return run


def points(run, key):
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def make_data(rows=64):
    generator = np.random.default_rng(3)
    features = generator.normal(size=(rows, 4)).astype("float32")
    return tf.constant(features), tf.constant((features.sum(axis=1) > 0).astype("int32"))


def make_model():
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(2)])


def make_step(model, optimizer, shape=lambda loss, outputs: loss):
    """Return an ordinary step; ``shape`` makes what it returns of the loss and of the model's outputs."""
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(features, labels):
        with tf.GradientTape() as tape:
            outputs = model(features, training=True)
            loss = compute(labels, outputs)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return shape(loss, outputs)

    return step


def test_a_traced_loop_is_recorded_as_an_eager_one_is():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.Adam(0.05)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    step = tf.function(make_step(model, optimizer))
    losses = [float(step(features, labels)) for _ in range(4)]
    optimizer.learning_rate = 0.01
    # Another signature, another trace.
    losses.append(float(step(features[:10], labels[:10])))
    accuracy.update_state(labels, model(features))
    expected = float(accuracy.result())
    run = only_run()
    assert run.info.run_name == "Sequential"
    assert run.data.tags["autolog.tensorflow.mode"] == "graph"
    assert points(run, "loss") == list(enumerate(losses))
    assert points(run, "learning_rate") == [(0, float(np.float32(0.05))), (4, float(np.float32(0.01)))]
    assert points(run, "accuracy") == [(4, expected)]
    params = run.data.params
    assert params["optimizer"] == "Adam"
    assert params["loss"].startswith("SparseCategoricalCrossentropy(")
    assert params["model_class"].endswith(".Sequential")
    assert params["trainable_params"] == str(4 * 8 + 8 + 8 * 2 + 2)
    assert HIDDEN not in run.data.tags


def test_a_schedule_is_evaluated_for_the_steps_of_a_graph():
    features, labels = make_data()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    step = tf.function(make_step(make_model(), keras.optimizers.SGD(schedule)))
    for _ in range(3):
        step(features, labels)
    expected = [(number, 0.1 * 0.5 ** (number / 2)) for number in range(3)]
    assert points(only_run(), "learning_rate") == [
        (number, pytest.approx(value, rel=1e-6)) for number, value in expected
    ]


def test_the_loss_is_found_among_several_results():
    features, labels = make_data()
    step = tf.function(
        make_step(
            make_model(),
            keras.optimizers.SGD(0.1),
            lambda loss, outputs: {"a": (outputs, None), "b": [tf.reduce_sum(outputs), loss], "c": 2 * loss},
        )
    )
    losses = [float(step(features, labels)["b"][1]) for _ in range(3)]
    assert points(only_run(), "loss") == list(enumerate(losses))


def test_a_loss_that_is_not_returned_is_said_to_be_hidden():
    features, labels = make_data()
    step = tf.function(make_step(make_model(), keras.optimizers.SGD(0.1), lambda loss, outputs: 2 * loss))
    for _ in range(3):
        step(features, labels)
    run = only_run()
    assert "loss" not in run.data.metrics
    assert "the loss" in run.data.tags[HIDDEN]
    assert points(run, "learning_rate") == [(0, float(np.float32(0.1)))]


def test_the_losses_of_two_optimizers_in_one_function_are_told_apart():
    features, labels = make_data()
    steps = [make_step(make_model(), keras.optimizers.SGD(rate)) for rate in (0.1, 0.2)]
    both = tf.function(lambda x, y: [step(x, y) for step in steps])
    losses = [[float(loss) for loss in both(features, labels)] for _ in range(3)]
    run = only_run()
    assert points(run, "loss") == [(number, one) for number, (one, _) in enumerate(losses)]
    assert points(run, "loss_2") == [(number, other) for number, (_, other) in enumerate(losses)]
    assert run.data.params["optimizer_2.optimizer_learning_rate"] == "0.2"


def test_a_loop_inside_of_a_function_counts_its_steps_by_the_optimizer():
    features, labels = make_data()
    optimizer = keras.optimizers.SGD(0.1)
    step = make_step(make_model(), optimizer)
    mean = keras.metrics.Mean(name="epoch_loss")

    @tf.function
    def epoch(data):
        for batch, targets in data:
            mean.update_state(step(batch, targets))

    data = tf.data.Dataset.from_tensor_slices((features, labels)).batch(16)
    expected = []
    for number in range(1, 4):
        epoch(data)
        expected.append((4 * number - 1, float(mean.result())))
        mean.reset_state()
    run = only_run()
    assert points(run, "epoch_loss") == expected
    assert "loss" not in run.data.metrics
    assert "the loss" in run.data.tags[HIDDEN]


def test_a_step_that_depends_on_a_condition_is_counted_when_it_is_done():
    features, labels = make_data()
    optimizer = keras.optimizers.SGD(0.1)
    step = make_step(make_model(), optimizer)
    done = keras.metrics.Sum(name="done")
    step(features, labels)

    @tf.function
    def maybe(flag):
        if flag > 0:
            step(features, labels)

    for flag in (1.0, 0.0, 1.0):
        maybe(tf.constant(flag))
        done.update_state(flag)
        done.result()
    assert [number for number, _ in points(only_run(), "done")] == [1, 2]
    assert int(optimizer.iterations) == 3


def test_a_function_that_was_traced_before_is_known_inside_of_another():
    features, labels = make_data()
    optimizer = keras.optimizers.SGD(0.1)
    inner = tf.function(make_step(make_model(), optimizer))
    first = float(inner(features, labels))
    outer = tf.function(lambda x, y: (inner(x, y), inner(x, y)))
    outer(features, labels)
    last = float(inner(features, labels))
    assert points(only_run(), "loss") == [(0, first), (3, last)]


def test_a_function_that_is_traced_without_being_called_makes_no_run():
    features, labels = make_data()
    optimizer = keras.optimizers.SGD(0.1)
    step = tf.function(make_step(make_model(), optimizer))
    step.get_concrete_function(features, labels)
    other = tf.function(lambda x: x + 1)
    other(features)
    assert runs() == []
    loss = float(step(features, labels))
    assert points(only_run(), "loss") == [(0, loss)]


def test_eager_and_traced_steps_are_counted_together():
    features, labels = make_data()
    step = make_step(make_model(), keras.optimizers.SGD(0.1))
    traced = tf.function(step)
    losses = [float(one(features, labels)) for one in (step, traced, traced, step)]
    assert points(only_run(), "loss") == list(enumerate(losses))


def test_functions_that_run_eagerly_are_eager():
    features, labels = make_data()
    step = tf.function(make_step(make_model(), keras.optimizers.SGD(0.1)))
    tf.config.run_functions_eagerly(True)
    try:
        losses = [float(step(features, labels)) for _ in range(2)]
    finally:
        tf.config.run_functions_eagerly(False)
    assert points(only_run(), "loss") == list(enumerate(losses))


def test_a_compiled_function_is_recorded():
    features, labels = make_data()
    step = tf.function(make_step(make_model(), keras.optimizers.SGD(0.1)), jit_compile=True)
    losses = [float(step(features, labels)) for _ in range(2)]
    assert points(only_run(), "loss") == list(enumerate(losses))


def test_autograph_converts_what_it_converted_before():
    class Thresholded(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="thresholded")
            self.total = self.add_weight(initializer="zeros", name="total")

        def update_state(self, value):
            self.total.assign_add(value)

        def result(self):
            # On a tensor of a graph, this works after AutoGraph only.
            if self.total > 1.0:
                return self.total * 10.0
            return tf.convert_to_tensor(self.total)

    metric = Thresholded()

    @tf.function
    def ask(value):
        metric.update_state(value)
        return metric.result()

    assert [float(ask(tf.constant(value))) for value in (0.75, 0.5)] == [0.75, 12.5]


def test_a_trace_holds_the_operations_that_it_would_hold_anyway():
    features, labels = make_data()

    def operations():
        keras.utils.set_random_seed(5)
        keras.backend.clear_session()
        step = tf.function(make_step(make_model(), keras.optimizers.Adam(0.01)))
        losses = [step(features, labels).numpy().tobytes() for _ in range(3)]
        graph = step.get_concrete_function(features, labels).graph
        return losses, [
            (one.name, one.type, [str(given.name) for given in one.inputs]) for one in graph.get_operations()
        ]

    recorded = operations()
    assert len(runs()) == 1
    autolog.disable()
    assert operations() == recorded


def test_no_graph_is_kept_that_would_not_be_kept_anyway():
    features, labels = make_data()

    def count_kept():
        gc.collect()
        return sum(type(one).__name__ == "FuncGraph" for one in gc.get_objects())

    def train():
        before = count_kept()
        tf.function(make_step(make_model(), keras.optimizers.SGD(0.1)))(features, labels)
        return count_kept() - before

    recorded = train()
    autolog.disable()
    assert train() == recorded


MIRRORED = """
import autolog
autolog.enable(integrations=["tensorflow"], strict=True)
import tensorflow as tf, keras
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.1)
    mean = keras.metrics.Mean(name="mean_loss")

def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x) ** 2)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss

@tf.function
def distributed(x):
    return strategy.reduce("mean", strategy.run(step, args=(x,)), axis=None)

for _ in range(3):
    mean.update_state(distributed(tf.ones((4, 2))))
    print(float(mean.result()))
"""


def test_replicas_are_one_loop_also_where_enabled_before_the_import():
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autolog failed" not in done.stderr
    run = only_run()
    assert points(run, "mean_loss") == [(number, float(line)) for number, line in enumerate(done.stdout.split())]
    assert run.data.params["optimizer"] == "SGD"
    assert "the loss" in run.data.tags[HIDDEN]
