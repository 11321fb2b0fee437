"""Record Keras 3 on every backend: ``fit`` with its epochs, ``evaluate``, and training by batches.

What is recorded is the business of ``keras_fits`` and its neighbours, which are imported with the first training.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from autolog.hooks import Call, Hook, Integration
from autolog.predictions import note_predictions

keras: Final = Integration("keras", requires="keras>=3.0")


@keras.around("keras.src.models.model:Model+.fit", within=True)
def fit(call: Call) -> Hook:
    """Record a training; inside another one it adds to that one's run."""
    from autolog.integrations import keras_fits as fits
    from autolog.integrations.keras_streams import finish_stream

    if not call.is_nested:
        finish_stream(fits.model_of(call))
    present = fits.begin_fit(call)
    if present is None:
        yield
        return
    with present.present():
        yield
    present.finish(call)


@keras.around("keras.src.models.model:Model+.train_on_batch")
def train_on_batch(call: Call) -> Hook:
    """Record one call of a stream, which has a run of its own."""
    from autolog.integrations import keras_streams as streams
    from autolog.integrations.keras_fits import model_of
    from autolog.integrations.keras_logs import awaiting

    model = model_of(call)
    stream = streams.open_stream(call, model)
    with awaiting(model) as told:
        yield
    if call.error is not None:
        streams.finish_stream(model, call.error)
    else:
        stream.record(call.result if isinstance(call.result, dict) else told)


@keras.observe("keras.src.models.model:Model+.test_on_batch")
def test_on_batch(call: Call) -> Hook:
    """Take a batch into the mean of those that a stream is tested with between two of its steps."""
    from autolog.integrations.keras_fits import model_of
    from autolog.integrations.keras_logs import awaiting
    from autolog.integrations.keras_streams import stream_of

    model = model_of(call)
    with awaiting(model) as told:
        yield
    stream = stream_of(model)
    if call.error is None and stream is not None:
        stream.note_test(call.result if isinstance(call.result, dict) else told, call.argument("x"))


@keras.listen("keras.src.trainers.trainer:Trainer._flatten_metrics_in_order")
def note_metrics(_result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Note the names of what is returned as a list."""
    from autolog.integrations.keras_logs import note_logs

    note_logs(args[0], args[1])


# -- what Keras tells its callbacks ------------------------------------------------------------------------------------


@keras.listen("keras.src.callbacks.callback_list:CallbackList.on_train_begin")
def begin_training(_result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Describe a model that is built."""
    from autolog.integrations.keras_fits import present_fit

    if (present := present_fit(args[0])) is not None:
        present.describe_structure()


@keras.listen("keras.src.callbacks.callback_list:CallbackList.on_train_batch_end")
def end_batch(_result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Record a batch, where batches are recorded."""
    from autolog.integrations.keras_fits import present_fit

    if (present := present_fit(args[0])) is not None:
        present.end_batch(args[1], args[2])


@keras.listen("keras.src.callbacks.callback_list:CallbackList.on_epoch_end", before=True)
def ending_epoch(_result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Read what callbacks may change at the end of an epoch."""
    from autolog.integrations.keras_fits import present_fit

    if (present := present_fit(args[0])) is not None:
        present.note_learning_rates()


@keras.listen("keras.src.callbacks.history:History.on_epoch_end")
def note_logs(_result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Note what is in the history, to which callbacks may have added."""
    from autolog.integrations.keras_fits import present_fit

    if (present := present_fit(args[0])) is not None:
        present.logs = args[2]


@keras.listen("keras.src.callbacks.callback_list:CallbackList.on_epoch_end")
def end_epoch(_result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Record an epoch."""
    from autolog.integrations.keras_fits import present_fit

    if (present := present_fit(args[0])) is not None:
        present.end_epoch(args[1], args[2])


@keras.listen("keras.src.callbacks.model_checkpoint:ModelCheckpoint._should_save_model")
def save_model(result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Note where a checkpoint is about to be written."""
    from autolog.integrations.keras_fits import present_fit

    if result and (present := present_fit(args[0])) is not None:
        present.note_checkpoint(args[4], args[1])


# -- after a training --------------------------------------------------------------------------------------------------


@keras.observe("keras.src.models.model:Model+.evaluate")
def evaluate(call: Call) -> Hook:
    """Log what a trained model is evaluated for to its run."""
    from autolog.integrations import keras_evaluations as evaluations
    from autolog.integrations.keras_fits import model_of
    from autolog.integrations.keras_logs import awaiting

    model = model_of(call)
    with awaiting(model) as told:
        yield
    if call.error is None:
        evaluations.record(call, model, told)


@keras.observe("keras.src.models.model:Model+.predict", "keras.src.models.model:Model+.predict_on_batch")
def predict(call: Call) -> Hook:
    """Note what a model has predicted, so that metrics of it are attributed to its run."""
    yield
    if call.error is None:
        from autolog.integrations.keras_fits import model_of

        note_predictions(model_of(call), call.argument("x"), call.result, sys._getframe())  # noqa: SLF001  the documented way to the caller
