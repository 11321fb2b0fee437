"""Module functions that are hooked and stay the very objects that they are.

A function that is replaced in its module can no longer be pickled by those who took it from there before:
scorers, partial functions, tables of functions. So the function keeps its identity, and runs other code.
That reaches everybody who holds it, under whatever name. It is done where the signature does not depend on the code:
in functions of ``(*args, **kwargs)`` that stand for another function, as decorators make them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Final

_ANYTHING: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
# Of no file, so that a traceback shows no source line for it.
FILE_NAME: Final = "<autolog>"

# Stands in the compiled template for what is to be called: no other constant in it is an integer.
_PLACE: Final = 602_214_076


def is_reroutable(function: Any) -> bool:
    """Say whether a function takes any arguments, and shows another function's signature."""
    if type(function) is not FunctionType or not hasattr(function, "__wrapped__"):
        return False
    code = function.__code__
    return code.co_flags & _ANYTHING == _ANYTHING and not (code.co_argcount or code.co_kwonlyargcount)


class Rerouting:
    """A function that calls ``around`` in place of its own body.

    Args:
        function: one that ``is_reroutable``.
        around: called as ``wrapping.Around``; the function that it gets has the original body.
    """

    def __init__(self, function: FunctionType, around: Callable[..., Any]) -> None:
        self._function: Final = function
        self._code: Final = function.__code__
        original = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        original.__kwdefaults__ = function.__kwdefaults__
        functools.update_wrapper(original, function)
        original.__dict__.update(function.__dict__)
        dispatch = functools.partial(around, original, None)
        template = _compile(self._code.co_freevars)
        self._rerouted: Final = template.replace(
            co_name=self._code.co_name,
            co_consts=tuple(dispatch if constant == _PLACE else constant for constant in template.co_consts),
        )
        function.__code__ = self._rerouted

    def undo(self) -> None:
        """Give the function its own body again, unless somebody else has given it another since."""
        if self._function.__code__ is self._rerouted:
            self._function.__code__ = self._code


@functools.lru_cache(maxsize=64)
def _compile(free: tuple[str, ...]) -> CodeType:
    """Return the code of a function that passes its arguments on and closes over these names, without using them."""
    lines = [
        "def enclose():",
        *(f"    {name} = None" for name in free),
        "    def rerouted(*_autolog_args, **_autolog_kwargs):",
        "        __tracebackhide__ = True",
        f"        _autolog_call = {_PLACE}",
        "        return _autolog_call(_autolog_args, _autolog_kwargs)",
        *(f"        {name}" for name in free),
    ]
    code = compile("\n".join(lines), FILE_NAME, "exec")
    for _ in range(2):
        code = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return code
