"""Record Optuna: a run for every study that is optimised, and a child of it for every trial.

What is recorded is the business of ``optuna_studies``, which is imported with the first trial.
"""

from __future__ import annotations

from typing import Any, Final

from autolog.hooks import Call, Hook, Integration

optuna: Final = Integration("optuna", requires="optuna>=3.0")


@optuna.around("optuna.study.study:Study.optimize", within=True)
def optimize(call: Call) -> Hook:
    """Record the optimisation of a study; its trials tell of themselves, as those of ask-and-tell do."""
    from autolog.integrations.optuna_studies import begin_optimization, end_optimization

    optimization = begin_optimization(call)
    yield
    if optimization is not None:
        end_optimization(optimization, call.error)


@optuna.listen("optuna.study.study:Study.ask")
def ask(trial: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Begin the run of a trial."""
    from autolog.integrations.optuna_studies import begin_trial

    begin_trial(args[0], trial)


@optuna.listen("optuna.trial._trial:Trial._suggest")
def suggest(value: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Log a param as it is suggested, before anything is trained with it."""
    from autolog.integrations.optuna_studies import log_param

    log_param(args[0], args[1], value)


@optuna.listen("optuna.trial._trial:Trial.report")
def report(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log an intermediate value."""
    from autolog.integrations.optuna_studies import log_report

    log_report(args[0], args[2])


@optuna.listen("optuna.trial._trial:Trial.set_user_attr")
def set_attribute(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Tag a trial with an attribute of the user's."""
    from autolog.integrations.optuna_studies import log_attribute

    log_attribute(*args)


@optuna.listen("optuna.study._tell:_tell_with_warning")
def tell(told: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """End the run of a trial, as its study was told that it has ended."""
    from autolog.integrations.optuna_studies import end_trial

    end_trial(args[0], args[1], told)


@optuna.listen("optuna.study._optimize:_log_failed_trial", before=True)
def log_failed_trial(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Keep the exception that a trial has failed of."""
    from autolog.integrations.optuna_studies import log_failure

    # What comes before them is the trial, or since Optuna 5 its number and its params.
    message, exception, _value = args[-3:]
    log_failure(message, exception)


@optuna.listen("optuna.samplers._lazy_random_state:LazyRandomState.__init__")
def seed_sampler(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note the seed of a sampler, which keeps only what it has made of it."""
    from autolog.integrations.optuna_settings import note_seed

    note_seed(*args)
