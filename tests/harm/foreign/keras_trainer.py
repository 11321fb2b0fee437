"""What Keras' documentation shows of training: fit, evaluate, predict, batches, steps and callbacks of one's own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy
from digest import show

ROWS = numpy.random.default_rng(0).normal(size=(40, 5)).astype("float32")
CLASSES = (ROWS[:, 0] > 0).astype("int32") + (ROWS[:, 1] > 0).astype("int32")
VALUES = ROWS.sum(axis=1, keepdims=True)
WEIGHTS = numpy.linspace(0.1, 2, 40).astype("float32")


@pytest.fixture(autouse=True)
def _begin_anew() -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)


def classifier(**settings: Any) -> Any:
    hidden = [keras.layers.Dense(6, activation="tanh"), keras.layers.Dropout(0.1)]
    model = keras.Sequential([keras.layers.Input((5,)), *hidden, keras.layers.Dense(3, activation="softmax")])
    told = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**(told | settings))
    return model


def regressor(cls: Any = keras.Model, **settings: Any) -> Any:
    inputs = keras.Input((5,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(4, activation="relu")(inputs))
    model = cls(inputs, keras.layers.Dense(1)(hidden))
    model.compile(**({"optimizer": keras.optimizers.SGD(0.01, momentum=0.9), "loss": "mse"} | settings))
    return model


def batches(rows: int = 10) -> Iterator[tuple[Any, Any]]:
    while True:
        for start in range(0, 40, rows):
            yield ROWS[start : start + rows], CLASSES[start : start + rows]


def tell(model: Any, history: Any = None) -> None:
    """Show all that a training leaves behind."""
    if history is not None:
        show(history.history, history.epoch, history.params, sorted(vars(history)))
    state = [variable.numpy() for variable in model.optimizer.variables]
    drawn = keras.ops.convert_to_numpy(keras.random.randint((3,), 0, 1000))
    show(model.get_weights(), state, drawn, sorted(vars(model)))


class Called(keras.callbacks.Callback):
    """Notes when it is called, and with what."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("on_"):

            def note(*args: Any, **kwargs: Any) -> Any:
                self.calls.append((name, repr(args)))
                return found(*args, **kwargs)

            return note
        return found


FITS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda model: model.fit(ROWS, CLASSES, epochs=2, verbose=0),
    "printing": lambda model: model.fit(ROWS, CLASSES, epochs=2, verbose=2, batch_size=7),
    "validation data": lambda model: model.fit(ROWS, CLASSES, validation_data=(ROWS[:9], CLASSES[:9]), verbose=0),
    "validation split": lambda model: model.fit(
        ROWS, CLASSES, validation_split=0.25, validation_freq=2, epochs=4, verbose=0
    ),
    "weights of samples": lambda model: model.fit(ROWS, CLASSES, sample_weight=WEIGHTS, epochs=2, verbose=0),
    "weights of classes": lambda model: model.fit(ROWS, CLASSES, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, verbose=0),
    "weighted validation": lambda model: model.fit(
        ROWS, CLASSES, validation_data=(ROWS, CLASSES, WEIGHTS), shuffle=False, verbose=0
    ),
    "a generator": lambda model: model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0),
    "a generator for validation": lambda model: model.fit(
        batches(), steps_per_epoch=2, validation_data=batches(), validation_steps=2, verbose=0
    ),
    "a later epoch": lambda model: model.fit(ROWS, CLASSES, initial_epoch=2, epochs=4, verbose=0),
    "no epoch": lambda model: model.fit(ROWS, CLASSES, epochs=0, verbose=0),
    "a data set": lambda model: model.fit(Batches(), epochs=2, verbose=0),
    "lists": lambda model: model.fit([ROWS], [CLASSES], batch_size=40, verbose=0),
}


class Batches(keras.utils.PyDataset):
    """A data set of one's own, which counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> Any:
        self.asked.append(place)
        return ROWS[place * 10 : place * 10 + 10], CLASSES[place * 10 : place * 10 + 10]


@pytest.mark.parametrize("name", FITS)
def test_fit(name: str) -> None:
    model = classifier()
    tell(model, FITS[name](model))


@pytest.mark.parametrize(
    "settings", [{"run_eagerly": True}, {"jit_compile": False}, {"steps_per_execution": 2}], ids=str
)
def test_ways_of_running(settings: dict[str, Any]) -> None:
    model = classifier(**settings)
    tell(model, model.fit(ROWS, CLASSES, epochs=2, batch_size=8, verbose=0))


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adamw", "adagrad", "nadam", "ftrl", "lion", "adafactor"])
def test_optimizers(name: str) -> None:
    model = classifier(optimizer=name)
    tell(model, model.fit(ROWS, CLASSES, verbose=0))
    show(keras.optimizers.serialize(model.optimizer), pickle.loads(pickle.dumps(model)).get_weights())


def test_schedules_of_the_rate() -> None:
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 8)
    model = classifier(optimizer=keras.optimizers.SGD(schedule, clipnorm=1.0))
    tell(model, model.fit(ROWS, CLASSES, epochs=2, batch_size=8, verbose=0))


def test_losses_and_metrics_of_several_kinds() -> None:
    class Worst(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="worst")
            self.most = self.add_weight(name="most", initializer="zeros")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.most.assign(keras.ops.maximum(self.most, keras.ops.max(keras.ops.abs(y_true - y_pred))))

        def result(self) -> Any:
            return self.most

    metrics = ["mae", keras.metrics.RootMeanSquaredError(), Worst()]
    model = regressor(loss=keras.losses.Huber(), metrics=metrics, weighted_metrics=["mse"])
    tell(model, model.fit(ROWS, VALUES, epochs=3, validation_split=0.2, verbose=0))
    show(model.metrics_names, model.evaluate(ROWS, VALUES, verbose=0, return_dict=True))


def test_a_loss_that_is_a_function_and_several_outputs() -> None:
    inputs = keras.Input((5,), name="rows")
    hidden = keras.layers.Dense(4)(inputs)
    outputs = {"value": keras.layers.Dense(1, name="value")(hidden), "kind": keras.layers.Dense(3, name="kind")(hidden)}
    model = keras.Model(inputs, outputs)
    losses = {
        "value": lambda y_true, y_pred: keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1),
        "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    model.compile(optimizer="adam", loss=losses, loss_weights={"value": 0.3, "kind": 1.0}, metrics={"kind": "accuracy"})
    tell(model, model.fit({"rows": ROWS}, {"value": VALUES, "kind": CLASSES}, epochs=2, verbose=0))


def test_evaluate_and_predict() -> None:
    model = classifier()
    model.fit(ROWS, CLASSES, verbose=0)
    called = Called()
    found = [
        model.evaluate(ROWS, CLASSES, verbose=0, callbacks=[called]),
        model.evaluate(ROWS, CLASSES, sample_weight=WEIGHTS, batch_size=9, verbose=0, return_dict=True),
        model.evaluate(batches(), steps=2, verbose=0),
        model.predict(ROWS, verbose=0, batch_size=11, callbacks=[called]),
        model.predict(batches(), steps=2, verbose=0),
        keras.ops.convert_to_numpy(model(ROWS[:3])),
    ]
    show(*found)
    show(called.calls)
    tell(model)


def test_single_batches() -> None:
    model = classifier()
    found = [model.train_on_batch(ROWS[:8], CLASSES[:8]) for _ in range(3)]
    found.append(model.train_on_batch(ROWS, CLASSES, sample_weight=WEIGHTS, return_dict=True))
    found.append(model.train_on_batch(ROWS, CLASSES, class_weight={0: 1.0, 1: 1.0, 2: 3.0}))
    found.append(model.test_on_batch(ROWS, CLASSES, return_dict=True))
    model.reset_metrics()
    show(found, model.predict_on_batch(ROWS[:4]), model.get_metrics_result())
    tell(model)


def test_fits_that_go_on() -> None:
    model = classifier()
    histories = [
        model.fit(ROWS, CLASSES, epochs=2, verbose=0),
        model.fit(ROWS, CLASSES, initial_epoch=2, epochs=3, verbose=0),
    ]
    show([history.history for history in histories], histories[0] is histories[1])
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    tell(model, model.fit(ROWS, CLASSES, verbose=0))


# -- callbacks ---------------------------------------------------------------------------------------------------------


def test_callbacks_are_called_as_ever() -> None:
    model, called = classifier(), Called()
    callbacks = [called]
    history = model.fit(ROWS, CLASSES, epochs=2, batch_size=20, validation_split=0.5, callbacks=callbacks, verbose=0)
    assert callbacks == [called]
    show(called.calls)
    tell(model, history)


def test_callbacks_that_change_the_training(tmp_path: Path) -> None:
    model = regressor()
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=10.0, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best-{epoch}.weights.h5", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, sorted(logs))),
    ]
    history = model.fit(ROWS, VALUES, epochs=8, validation_split=0.25, callbacks=callbacks, verbose=0)
    show(callbacks[0].stopped_epoch, callbacks[0].best_epoch, float(model.optimizer.learning_rate))
    show(sorted(one.name for one in tmp_path.iterdir()), (tmp_path / "log.csv").read_text())
    tell(model, history)


def test_a_rate_that_a_callback_sets_and_a_training_that_it_stops() -> None:
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                self.model.stop_training = True

    model = classifier()
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    history = model.fit(ROWS, CLASSES, epochs=5, batch_size=8, callbacks=[schedule, Stop()], verbose=0)
    tell(model, history)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_a_callback_arrives_as_it_was(error: type[BaseException]) -> None:
    class Failing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise error("enough")

    model = classifier()
    with pytest.raises(error, match="enough") as raised:
        model.fit(ROWS, CLASSES, epochs=3, callbacks=[Failing()], verbose=0)
    show(repr(raised.value.__context__))
    tell(model)


def test_a_list_of_callbacks_that_is_the_users() -> None:
    model, called = classifier(), Called()
    made = keras.callbacks.CallbackList([called], add_history=True, model=model, epochs=1, verbose=0, steps=1)
    history = model.fit(ROWS, CLASSES, callbacks=made, verbose=0)
    show([type(one).__name__ for one in made.callbacks], called.calls)
    tell(model, history)


# -- what is the user's own --------------------------------------------------------------------------------------------


def test_a_train_step_of_ones_own() -> None:
    class Stepping(keras.Model):
        def train_step(self, *given: Any) -> Any:
            logs = super().train_step(*given)
            return {**logs, "twice": 2 * logs["loss"]} if isinstance(logs, dict) else logs

    model = regressor(Stepping, metrics=["mae"])
    tell(model, model.fit(ROWS, VALUES, epochs=2, verbose=0))


def test_a_model_and_a_fit_of_ones_own() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras.layers.Dense(3)

        def call(self, inputs: Any, training: bool = False) -> Any:
            self.add_loss(0.01 * keras.ops.sum(keras.ops.square(inputs)))
            return self.inner(inputs)

        def fit(self, *args: Any, **kwargs: Any) -> Any:
            kwargs.setdefault("verbose", 0)
            return super().fit(*args, **kwargs)

    model = Own()
    model.compile(optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    tell(model, model.fit(ROWS, CLASSES, epochs=2))


def test_mistakes_are_told_as_ever() -> None:
    model = classifier()
    told = []
    for mistake in (
        lambda: keras.Sequential([keras.layers.Dense(1)]).fit(ROWS, VALUES),
        lambda: model.fit(ROWS, CLASSES[:5], verbose=0),
        lambda: model.fit(ROWS[:, :2], CLASSES, verbose=0),
        lambda: model.fit(ROWS, CLASSES, no_such_argument=1),
        lambda: model.evaluate(None, None),
    ):
        with pytest.raises(Exception) as raised:  # noqa: PT011  whichever it is
            mistake()
        told.append((type(raised.value).__name__, str(raised.value).partition("\n")[0][:80]))
    show(told)
    tell(model)


def test_models_are_saved_loaded_and_cloned(tmp_path: Path) -> None:
    model = classifier()
    model.fit(ROWS, CLASSES, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    numpy.testing.assert_array_equal(loaded.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))
    tell(loaded, loaded.fit(ROWS, CLASSES, verbose=0))
    show(keras.models.clone_model(model).to_json(), model.get_config(), model.get_compile_config())
