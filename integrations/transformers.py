"""Record the Trainer of Hugging Face's transformers: its arguments, what it logs, its checkpoints and evaluations.

Nothing is added to the trainer's callbacks: what hands events to them is listened to. What is recorded is the business
of ``transformers_trainings``, which is imported with the trainer itself.
"""

from __future__ import annotations

from typing import Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.training import silence

transformers: Final = Integration("transformers", requires="transformers>=4.41")


@transformers.around("transformers.trainer:Trainer.train", within=True)
def train(call: Call) -> Hook:
    """Record a training, in the process of rank zero."""
    from autolog.integrations import transformers_trainings as trainings

    found = trainings.begin(call)
    yield
    if found is not None:
        with guard("recording the end of a training"):
            found.end()


@transformers.around("transformers.trainer:Trainer.evaluate", within=True)
def evaluate(call: Call) -> Hook:
    """Add what an evaluation finds to the run that its model was trained in."""
    from autolog.integrations import transformers_trainings as trainings

    found = trainings.begin_evaluation(call)
    yield
    if found is not None:
        with guard("recording the end of an evaluation"):
            found.end()


@transformers.around("transformers.trainer:Trainer.predict", within=True)
def predict(call: Call) -> Hook:
    """Add the metrics of predictions to the run that their model was trained in."""
    from autolog.integrations import transformers_trainings as trainings

    yield
    if call.error is None:
        trainings.log_predictions(call.instance, call.result)


@transformers.observe(
    "transformers.integrations.integration_utils:TensorBoardCallback.on_log",
    "transformers.integrations.integration_utils:TensorBoardCallback.on_train_begin",
    within=True,
)
def log_elsewhere(_: Call) -> Hook:
    """Keep what the trainer itself hands to TensorBoard from being recorded a second time."""
    with silence():
        yield


_ROOM: Final = "autolog.integrations.transformers_trainings"

_HANDLER: Final = "transformers.trainer_callback:CallbackHandler"

transformers.listen(f"{_HANDLER}.on_train_begin", before=True)(f"{_ROOM}:note_start")
transformers.listen(f"{_HANDLER}.on_log", before=True)(f"{_ROOM}:note_log")
transformers.listen("transformers.trainer:Trainer._save_checkpoint")(f"{_ROOM}:note_checkpoint")
