"""Record Lightning: fits with every metric that the module logs, and what is evaluated after them.

Both packages that Lightning comes as are followed in the same way. Nothing is added to the trainer's callbacks: its
own loops are listened to. What is recorded is the business of ``lightning_fits``, imported with the first training.
"""

from __future__ import annotations

from typing import Any, Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.training import silence

lightning: Final = Integration("lightning", requires="lightning>=2.2")


def _in_both(*targets: str) -> list[str]:
    """Return targets in either of the packages."""
    return [f"{package}.{target}" for package in ("lightning.pytorch", "pytorch_lightning") for target in targets]


_LOOP: Final = "loops.fit_loop:_FitLoop"
_CONNECTOR: Final = "trainer.connectors.logger_connector.logger_connector:_LoggerConnector"


@lightning.around(*_in_both("trainer.trainer:Trainer.fit"), within=True)
def fit(call: Call) -> Hook:
    """Record a fit, on rank zero."""
    from autolog.integrations import lightning_fits as fits

    found = fits.begin(call)
    yield
    if found is not None:
        with guard("recording the end of a fit"):
            found.end()
    call.error = fits.find_cause(call.error)


@lightning.around(*_in_both("trainer.trainer:Trainer.test", "trainer.trainer:Trainer.validate"), within=True)
def evaluate(call: Call) -> Hook:
    """Add what an evaluation finds to the run that its model was trained in."""
    from autolog.integrations import lightning_fits as fits

    found = fits.begin_evaluation(call)
    yield
    if found is not None:
        with guard("recording the end of an evaluation"):
            found.end()
    call.error = fits.find_cause(call.error)


@lightning.around(
    *_in_both("trainer.trainer:Trainer.predict"),
    *_in_both("tuner.tuning:Tuner.lr_find", "tuner.tuning:Tuner.scale_batch_size"),
    within=True,
)
def pass_over(_: Call) -> Hook:
    """Record nothing: neither a prediction nor what only looks for a setting is a training."""
    with silence():
        yield


@lightning.listen(*_in_both(f"{_LOOP}.on_run_start"), before=True)
def start(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what stands when the first batch is about to come: optimizers, schedulers, data."""
    from autolog.integrations.lightning_fits import fit_of

    if (found := fit_of(args[0].trainer)) is not None:
        found.start()


@lightning.listen(*_in_both(f"{_CONNECTOR}.on_batch_start"), before=True)
def start_batch(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log the learning rates of a step of training, where they have changed."""
    from autolog.integrations.lightning_fits import fit_of

    if (found := fit_of(args[0].trainer)) is not None and found.trainer.training:
        found.start_batch()


@lightning.listen(*_in_both(f"{_CONNECTOR}.update_train_step_metrics"))
def log_step(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what the module has logged in a step of training."""
    from autolog.integrations.lightning_fits import fit_of

    if (found := fit_of(args[0].trainer)) is not None:
        found.log_step()


@lightning.listen(*_in_both(f"{_CONNECTOR}.update_eval_step_metrics"))
def log_evaluation_step(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what the module has logged for one batch of an evaluation."""
    from autolog.integrations.lightning_fits import record_of

    if (found := record_of(args[0].trainer)) is not None:
        found.log_batch(args[1])


@lightning.listen(*_in_both(f"{_CONNECTOR}.update_train_epoch_metrics"), before=True)
def log_epoch(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log an epoch's values, before Lightning sets them back."""
    from autolog.integrations.lightning_fits import fit_of

    if (found := fit_of(args[0].trainer)) is not None:
        found.log_epoch()


@lightning.listen(*_in_both(f"{_CONNECTOR}.log_eval_end_metrics"))
def log_evaluation(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what an evaluation has found, of all its data loaders."""
    from autolog.integrations.lightning_fits import record_of

    if (found := record_of(args[0].trainer)) is not None:
        found.log_evaluation()


@lightning.observe(*_in_both(f"{_CONNECTOR}.log_metrics", "loggers.utilities:_log_hyperparams"), within=True)
def log_elsewhere(_: Call) -> Hook:
    """Keep what Lightning itself hands to its loggers from being recorded a second time."""
    with silence():
        yield


@lightning.listen(*_in_both("trainer.trainer:Trainer.save_checkpoint"))
def save_checkpoint(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note a checkpoint that has been saved."""
    from autolog.integrations.lightning_fits import fit_of

    if (found := fit_of(args[0])) is not None:
        found.checkpoints.note(args[1])


@lightning.listen(*_in_both("callbacks.model_checkpoint:ModelCheckpoint._remove_checkpoint"))
def remove_checkpoint(_: None, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note that a checkpoint is there no longer."""
    from autolog.integrations.lightning_fits import fit_of

    if (found := fit_of(args[1])) is not None:
        found.checkpoints.forget(args[2])


@lightning.listen(*_in_both("core.saving:_load_from_checkpoint"))
def load_checkpoint(model: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note that a model that was loaded belongs to the run that has saved it."""
    from autolog.attribution import attribute_model
    from autolog.integrations.lightning_checkpoints import run_of_checkpoint

    if (run := run_of_checkpoint(args[1])) is not None:
        attribute_model(model, run)
