"""``autolog exec``: run a script or module exactly as Python would, with every training in it recorded."""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Annotated, Any, NamedTuple

import typer

import autolog
from autolog.cli.options import BackendOption
from autolog.errors import InvalidParameter

_INTERRUPTED = 130


class NoProgram(InvalidParameter):
    """There is no script or module of this name."""


class Program(NamedTuple):
    """Code to run as ``__main__``, the names that its module begins with, and where its imports are looked up first."""

    code: CodeType
    names: dict[str, Any]
    folder: str


def execute(
    target: Annotated[str, typer.Argument(metavar="SCRIPT", help="A Python file; with -m the name of a module.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS", help="The script's own arguments.", show_default=False)
    ] = None,
    module: Annotated[bool, typer.Option("-m", help="SCRIPT is the name of a module.")] = False,
    backend: BackendOption = None,
    experiment: Annotated[
        str | None, typer.Option("--experiment", metavar="NAME", help="Where its runs belong.", show_default=False)
    ] = None,
) -> None:
    """Run a script and record its trainings.

    The script needs no line of autolog. Everything after its name is its own.
    """
    if not module and not Path(target).is_file():
        raise NoProgram(f"there is no script {target!r}; give the path of a Python file, or -m and a module")
    autolog.enable(backend, experiment=experiment)
    sys.argv = [target, *(arguments or ())]
    try:
        program = find_module(target) if module else read_script(target)
        run_program(program)
    except (SystemExit, NoProgram):
        raise
    except BaseException as error:  # noqa: BLE001 - the interpreter is imitated: whatever the script raises is printed
        traceback = _without_own_frames(error.__traceback__)
        # As the interpreter does; what ends open runs at exit looks there for how the script ended.
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        raise typer.Exit(_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1) from None


def read_script(path: str) -> Program:
    """Return a script as a program; what it imports is looked up beside it."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links, and __file__ does not
    with io.open_code(absolute) as file:
        code = compile(file.read(), absolute, "exec", dont_inherit=True)
    names = {"__file__": absolute, "__loader__": SourceFileLoader("__main__", absolute), "__package__": None}
    return Program(code, names, str(Path(absolute).resolve().parent))


def find_module(name: str) -> Program:
    """Return a module, or a package's ``__main__``, as a program; what it imports is looked up in the working folder.

    Raises:
        NoProgram: there is no such module, or it is not made of Python code.
    """
    folder = str(Path.cwd())
    _look_up_first_in(folder)
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        if not f"{name}.__main__".startswith(f"{error.name}."):
            raise
        spec = None
    code = getattr(spec.loader, "get_code", lambda _: None)(spec.name) if spec is not None else None
    if spec is None or code is None:
        raise NoProgram(f"there is no module {name!r} that can be run; give its name as in an import")
    sys.argv[0] = spec.origin or name
    names = {
        "__file__": spec.origin,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
        "__cached__": spec.cached,
    }
    return Program(code, names, folder)


def run_program(program: Program) -> None:
    """Run a program as the main module, which it stays: threads and exit handlers still find it afterwards."""
    main = ModuleType("__main__")
    vars(main).update(program.names, __builtins__=builtins)
    sys.modules["__main__"] = main
    _look_up_first_in(program.folder)
    exec(program.code, vars(main))  # noqa: S102 - running the user's code is what this command is for


def _look_up_first_in(folder: str) -> None:
    # In safe-path mode the interpreter has put no folder in front that could be replaced.
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder


def _without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback
