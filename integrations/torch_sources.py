"""What the user's code says of a loss: what it is called there, and which function has computed it."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from types import FrameType, FunctionType, MethodType
from typing import Any, Final

import torch

from autolog.callers import is_library, name_in, variables_in
from autolog.integrations.torch_threads import Place

_FRAMES_SEARCHED: Final = 50
_LINES_SEARCHED: Final = 60
_LONGEST_STATEMENT: Final = 8


def name_loss(place: Place, loss: Any) -> str | None:
    """Return what the user's code calls the loss whose backward pass it begins at a place; None where that has no name.

    Args:
        place: where ``backward`` is called.
        loss: the loss, if it is still there.
    """
    frame = frame_of(place)
    if frame is not None and loss is not None and (name := name_in(frame, loss)) is not None:
        return name
    taken_back = _find_taken_back(place)
    return taken_back.id if isinstance(taken_back, ast.Name) else None


def frame_of(place: Place) -> FrameType | None:
    """Return the frame that runs the code of a place, if it is one of those that have called."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the documented way to the caller
    for _ in range(_FRAMES_SEARCHED):
        if frame is None or frame.f_code is place[0]:
            return frame
        frame = frame.f_back
    return None


def find_own_function(place: Place, frame: FrameType) -> tuple[FunctionType, int] | None:
    """Return the user's function whose result a loss is, and which of several results; None where that is not told.

    Args:
        place: where the loss's backward pass begins, in the frame's code.
        frame: of the user's own code.
    """
    taken_back = _find_taken_back(place)
    found = None
    if isinstance(taken_back, ast.Name):
        found = _find_assigned(taken_back.id, place)
    elif isinstance(taken_back, ast.Call):
        found = taken_back.func, 0
    if found is None:
        return None
    called, index = found
    function: Any = _look_up(called, variables_in(frame))
    if isinstance(function, torch.nn.Module):
        function = inspect.getattr_static(type(function), "forward")
    if isinstance(function, MethodType):
        function = function.__func__
    return (
        (function, index)
        if isinstance(function, FunctionType)
        and not is_library(function.__code__.co_filename, function.__module__ or "")
        else None
    )


def _find_taken_back(place: Place) -> ast.expr | None:
    """Return the expression whose backward pass begins at a place: a name, a call, or something else."""
    statement = _parse(place[0].co_filename, _line_of(place))
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward":
            # accelerator.backward(loss) and torch.autograd.backward(loss), or else loss.backward().
            is_given = bool(node.args) and isinstance(node.args[0], (ast.Name, ast.Call))
            return _strip(node.args[0] if is_given else node.func.value)
    return None


def _strip(value: ast.expr) -> ast.expr:
    """Return what is scaled by a GradScaler, divided or weighted."""
    while True:
        if isinstance(value, ast.BinOp):
            value = value.left if isinstance(value.left, (ast.Call, ast.BinOp)) else value.right
        elif (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr == "scale"
            and len(value.args) == 1
        ):
            value = value.args[0]
        else:
            return value


def _find_assigned(name: str, place: Place) -> tuple[ast.expr, int] | None:
    """Return what is called by the last statement before a place that assigns a name, and the name's place there.

    A statement that only divides what the name stands for is passed over.
    """
    assigns = re.compile(rf"^\s*(?:\(?\w+,\s*)*{re.escape(name)}(?:\s*,\s*\w+)*\)?\s*(?::[^=]+)?=[^=]")
    file, last = place[0].co_filename, _line_of(place)
    for number in range(last - 1, max(place[0].co_firstlineno, last - _LINES_SEARCHED) - 1, -1):
        if not assigns.match(linecache.getline(file, number)):
            continue
        statement = _parse(file, number)
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            return None
        value = _strip(statement.value)
        if isinstance(value, ast.Call):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            names = [getattr(one, "id", "") for one in target.elts] if isinstance(target, ast.Tuple) else [name]
            return (value.func, names.index(name)) if name in names else None
        if not _mentions(statement.value, name):
            return None
    return None


def _mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(value))


def _parse(file: str, number: int) -> ast.stmt | None:
    text = ""
    for line in range(number, number + _LONGEST_STATEMENT):
        text += linecache.getline(file, line)
        try:
            return ast.parse(text.strip()).body[0]
        except (SyntaxError, IndexError):
            continue
    return None


def _line_of(place: Place) -> int:
    code, offset = place
    lines = (line for start, end, line in code.co_lines() if start <= offset < end and line is not None)
    return next(lines, code.co_firstlineno)


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
    for place in (own, own.get("_modules")):
        if isinstance(place, dict) and called.attr in place:
            return place[called.attr]
    return next((vars(cls)[called.attr] for cls in type(owner).__mro__ if called.attr in vars(cls)), None)
