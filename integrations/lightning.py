"""Record Lightning: fits with every metric that the module logs, and what is evaluated after them.

Both packages that Lightning comes as are followed in the same way. Nothing is added to the trainer's callbacks: its
own loops are listened to. What is recorded is the business of the modules that are named here, which are imported
with Lightning itself.
"""

from __future__ import annotations

from typing import Final

from autolog.guard import guard
from autolog.hooks import Call, Hook, Integration
from autolog.training import silence

lightning: Final = Integration("lightning", requires="lightning>=2.2")


def _in_both(*targets: str) -> list[str]:
    """Return targets in either of the packages."""
    return [f"{package}.{target}" for package in ("lightning.pytorch", "pytorch_lightning") for target in targets]


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


_CONNECTOR: Final = "trainer.connectors.logger_connector.logger_connector:_LoggerConnector"


@lightning.observe(*_in_both(f"{_CONNECTOR}.log_metrics", "loggers.utilities:_log_hyperparams"), within=True)
def log_elsewhere(_: Call) -> Hook:
    """Keep what Lightning itself hands to its loggers from being recorded a second time."""
    with silence():
        yield


_NOTES: Final = "autolog.integrations.lightning_notes"

lightning.listen(*_in_both("loops.fit_loop:_FitLoop.on_run_start"), before=True)(f"{_NOTES}:note_start")
lightning.listen(
    *_in_both(
        "loops.optimization.automatic:_AutomaticOptimization.run",
        "loops.optimization.manual:_ManualOptimization.run",
    ),
    before=True,
)(f"{_NOTES}:note_batch")
lightning.listen(*_in_both(f"{_CONNECTOR}.update_train_step_metrics"))(f"{_NOTES}:note_step")
lightning.listen(*_in_both(f"{_CONNECTOR}.update_train_epoch_metrics"), before=True)(f"{_NOTES}:note_epoch")
lightning.listen(*_in_both(f"{_CONNECTOR}.update_eval_step_metrics"))(f"{_NOTES}:note_evaluation_step")
lightning.listen(*_in_both(f"{_CONNECTOR}.log_eval_end_metrics"))(f"{_NOTES}:note_evaluation")
lightning.listen(*_in_both("trainer.trainer:Trainer.save_checkpoint"))(f"{_NOTES}:note_checkpoint")
lightning.listen(*_in_both("callbacks.model_checkpoint:ModelCheckpoint._remove_checkpoint"))(
    f"{_NOTES}:note_removed_checkpoint"
)
lightning.listen(*_in_both("core.saving:_load_from_checkpoint"))(f"{_NOTES}:note_loaded_checkpoint")
