"""MLflow's ``autolog()`` and its switches, as other names for ``enable`` and ``disable``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec.structs import replace

from autolog import tracking
from autolog.enabling import disable as disable_autologging
from autolog.enabling import enable
from autolog.integrations import INTEGRATIONS

# MLflow's flavors that are integrations of another name here.
_FLAVORS: Final = {"pytorch": "torch", "pytorch_lightning": "lightning"}


def autolog(
    log_input_examples: bool = False,  # noqa: ARG001  MLflow's; no example is ever taken of the user's data
    log_model_signatures: bool = True,  # noqa: ARG001  MLflow's; a signature costs nothing here
    log_models: bool = True,
    log_datasets: bool = True,
    log_traces: bool = True,  # noqa: ARG001  MLflow's; traces are of language models
    disable: bool = False,
    exclusive: bool = False,  # noqa: ARG001  MLflow's
    disable_for_unsupported_versions: bool = False,  # noqa: ARG001  MLflow's
    silent: bool = False,
    extra_tags: Mapping[str, str] | None = None,
    exclude_flavors: Collection[str] | None = None,
) -> None:
    """Record every training from here on, or stop: ``enable`` and ``disable`` with MLflow's arguments.

    The store and the experiment that are in force stay so.

    Args:
        log_input_examples: accepted for MLflow's sake.
        log_model_signatures: accepted for MLflow's sake.
        log_models: whether to store the trained models.
        log_datasets: whether to describe the data sets.
        log_traces: accepted for MLflow's sake.
        disable: stop instead.
        exclusive: accepted for MLflow's sake.
        disable_for_unsupported_versions: accepted for MLflow's sake.
        silent: log errors only.
        extra_tags: for every run.
        exclude_flavors: names of frameworks to leave alone; what is unknown here is left alone anyway.
    """
    if disable:
        disable_autologging()
        return
    names = {_FLAVORS.get(flavor, flavor) for flavor in exclude_flavors or ()}
    experiment = tracking.current_experiment()
    enable(
        tracking.current().settings.backend,
        exclude=sorted(names & set(INTEGRATIONS)),
        log_models=log_models,
        log_datasets=log_datasets,
        silent=silent,
        tags=extra_tags,
    )
    tracking.set_experiment_name(experiment)


def enable_system_metrics_logging() -> None:
    """Sample the machine's use for the runs that begin from now on."""
    _set_system_metrics(wanted=True)


def disable_system_metrics_logging() -> None:
    """Leave the machine's use out of the runs that begin from now on."""
    _set_system_metrics(wanted=False)


def _set_system_metrics(*, wanted: bool) -> None:
    tracking.configure(replace(tracking.current().settings, system_metrics=wanted))
