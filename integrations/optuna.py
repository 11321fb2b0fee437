"""Record Optuna: a run for every study that is optimised, and a child of it for every trial.

``optimize`` asks for its trials, and tells of them, as a user may: both are followed in the same places.
What is recorded is the business of the modules that are named here, which are imported with Optuna itself.
"""

from __future__ import annotations

from typing import Final

from autolog.hooks import Call, Hook, Integration

optuna: Final = Integration("optuna", requires="optuna>=3.0")

_STUDIES: Final = "autolog.integrations.optuna_studies"


@optuna.around("optuna.study.study:Study.optimize", within=True)
def optimize(call: Call) -> Hook:
    """Record the optimisation of a study; its trials tell of themselves."""
    from autolog.integrations.optuna_studies import begin_optimization, end_optimization

    record = begin_optimization(call)
    yield
    if record is not None:
        end_optimization(record, call.error)


optuna.listen("optuna.study.study:Study.ask")(f"{_STUDIES}:note_ask")
optuna.listen("optuna.trial._trial:Trial._suggest")(f"{_STUDIES}:note_param")
optuna.listen("optuna.trial._trial:Trial.report")(f"{_STUDIES}:note_report")
optuna.listen("optuna.trial._trial:Trial.set_user_attr")(f"{_STUDIES}:note_attribute")
optuna.listen("optuna.study._tell:_tell_with_warning")(f"{_STUDIES}:note_tell")
optuna.listen("optuna.study._optimize:_log_failed_trial", before=True)(f"{_STUDIES}:note_failure")
optuna.listen("optuna.samplers._lazy_random_state:LazyRandomState.__init__")(
    "autolog.integrations.optuna_settings:note_seed"
)
