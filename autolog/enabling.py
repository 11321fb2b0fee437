"""enable() and disable(): the entrance."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Final

from autolog import tracking
from autolog.config import load_settings
from autolog.guard import Strictness, guard
from autolog.hooks import Integration
from autolog.integrations import find_third_party, load_integration, load_integrations
from autolog.late_imports import importing

logger = logging.getLogger("autolog")

_installed: Final[list[Integration]] = []
_turn = threading.RLock()


class Enabled:
    """What enable() returns: inside ``with``, recording is on, and off again after it."""

    def __enter__(self) -> Enabled:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        disable()


def enable(
    backend: str | os.PathLike[str] | None = None,
    *,
    experiment: str | None = None,
    integrations: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    log_models: bool | None = None,
    log_datasets: bool | None = None,
    log_environment: bool | None = None,
    system_metrics: bool | None = None,
    tags: Mapping[str, str] | None = None,
    silent: bool | None = None,
    strict: bool | None = None,
) -> Enabled:
    """Record every training of this process from here on.

    It imports no framework: each is hooked as it is imported, and at once where it has been.
    Calling it again puts the new settings in force. What is not given is taken from the variable
    ``AUTOLOG_<NAME>``, and else has the default.

    Args:
        backend: URL of the store, such as ``file:./autolog-runs`` (the default) or ``sqlite:///runs.db``.
        experiment: name of the experiment that new runs belong to; ``Default`` by default.
        integrations: names of the frameworks to record; all by default.
        exclude: names of the frameworks to leave alone.
        log_models: whether integrations store the trained model; on by default.
        log_datasets: whether data sets are described; on by default.
        log_environment: whether git, packages and machine are recorded; on by default.
        system_metrics: whether the use of CPU, memory, disk, network and GPU is sampled; on by default.
        tags: for every run.
        silent: log errors only.
        strict: raise autolog's own errors instead of logging them, for tests and CI.

    Returns:
        A handle that calls ``disable`` at the end of a ``with`` block.

    Raises:
        InvalidParameter: the scheme of the URL, or the name of an integration, is not known.
    """
    settings = load_settings(
        backend=backend,
        experiment=experiment,
        integrations=integrations,
        exclude=exclude,
        log_models=log_models,
        log_datasets=log_datasets,
        log_environment=log_environment,
        system_metrics=system_metrics,
        tags=tags,
        silent=silent,
        strict=strict,
    )
    _check_scheme(settings.backend)
    wanted = list(load_integrations(settings.integrations, settings.exclude))
    with _turn:
        tracking.configure(settings)
        tracking.set_experiment_name(None)
        Strictness.enabled = settings.strict
        logger.setLevel(logging.ERROR if settings.silent else logging.NOTSET)
        for integration in [one for one in _installed if one not in wanted]:
            integration.uninstall()
            _installed.remove(integration)
        for integration in wanted:
            _install(integration)
    if settings.integrations is None:
        _discover(settings.exclude)
    return Enabled()


def disable() -> None:
    """Record no further training, and put every framework back as it was.

    Runs that are open stay open, and the functions that log go on working.
    """
    with _turn:
        while _installed:
            _installed.pop().uninstall()
        Strictness.enabled = False


def is_enabled() -> bool:
    """Say whether trainings are being recorded."""
    return any(integration.records_trainings for integration in _installed)


def _install(integration: Integration) -> None:
    with guard(f"installing the integration {integration.name}"):
        integration.install()
        if integration not in _installed:
            _installed.append(integration)


def _discover(exclude: Collection[str]) -> None:
    """Install what third parties bring, aside: finding it takes longer than all the rest of enable()."""

    def discover() -> None:
        with guard("looking for integrations of third parties"):
            with importing():
                targets = find_third_party()
            for name, target in targets.items():
                if name not in exclude:
                    with importing():
                        found = load_integration(target)
                    with _turn:
                        if _installed:
                            _install(found)

    with guard("starting a thread"):
        threading.Thread(target=discover, name="autolog-discovery", daemon=True).start()


def _check_scheme(url: str) -> None:
    from autolog.backends import find_target

    find_target(url)
