"""Whose code autolog may call on its own: that of libraries known to compute and do nothing else.

Anybody else's may print, count its calls, draw random numbers, or end the program,
and a training must do what it does without autolog.
"""

from __future__ import annotations

import types
from typing import Any, Final

_KNOWN: Final = frozenset(
    {"sklearn", "xgboost", "lightgbm", "imblearn", "catboost", "numpy", "scipy", "joblib"}
    | {"builtins", "datetime", "decimal", "fractions", "pathlib", "re", "uuid"}
)
# What such a library keeps for its own tests counts calls and draws random numbers, as anybody's may.
_FOR_TESTS: Final = frozenset({"tests", "_mocking", "_testing"})


def is_known_code(value: Any) -> bool:
    """Say whether a class or function, or an object by its class, comes from a library that is known.

    Containers and partial functions are not: they run what they hold. Nor is what a library keeps for its own tests.
    """
    owner = value if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)) else type(value)
    library, *inner = (getattr(owner, "__module__", None) or "builtins").split(".")
    return library in _KNOWN and _FOR_TESTS.isdisjoint(inner)
