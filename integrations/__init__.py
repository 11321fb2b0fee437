"""The frameworks whose trainings are recorded: a table from name to ``module:Integration``.

Nothing is imported until the framework itself is.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from typing import cast

from autolog.errors import InvalidParameter
from autolog.guard import guard
from autolog.hooks import Integration

INTEGRATIONS: dict[str, str] = {
    "sklearn": "autolog.integrations.sklearn:sklearn",
    "xgboost": "autolog.integrations.xgboost:xgboost",
    "lightgbm": "autolog.integrations.lightgbm:lightgbm",
    "keras_tuner": "autolog.integrations.keras_tuner:keras_tuner",
    "optuna": "autolog.integrations.optuna:optuna",
    "torch": "autolog.integrations.torch:torch",
    "accelerate": "autolog.integrations.accelerate:accelerate",
    "torchmetrics": "autolog.integrations.torchmetrics:torchmetrics",
    "transformers": "autolog.integrations.transformers:transformers",
    "keras": "autolog.integrations.keras:keras",
    "tensorflow": "autolog.integrations.tensorflow:tensorflow",
    "tensorboard": "autolog.integrations.tensorboard:tensorboard",
    "lightning": "autolog.integrations.lightning:lightning",
    "loaders": "autolog.integrations.loaders:loaders",
}


def load_integrations(names: Collection[str] | None, exclude: Collection[str]) -> Iterator[Integration]:
    """Yield the integrations of the table: all, or those named, less those excluded.

    Raises:
        InvalidParameter: a name is neither in the table nor a third party's.
    """
    table = dict(INTEGRATIONS)
    unknown = {name for name in (*(names or ()), *exclude) if name not in table}
    if unknown:
        table.update(find_third_party())
    for name in sorted(unknown):
        if name not in table:
            raise InvalidParameter(f"there is no integration {name!r}; there are {', '.join(sorted(table))}")
    for name, target in table.items():
        if (names is None or name in names) and name not in exclude:
            with guard(f"loading the integration {name}"):
                yield load_integration(target)


def load_integration(target: str) -> Integration:
    """Return the integration at ``module:attribute``."""
    module, _, attribute = target.partition(":")
    return cast("Integration", getattr(importlib.import_module(module), attribute))


def find_third_party() -> dict[str, str]:
    """Return the integrations that other distributions register in the entry-point group ``autolog.integrations``.

    It reads the metadata of every installed distribution, which takes tens of milliseconds.
    """
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group="autolog.integrations")}
