"""Trainings with Keras, in one process: run with autolog and without, on whichever backend KERAS_BACKEND names.

Usage: ``python keras_scenarios.py recorded|plain [scenario …]``. It prints JSON: for every scenario what there is to
see of it in the program, and the run that was the last one then.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import pickle
import random
import re
import sys
import warnings
from pathlib import Path
from typing import Any

RECORDED = sys.argv[1] == "recorded"
if RECORDED:
    import autolog

    autolog.enable(strict=True)

import keras  # noqa: E402  autolog comes first
import numpy as np  # noqa: E402  the same
from sklearn.metrics import accuracy_score  # noqa: E402  the same

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")
X_VAL, Y_VAL = X[64:], Y[64:]
X_TRAIN, Y_TRAIN = X[:64], Y[:64]
SCENARIOS: dict[str, Any] = {}
# Those in which Keras itself does the same on every backend are run on the one that takes the least time.
QUICKEST = "torch"


def scenario(function: Any) -> Any:
    SCENARIOS[function.__name__] = function
    return function


def scenario_anywhere(function: Any) -> Any:
    return scenario(function) if keras.backend.backend() == QUICKEST else function


def classifier(name: str | None = None, **options: Any) -> Any:
    inputs = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    hidden = keras.layers.Dropout(0.1, name="dropout")(hidden)
    outputs = keras.layers.Dense(2, activation="softmax", name="classes")(hidden)
    model = keras.Model(inputs, outputs, name=name)
    told = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**told | options)
    return model


def digest(*values: Any) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(value).tobytes() for value in values)).hexdigest()[:16]


def frameworks() -> list[str]:
    """Return what is imported of what a hook could make Keras import."""
    known = {"tensorflow", "torch", "jax", "h5py", "pandas", "rich", "matplotlib", "IPython", "grain"}
    return sorted(known & sys.modules.keys())


def weights(model: Any) -> str:
    return digest(*model.get_weights())


def random_state() -> dict[str, str]:
    found = {
        "python": hashlib.sha256(repr(random.getstate()).encode()).hexdigest()[:16],
        "numpy": digest(np.random.get_state()[1], np.random.get_state()[2]),
    }
    generator = keras.src.random.seed_generator.global_seed_generator()
    found["keras"] = digest(keras.ops.convert_to_numpy(generator.state))
    if keras.backend.backend() == "torch":
        import torch

        found["torch"] = digest(torch.get_rng_state().numpy())
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.eager import context

        found["tensorflow"] = hashlib.sha256(repr(context.context()._rng.getstate()).encode()).hexdigest()[:16]
    return found


# -- fit ---------------------------------------------------------------------------------------------------------------


@scenario
def functional() -> Any:
    model = classifier("digits")
    path = str(Path("best.weights.h5").resolve())
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, min_delta=100.0, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=100.0, min_lr=0.0),
        keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True, save_weights_only=True),
    ]
    before = list(callbacks)
    history = model.fit(
        X_TRAIN, Y_TRAIN, epochs=9, batch_size=16, validation_data=(X_VAL, Y_VAL), callbacks=callbacks, verbose=0
    )
    imported = frameworks()
    return {
        "history": history.history,
        "imported": imported,
        "epochs": history.epoch,
        "config": {key: str(value) for key, value in model.optimizer.get_config().items()},
        "counts": [model.count_params(), len(model.layers)],
        "callbacks_kept": callbacks == before and [type(one).__name__ for one in callbacks],
        "told": [type(one).__name__ for one in callbacks],
        "stopped": callbacks[0].stopped_epoch,
        "best": [callbacks[0].best_epoch, callbacks[0].best],
        "path": path,
        "json": model.to_json(),
        "attributes": sorted(vars(model)),
    }


@scenario_anywhere
def printed() -> Any:
    model = classifier()
    model.fit(X, Y, epochs=2, verbose=2)
    model.evaluate(X_VAL, Y_VAL, verbose=2)
    model.summary()
    return {"weights": weights(model)}


@scenario
def scheduled() -> Any:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5, staircase=True)
    model = classifier(optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    history = model.fit(X, Y, epochs=3, batch_size=32, verbose=0)
    return {"history": history.history, "weights": weights(model)}


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of the user's own, which would notice one call too many."""

    calls = 0

    def __call__(self, step: Any) -> Any:
        type(self).calls += 1
        return 0.1

    def get_config(self) -> Any:
        raise AssertionError("nobody has asked for it")


@scenario_anywhere
def users_schedule() -> Any:
    model = classifier(optimizer=keras.optimizers.SGD(Rates()), run_eagerly=True, jit_compile=False)
    model.fit(X, Y, epochs=2, batch_size=48, verbose=0)
    return {"calls": Rates.calls, "weights": weights(model)}


class Two(keras.Model):
    """A subclassed model, built by its first batch, with a training step of its own that returns its own logs."""

    calls = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first = keras.layers.Dense(8, activation="relu")
        self.second = keras.layers.Dense(2, activation="softmax")

    def call(self, inputs: Any) -> Any:
        type(self).calls += 1
        return self.second(self.first(inputs))


@scenario
def subclassed() -> Any:
    model = Two(name="twins")
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    history = model.fit(X, Y, epochs=2, batch_size=32, verbose=0, class_weight={0: 1.0, 1: 2.0})
    return {"history": history.history, "weights": weights(model), "calls": Two.calls}


class Tripled(keras.Model):
    """Its own ``fit`` takes what it likes, and calls Keras' once."""

    def fit(self, data: Any, rounds: int) -> Any:
        return super().fit(data["x"], data["y"], epochs=rounds * 3, verbose=0)


@scenario_anywhere
def users_fit() -> Any:
    inputs = keras.Input((4,))
    model = Tripled(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit({"x": X, "y": Y}, 1)
    return {"history": history.history}


class AddsToLogs(keras.callbacks.Callback):
    """A callback as many write them: it adds to the logs, looks at what is there, and sees its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["added"] = epoch * 2.0
        self.seen.append(sorted(logs))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append((batch, sorted(logs)))


@scenario_anywhere
def users_callback() -> Any:
    model, callback = classifier(), AddsToLogs()
    listed = keras.callbacks.CallbackList([callback], add_history=True, model=model)
    history = model.fit(X, Y, epochs=2, batch_size=48, callbacks=listed, verbose=0)
    return {
        "history": history.history,
        "seen": callback.seen,
        "list": [type(one).__name__ for one in listed.callbacks],
        "attributes": sorted(vars(listed)),
    }


@scenario_anywhere
def several_inputs_and_outputs() -> Any:
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.Concatenate(name="joined")([left, right])
    outputs = {
        "one": keras.layers.Dense(1, name="one")(joined),
        "other": keras.layers.Dense(1, name="other")(joined),
    }
    model = keras.Model([left, right], outputs)
    model.compile("sgd", {"one": "mse", "other": "mae"}, loss_weights={"one": 1.0, "other": 0.5})
    targets = {"one": X[:, :1], "other": X[:, 1:2]}
    history = model.fit({"left": X[:, :2], "right": X[:, 2:]}, targets, epochs=1, verbose=0)
    return {"history": history.history}


@scenario_anywhere
def generator() -> Any:
    given = []

    def batches() -> Any:
        while True:
            given.append(len(given))
            yield X[:16], Y[:16]

    model = classifier()
    history = model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0)
    return {"history": history.history, "given": len(given)}


class Batches(keras.utils.PyDataset):
    """It counts how often it is asked."""

    asked: tuple[str, ...] = ()

    def __len__(self) -> int:
        Batches.asked += ("len",)
        return 3

    def __getitem__(self, index: int) -> Any:
        Batches.asked += (f"item {index}",)
        return X[index * 32 : index * 32 + 32], Y[index * 32 : index * 32 + 32]


@scenario_anywhere
def py_dataset() -> Any:
    model = classifier()
    history = model.fit(Batches(), epochs=1, shuffle=False, verbose=0)
    return {"history": history.history, "asked": len(Batches.asked)}


@scenario
def pipeline() -> Any:
    if keras.backend.backend() != "tensorflow":
        return loader()
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96, seed=1).batch(32).repeat().prefetch(2)
    held_out = tf.data.Dataset.from_tensor_slices((X_VAL, Y_VAL)).batch(16)
    model = classifier()
    history = model.fit(batches, steps_per_epoch=3, epochs=2, validation_data=held_out, verbose=0)
    evaluated = model.evaluate(held_out, verbose=0)
    return {"history": history.history, "evaluated": evaluated}


def loader() -> Any:
    import torch

    # Keras seeds PyTorch only where it computes with it.
    torch.manual_seed(7)
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    batches = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    model = classifier()
    history = model.fit(batches, epochs=2, verbose=0)
    return {"history": history.history}


@scenario
def continued() -> Any:
    model = classifier()
    first = model.fit(X, Y, epochs=2, verbose=0)
    begun = last_run()
    second = model.fit(X, Y, epochs=5, initial_epoch=2, batch_size=16, verbose=0)
    gone_on = last_run()
    third = model.fit(X, Y, epochs=1, verbose=0)
    return {
        "histories": [one.history["loss"] for one in (first, second, third)],
        "runs": [begun, gone_on, last_run()],
        "weights": weights(model),
    }


@scenario_anywhere
def several_optimizers() -> Any:
    model = Rivals()
    history = model.fit(X, Y, epochs=2, batch_size=48, verbose=0)
    return {"history": history.history, "calls": model.calls}


class Rivals(keras.Model):
    """A model with two optimizers and a step of its own, which does not train anything here."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.calls = 0
        self.compile(run_eagerly=True, jit_compile=False)
        self.one_optimizer = keras.optimizers.Adam(0.25)
        self.other_optimizer = keras.optimizers.SGD(0.5)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def train_step(self, *args: Any) -> Any:
        self.calls += 1
        logs = {"one_loss": 1.0 + self.calls, "other_loss": 2.0}
        return (logs, args[0]) if keras.backend.backend() == "jax" else logs


@scenario_anywhere
def in_a_callback() -> Any:
    other = classifier("other")
    trained = []

    def train_other(epoch: int, logs: Any) -> None:
        trained.append(other.fit(X, Y, epochs=1, verbose=0).history["loss"][0])

    model = classifier("outer")
    callback = keras.callbacks.LambdaCallback(on_epoch_end=train_other)
    history = model.fit(X, Y, epochs=2, callbacks=[callback], verbose=0)
    return {"history": history.history, "trained": trained}


@scenario_anywhere
def failing() -> Any:
    model = classifier()

    def fail(epoch: int, logs: Any) -> None:
        if epoch == 1:
            raise ZeroDivisionError("it went wrong")

    try:
        model.fit(X, Y, epochs=3, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=fail)], verbose=0)
    except ZeroDivisionError as error:
        return {"error": str(error), "cause": repr(error.__cause__), "context": repr(error.__context__)}
    raise AssertionError("it should have failed")


@scenario_anywhere
def not_compiled() -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    try:
        model.fit(X, Y)
    except ValueError as error:
        return {"error": str(error)}
    raise AssertionError("it should have failed")


# -- after a fit -------------------------------------------------------------------------------------------------------


@scenario
def evaluated() -> Any:
    model = classifier()
    model.fit(X_TRAIN, Y_TRAIN, epochs=2, verbose=0)
    one = model.evaluate(X_VAL, Y_VAL, verbose=0)
    model.fit(X_TRAIN, Y_TRAIN, epochs=3, initial_epoch=2, verbose=0)
    other = model.evaluate(X_VAL, Y_VAL, verbose=0, return_dict=True)
    accuracy = accuracy_score(Y_VAL, model.predict(X_VAL, verbose=0).argmax(axis=1))
    return {"values": [one, other], "accuracy": accuracy, "kinds": [type(one).__name__, type(other).__name__]}


@scenario
def by_batches() -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)], name="stream")
    model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
    trained, tested = [], []
    for start in range(0, 96, 32):
        batch = X[start : start + 32], Y[start : start + 32]
        trained.append(model.train_on_batch(*batch))
        tested.append(
            [model.test_on_batch(X_VAL[:8], Y_VAL[:8]), model.test_on_batch(X_VAL[8:], Y_VAL[8:], return_dict=True)]
        )
    run = last_run()
    return {"trained": trained, "tested": tested, "weights": weights(model), "streamed": run}


@scenario_anywhere
def two_by_batches() -> Any:
    models = []
    for name in ("generator", "critic"):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)], name=name)
        model.compile("sgd", "mse")
        models.append(model)
    losses = [[float(model.train_on_batch(X[:32], Y[:32])) for model in models] for _ in range(3)]
    return {"losses": losses}


@scenario_anywhere
def objects() -> Any:
    model = classifier()
    model.fit(X, Y, epochs=1, verbose=0)
    model.save("model.keras")
    loaded = keras.models.load_model("model.keras")
    cloned = keras.models.clone_model(model)
    copied = copy.deepcopy(model)
    pickled = pickle.loads(pickle.dumps(model))
    predictions = model.predict(X, verbose=0)
    return {
        "same": [bool(np.array_equal(one.predict(X, verbose=0), predictions)) for one in (loaded, copied, pickled)],
        "cloned": cloned.to_json() == model.to_json(),
        "functions": [
            pickle.loads(pickle.dumps(keras.Model.fit)) is keras.Model.fit,
            keras.Model.fit.__name__,
            keras.Model.fit.__qualname__,
            pickle.loads(pickle.dumps(model.fit)).__name__,
        ],
        "attributes": sorted(vars(model)),
        "class": sorted(set(dir(type(model))) - {"__init_subclass__"}),
    }


# -- running them ------------------------------------------------------------------------------------------------------


def last_run() -> str | None:
    run = autolog.last_active_run() if RECORDED else None
    return run.info.run_id if run is not None else None


def main(names: list[str]) -> None:
    found = {}
    for name in names or list(SCENARIOS):
        keras.utils.set_random_seed(7)
        output = io.StringIO()
        with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(output):
            warnings.simplefilter("always")
            observed = SCENARIOS[name]()
        run = last_run()
        observed |= {
            "random": random_state(),
            "frameworks": frameworks(),
            "output": re.sub(r"\d+(us|ms|s)(/step|/epoch)?", "T", output.getvalue()),
            "warnings": [str(one.message) for one in warned if issubclass(one.category, UserWarning)],
        }
        found[name] = {"observed": observed, "run": run}
    if RECORDED:
        assert autolog.flush(60)
    print(json.dumps(found, default=float))


if __name__ == "__main__":
    main(sys.argv[2:])
