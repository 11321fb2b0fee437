"""Who has called: the frame of the user's own code, and the names that objects have in it."""

from __future__ import annotations

import dis
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from autolog.rerouting import CODE_NAME

_FRAMES_SEARCHED: Final = 20
# The frame's, that of the variable here, and that of the argument of getrefcount().
_REFERENCES_OF_A_SNAPSHOT: Final = 3
_LIBRARIES: Final = tuple(
    str(Path(folder)) for name, folder in sysconfig.get_paths().items() if name in {"stdlib", "platstdlib"}
)
# Before Python 3.13 all of them give the one dictionary that a frame has.
_HAND_OUT_LOCALS: Final = frozenset({"locals", "vars", "dir", "eval", "exec", "f_locals"})
_LOADS_OF_NAMES: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
# It stands for what a user would write.
_DEMO: Final = "autolog.demo"


def variable_name(data: Any, frame: FrameType | None) -> str | None:
    """Return the name that an object has in the user's code.

    Args:
        data: the object.
        frame: where to begin; frames of autolog, of installed packages and of the standard library are passed over.

    Returns:
        The local or global name in the innermost of the user's frames; None where it has none there.
    """
    caller = users_frame(frame)
    return None if caller is None else name_in(caller, data)


def users_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's own code; None where there is none near."""
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            return None
        code = frame.f_code
        if code.co_name != CODE_NAME and not is_library(code.co_filename, str(frame.f_globals.get("__name__", ""))):
            return frame
        frame = frame.f_back
    return None


def calling_package(frame: FrameType | None) -> str:
    """Return the top-level name of the package, autolog itself left aside, whose code has called."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if frame.f_code.co_name != CODE_NAME and (package != "autolog" or module == _DEMO):
            return package
        frame = frame.f_back
    return ""


def name_in(frame: FrameType, data: Any) -> str | None:
    """Return the local or global name that an object has in a frame; None where it has none."""
    names = frame.f_globals
    if not _hands_out_locals(frame.f_code) and frame.f_locals is not names:
        found = _search_locals(frame, data)
        if found is not None:
            return found
    # What the code itself mentions comes first: it is fast to look through, and it is how the call was written.
    for name in frame.f_code.co_names:
        if names.get(name) is data:
            return name
    return _search(names, data)


@lru_cache(maxsize=4096)
def _hands_out_locals(code: CodeType) -> bool:
    """Say whether a function may hold the dictionary of its locals, which reading them would bring up to date."""
    if sys.version_info >= (3, 13) or _HAND_OUT_LOCALS.isdisjoint(code.co_names):
        return False
    # Not where it is only an attribute of that name.
    called = {one.argval for one in dis.get_instructions(code) if one.opname in _LOADS_OF_NAMES}
    return "f_locals" in code.co_names or not _HAND_OUT_LOCALS.isdisjoint(called)


def variables_in(frame: FrameType) -> dict[str, Any]:
    """Return a frame's variables: the locals that can be read without harm, and the globals that its code mentions."""
    names = frame.f_globals
    variables = {name: names[name] for name in frame.f_code.co_names if name in names}
    if not _hands_out_locals(frame.f_code) and frame.f_locals is not names:
        _read_locals(frame, variables.update)
    return variables


def _search_locals(frame: FrameType, data: Any) -> str | None:
    found: str | None = _read_locals(frame, lambda names: _search(names, data))
    return found


def _read_locals(frame: FrameType, read: Callable[[Any], Any]) -> Any:
    names: Any = frame.f_locals
    found = read(names)
    # Before Python 3.13 a function's frame keeps the dictionary, and with it all its locals alive after the program
    # has deleted them. Emptied only where nobody else has it: neither a debugger nor who has called locals().
    is_snapshot = sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if is_snapshot and sys.gettrace() is None and sys.getrefcount(names) <= _REFERENCES_OF_A_SNAPSHOT:
        names.clear()
    return found


def _search(names: Mapping[str, Any], data: Any) -> str | None:
    # Copied first, since another thread may be adding to them; what is no identifier is the interpreter's own.
    bound = [name for name, value in dict(names).items() if value is data and name.isidentifier()]
    # IPython keeps its results under names that begin with an underscore.
    return min(bound, key=lambda name: name.startswith("_"), default=None)


@lru_cache(maxsize=4096)
def is_library(file: str, module: str) -> bool:
    """Say whether code is an installed package's, the standard library's or autolog's own, by its file and module."""
    if module == _DEMO:
        return False
    return (
        module.partition(".")[0] == "autolog"
        or file.startswith(("<frozen ", *_LIBRARIES))
        or "site-packages" in file
        or "dist-packages" in file
    )
