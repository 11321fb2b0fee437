"""Eager loops around ``tf.GradientTape`` are recorded, with what was computed and nothing else."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import autolog
from autolog.entities import RunStatus
from autolog.integrations.tensorflow_values import deliver, wait_for_values

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend", allow_module_level=True)


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


def make_step(model, optimizer):
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(features, labels):
        with tf.GradientTape() as tape:
            loss = compute(labels, model(features, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def test_an_eager_loop_is_a_complete_run():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.Adam(0.05, beta_1=0.8)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="train_accuracy")
    step = make_step(model, optimizer)
    losses, accuracies = [], []
    for _ in range(3):
        losses += [float(step(features[at : at + 16], labels[at : at + 16])) for at in range(0, 64, 16)]
        accuracy.update_state(labels, model(features))
        accuracies.append(float(accuracy.result()))
        accuracy.reset_state()
    optimizer.learning_rate = 0.01
    losses.append(float(step(features, labels)))
    run = only_run()
    assert run.info.run_name == "Sequential"
    assert run.data.tags["mlflow.autologging"] == "tensorflow"
    assert points(run, "loss") == list(enumerate(losses))
    assert points(run, "train_accuracy") == [(3, accuracies[0]), (7, accuracies[1]), (11, accuracies[2])]
    assert points(run, "learning_rate") == [(0, float(np.float32(0.05))), (12, float(np.float32(0.01)))]
    params = run.data.params
    assert (params["optimizer"], params["optimizer_name"]) == ("Adam", "adam")
    assert (params["optimizer_learning_rate"], params["optimizer_beta_1"]) == ("0.05", "0.8")
    assert params["loss"].startswith("SparseCategoricalCrossentropy(")
    assert "from_logits=True" in params["loss"]
    assert params["model_class"].endswith(".Sequential")
    assert params["trainable_params"] == params["total_params"] == str(4 * 8 + 8 + 8 * 2 + 2)
    assert params["seed"] == "11"
    assert "autolog.tensorflow.hidden" not in run.data.tags


def test_a_schedule_is_recorded_with_every_step():
    features, labels = make_data()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    step = make_step(make_model(), keras.optimizers.SGD(schedule))
    for _ in range(4):
        step(features, labels)
    run = only_run()
    expected = [0.1 * 0.5 ** (number / 2) for number in range(4)]
    assert [value for _, value in points(run, "learning_rate")] == pytest.approx(expected, rel=1e-6)
    assert run.data.params["optimizer_learning_rate"].startswith("ExponentialDecay(")
    assert "decay_rate=0.5" in run.data.params["optimizer_learning_rate"]


def test_the_variables_of_a_module_and_a_loss_of_ones_own_will_do():
    class Line(tf.Module):
        def __init__(self):
            super().__init__()
            self.slope = tf.Variable(0.0)
            self.shift = tf.Variable(0.0)
            self.fixed = tf.Variable([1.0, 2.0], trainable=False)

        def __call__(self, x):
            return self.slope * x + self.shift

    line, optimizer = Line(), keras.optimizers.SGD(0.1)
    x = tf.constant([0.0, 1.0, 2.0])
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(line(x) - (2 * x + 1)))
        losses.append(float(loss))
        optimizer.apply(tape.gradient(loss, line.trainable_variables), line.trainable_variables)
    run = only_run()
    assert run.info.run_name == "Line"
    assert [value for _, value in points(run, "loss")] == losses
    assert run.data.params["trainable_params"] == "2"
    assert run.data.params["total_params"] == "4"
    assert "loss" not in run.data.params


def test_variables_without_a_model_make_a_run_named_after_the_optimizer():
    weight, optimizer = tf.Variable([1.0, 2.0]), keras.optimizers.RMSprop(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weight**2)
    optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
    run = only_run()
    assert run.info.run_name == "RMSprop"
    assert points(run, "loss") == [(0, 5.0)]
    assert run.data.params["trainable_params"] == "2"
    assert "model_class" not in run.data.params


def test_the_optimizers_of_a_gan_share_a_run_and_have_the_names_of_the_users_variables():
    features, labels = make_data()
    generator, critic = make_model(), make_model()
    generator_optimizer, critic_optimizer = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.02)
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    values = []
    for _ in range(3):
        with tf.GradientTape() as first, tf.GradientTape() as second:
            generator_loss = compute(labels, generator(features))
            critic_loss = compute(1 - labels, critic(features))
        of_generator = first.gradient(generator_loss, generator.trainable_variables)
        of_critic = second.gradient(critic_loss, critic.trainable_variables)
        generator_optimizer.apply(of_generator, generator.trainable_variables)
        critic_optimizer.apply(of_critic, critic.trainable_variables)
        values.append((float(generator_loss), float(critic_loss)))
    run = only_run()
    assert points(run, "generator_loss") == [(step, one) for step, (one, _) in enumerate(values)]
    assert points(run, "critic_loss") == [(step, other) for step, (_, other) in enumerate(values)]
    assert points(run, "learning_rate_critic_optimizer") == [(0, float(np.float32(0.02)))]
    assert run.data.params["optimizer"] == "Adam"
    assert run.data.params["critic_optimizer.optimizer"] == "SGD"
    assert run.data.params["critic_optimizer.optimizer_learning_rate"] == "0.02"


def test_one_training_after_another_is_a_run_each():
    features, labels = make_data()

    def train(model):
        step = make_step(model, keras.optimizers.SGD(0.1))
        return [float(step(features, labels)) for _ in range(2)]

    first, other = make_model(), make_model()
    train(first)
    train(other)
    train(first)
    one, two, three = runs()
    assert [run.info.status for run in (one, two)] == [RunStatus.FINISHED, RunStatus.FINISHED]
    assert "autolog.continued_from" not in two.data.tags
    assert three.data.tags["autolog.continued_from"] == one.info.run_id


def test_a_model_that_is_gone_has_ended_its_run():
    features, labels = make_data()

    def train():
        step = make_step(make_model(), keras.optimizers.SGD(0.1))
        step(features, labels)

    train()
    gc.collect()
    assert only_run().info.status is RunStatus.FINISHED


def test_the_users_run_takes_the_loop_and_the_steps_go_on_in_the_next():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.SGD(0.1)
    step = make_step(model, optimizer)
    with autolog.start_run(run_name="mine"):
        losses = [float(step(features, labels)) for _ in range(2)]
    with autolog.start_run(run_name="later"):
        later = float(step(features, labels))
    one, two = runs()
    assert [one.info.run_name, two.info.run_name] == ["mine", "later"]
    assert points(one, "loss") == [(0, losses[0]), (1, losses[1])]
    assert points(two, "loss") == [(2, later)]
    assert one.data.params["optimizer"] == two.data.params["optimizer"] == "SGD"


def test_gradients_accumulated_by_hand_make_one_point_with_the_mean_loss():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.SGD(0.1)
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = []
    for _ in range(2):
        total, values = None, []
        for start in (0, 32):
            with tf.GradientTape() as tape:
                loss = compute(labels[start : start + 32], model(features[start : start + 32]))
            found = tape.gradient(loss, model.trainable_variables)
            total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
            values.append(float(loss))
        optimizer.apply(total, model.trainable_variables)
        expected.append(sum(values) / 2)
    assert points(only_run(), "loss") == [(0, expected[0]), (1, expected[1])]


def test_gradients_accumulated_by_keras_make_one_point_for_each_update():
    features, labels = make_data()
    step = make_step(make_model(), keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    losses = [float(step(features, labels)) for _ in range(4)]
    assert points(only_run(), "loss") == [(0, (losses[0] + losses[1]) / 2), (1, (losses[2] + losses[3]) / 2)]


def test_a_penalty_on_gradients_is_not_taken_for_the_loss():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.SGD(0.1)
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(features)
            sums = tf.reduce_sum(model(features))
        slope = inner.gradient(sums, features)
        loss = compute(labels, model(features)) + tf.reduce_mean(slope**2)
    optimizer.apply(outer.gradient(loss, model.trainable_variables), model.trainable_variables)
    assert points(only_run(), "loss") == [(0, float(loss))]


@pytest.mark.parametrize("how", ["factor", "optimizer"])
def test_a_loss_that_is_scaled_is_recorded_as_it_was(how):
    features, labels = make_data()
    model = make_model()
    optimizer = (
        keras.optimizers.SGD(0.1, loss_scale_factor=8.0)
        if how == "factor"
        else keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=8.0)
    )
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        loss = compute(labels, model(features))
        scaled = optimizer.scale_loss(loss)
    optimizer.apply(tape.gradient(scaled, model.trainable_variables), model.trainable_variables)
    run = only_run()
    assert float(scaled) == 8 * float(loss)
    assert points(run, "loss") == [(0, float(loss))]
    assert run.data.params["optimizer"] == "SGD"


def test_what_cannot_be_told_is_said_and_not_guessed():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.SGD(0.1)
    with tf.GradientTape(persistent=True) as tape:
        values = keras.losses.sparse_categorical_crossentropy(labels, model(features), from_logits=True)
        first, second = tf.reduce_mean(values[:32]), tf.reduce_mean(values[32:])
    variables = model.trainable_variables
    both = [tape.gradient(one, variables) for one in (first, second)]
    optimizer.apply([a + b for a, b in zip(*both, strict=True)], variables)
    optimizer.apply(tape.gradient(values, variables), variables)
    optimizer.apply([tf.zeros_like(one) for one in variables], variables)
    run = only_run()
    assert "loss" not in run.data.metrics
    hidden = run.data.tags["autolog.tensorflow.hidden"]
    assert "several times" in hidden
    assert "not one number" in hidden
    assert "neither differentiated" in hidden
    assert run.data.params["loss"] == "sparse_categorical_crossentropy"


def test_metrics_of_one_name_are_told_apart_by_the_users_variables():
    features, labels = make_data()
    model = make_model()
    step = make_step(model, keras.optimizers.SGD(0.1))
    training_accuracy, held_out_accuracy = (keras.metrics.SparseCategoricalAccuracy() for _ in range(2))
    loss = keras.metrics.Mean(name="loss")
    loss.update_state(step(features, labels))
    training_accuracy.update_state(labels[:48], model(features[:48]))
    held_out_accuracy.update_state(labels[48:], model(features[48:]))
    one, two = float(training_accuracy.result()), float(held_out_accuracy.result())
    assert float(held_out_accuracy.result()) == two
    loss.result()
    run = only_run()
    assert points(run, "sparse_categorical_accuracy") == [(0, one)]
    assert points(run, "held_out_accuracy") == [(0, two)]
    assert len(points(run, "loss")) == 1
    assert points(run, "loss-2") == points(run, "loss")


def test_a_metric_of_ones_own_with_several_results_is_recorded():
    class Extremes(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="extremes")
            self.least = self.add_weight(initializer="zeros", name="least")

        def update_state(self, value):
            self.least.assign(tf.minimum(self.least, value))

        def result(self):
            return {"least": tf.identity(self.least), "most": 7.0}

    features, labels = make_data()
    step = make_step(make_model(), keras.optimizers.SGD(0.1))
    step(features, labels)
    extremes = Extremes()
    extremes(-2.0)
    step(features, labels)
    extremes.result()
    run = only_run()
    # A call of the metric is one of its updates, of which nobody has asked the result.
    assert points(run, "extremes_least") == [(1, -2.0)]
    assert points(run, "extremes_most") == [(1, 7.0)]


def test_a_restored_optimizer_goes_on_counting():
    features, labels = make_data()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.iterations.assign(40)
    step = make_step(make_model(), optimizer)
    loss = float(step(features, labels))
    assert points(only_run(), "loss") == [(40, loss)]


def test_what_is_not_in_memory_is_read_by_another_thread_in_its_order():
    taken, threads = [], set()

    def take(value):
        threads.add(threading.current_thread().name)
        taken.append(value)

    # As of a tensor on a GPU: what is no number yet.
    for number in range(20):
        deliver((tf.constant(float(number)), 4.0), take)
    wait_for_values()
    assert taken == [(number + 4.0) / 2 for number in range(20)]
    assert threads == {"autolog-tensors"}


def test_nothing_of_a_step_is_kept():
    features, labels = make_data()
    model, optimizer = make_model(), keras.optimizers.SGD(0.1)
    step = make_step(model, optimizer)
    loss = weakref.ref(step(features, labels))
    assert loss() is None
    counts = []
    for _ in range(3):
        for _ in range(50):
            step(features, labels)
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[2] - counts[1] < 20


def test_the_same_weights_come_of_it_bit_by_bit():
    def train():
        keras.utils.set_random_seed(5)
        features, labels = make_data()
        model = make_model()
        step = make_step(model, keras.optimizers.Adam(0.01))
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        for _ in range(5):
            step(features, labels)
            accuracy.update_state(labels, model(features))
            accuracy.result()
        return [variable.numpy().tobytes() for variable in model.variables], tf.random.normal((3,)).numpy().tobytes()

    recorded = train()
    autolog.disable()
    assert train() == recorded


def test_disabling_puts_back_what_was_there():
    def codes():
        return [
            function.__code__
            for function in (
                tf.GradientTape.gradient,
                keras.optimizers.Optimizer.apply,
                keras.metrics.Mean.result,
                keras.losses.Loss.__call__,
                keras.losses.mean_squared_error,
                tf.Module.trainable_variables.fget,
                keras.layers.Layer.trainable_variables.fget,
                type(tf.function(len)).__call__,
            )
        ]

    hooked = codes()
    autolog.disable()
    plain = codes()
    assert not any(one is other for one, other in zip(hooked, plain, strict=True))
    features, labels = make_data()
    make_step(make_model(), keras.optimizers.SGD(0.1))(features, labels)
    autolog.enable(integrations=["tensorflow"], strict=True)
    assert runs() == []
