"""One file a tool, all of one shape, so that every tool goes through the same loops.

``begin(arguments)``            open the store and the first run, as the tool's documentation shows it
``log_metric(key, value, step)``, ``log_metrics(values, step)``, ``log_param(key, value)``
``flush()``                     wait until everything is stored, where the tool can say so without ending the run
``finish()``                    end the run; when it returns, everything is stored
``store_folder(arguments)``     where the tool stores, for its size

A tool that has no such call says so by ``None``. The file's own import must stay cheap beside the tool's.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def load_tool(name: str) -> ModuleType:
    """Return the file of a tool, and with it import the tool."""
    return importlib.import_module(f"tools.{name}")
