"""Which function of the user's own has computed a loss, by the statement that has given the loss its name."""

from __future__ import annotations

import ast
import linecache
import re
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, Final

import torch

from autolog.callers import is_library, variables_in
from autolog.integrations.torch_series import line_of

_LINES_SEARCHED: Final = 60
_LONGEST_STATEMENT: Final = 8


def find_own_function(name: str, code: CodeType, offset: int, frame: FrameType) -> tuple[FunctionType, int] | None:
    """Return the user's function whose result a loss is, and which of several results; None where that is not told.

    Args:
        name: the loss's variable.
        code: where its backward pass begins.
        offset: of the instruction in it.
        frame: of the user's own code.
    """
    found = _find_call(name, code, offset)
    if found is None:
        return None
    called, index = found
    function: Any = _look_up(called, variables_in(frame))
    if isinstance(function, torch.nn.Module):
        function = type(function).forward
    if isinstance(function, MethodType):
        function = function.__func__
    return (
        (function, index)
        if isinstance(function, FunctionType)
        and not is_library(function.__code__.co_filename, function.__module__ or "")
        else None
    )


def _find_call(name: str, code: CodeType, offset: int) -> tuple[ast.expr, int] | None:
    """Return what is called by the last statement before a place that assigns a name, and the name's place there."""
    assigns = re.compile(rf"^\s*(?:\(?\w+,\s*)*{re.escape(name)}(?:\s*,\s*\w+)*\)?\s*(?::[^=]+)?=[^=]")
    file, last = code.co_filename, line_of(code, offset)
    for number in range(last - 1, max(code.co_firstlineno, last - _LINES_SEARCHED) - 1, -1):
        if assigns.match(linecache.getline(file, number)):
            return _parse_assignment(name, file, number)
    return None


def _parse_assignment(name: str, file: str, number: int) -> tuple[ast.expr, int] | None:
    text = ""
    for line in range(number, number + _LONGEST_STATEMENT):
        text += linecache.getline(file, line)
        try:
            statement = ast.parse(text.strip()).body[0]
        except SyntaxError:
            continue
        value = getattr(statement, "value", None)
        # A loss that is divided or weighted on the way.
        while isinstance(value, ast.BinOp):
            value = value.left if isinstance(value.left, (ast.Call, ast.BinOp)) else value.right
        if not isinstance(value, ast.Call):
            return None
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        names = [getattr(one, "id", "") for one in target.elts] if isinstance(target, ast.Tuple) else [name]
        return (value.func, names.index(name)) if name in names else None
    return None


def _look_up(called: ast.expr, variables: dict[str, Any]) -> Any:
    """Return the object that an expression of names and attributes means, without running any property."""
    if isinstance(called, ast.Name):
        return variables.get(called.id)
    if not isinstance(called, ast.Attribute):
        return None
    owner = _look_up(called.value, variables)
    if owner is None:
        return None
    own = getattr(owner, "__dict__", {})
    for place in (own, own.get("_modules", {})):
        if called.attr in place:
            return place[called.attr]
    return next((vars(cls)[called.attr] for cls in type(owner).__mro__ if called.attr in vars(cls)), None)
