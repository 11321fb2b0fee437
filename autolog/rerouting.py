"""Module functions that are hooked, and that stay the very objects that they are.

A function that is replaced in its module can no longer be pickled by those who took it from there before:
scorers, partial functions, tables of functions. So the function keeps its identity, and runs other code: code that
calls the original, then what is to follow, and returns what the original returned; or code that calls a hook in place
of the original. That reaches everybody who holds the function, under whatever name.

The other code takes the same arguments, so that the function shows the signature that it had. It has the file of the
original, and where something only follows, nothing else is on the stack while that runs, so that a warning for the
first caller outside of a library is for the user.
"""

from __future__ import annotations

import fnmatch
import functools
import inspect
import itertools
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeGuard

# (original function, None, args, kwargs) -> result, as wrapt calls what is around a function
Around = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]

# (original function, result, args, kwargs); it must not raise
After = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], object]

CODE_NAME: Final = "<autolog>"
"""The name of the code in frames and tracebacks."""

_RESUMED: Final = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
)
# Names of what the code calls, among the globals of the function's module; each rerouting has its own,
# since several functions may have one code, and one function several reroutings.
_numbers: Final = itertools.count(1)
_ORIGINAL: Final = "_autolog_original"
_HOOK: Final = "_autolog_hook"
_WANTED: Final = "_autolog_wanted"
_UNLESS: Final = "_autolog_unless"

_ARGUMENTS: Final = ("_autolog_args = ({args})", "_autolog_kwargs = {{{kwargs}}}")
_FOLLOWED: Final = (
    "_autolog_result = _autolog_original({call})",
    *_ARGUMENTS,
    "_autolog_hook(_autolog_result, _autolog_args, _autolog_kwargs)",
    "return _autolog_result",
)
# It is asked in every step: the question must cost next to nothing.
_FOLLOWED_UNLESS: Final = (
    "_autolog_result = _autolog_original({call})",
    "_autolog_tells = _autolog_wanted or not _autolog_unless()",
    "_autolog_tells and _autolog_hook(_autolog_result, ({args}), {{{kwargs}}})",
    "return _autolog_result",
)
_PRECEDED: Final = (
    *_ARGUMENTS,
    "_autolog_hook(None, _autolog_args, _autolog_kwargs)",
    "return _autolog_original({call})",
)
_SURROUNDED: Final = (*_ARGUMENTS, "return _autolog_hook(_autolog_args, _autolog_kwargs)")


def is_reroutable(function: object) -> TypeGuard[FunctionType]:
    """Say whether something is a function in Python, and one that runs from its call to its return."""
    return type(function) is FunctionType and not function.__code__.co_flags & _RESUMED


def reroute(
    module: ModuleType, path: str, told: Callable[..., object], way: Callable[..., Rerouting] | None = None
) -> list[Rerouting]:
    """Have functions of a module followed by another, while they stay the objects that they are.

    Args:
        module: where they live.
        path: a name, ``Class.method``, or a pattern such as ``*`` or ``read_*`` for names in the module's ``__all__``,
            less those in ``* except one, two``.
        told: what the way takes beside the function.
        way: ``tell`` or ``tell_before``; ``follow`` by default.

    Returns:
        What takes it back, one for each function.

    Raises:
        AttributeError: there is no such name, or the module does not say which names are public.
    """
    return [(way or follow)(function, told) for function in _find(module, path) if is_reroutable(function)]


def _find(module: ModuleType, path: str) -> list[Any]:
    pattern, _, excepted = path.partition(" except ")
    owner, _, name = pattern.rpartition(".")
    if owner:
        return [vars(getattr(module, owner))[name]] if name in vars(getattr(module, owner)) else []
    if "*" not in pattern and "?" not in pattern and "[" not in pattern:
        return [getattr(module, pattern)]
    names = [name for name in fnmatch.filter(module.__all__, pattern) if name not in excepted.split(", ")]
    # Only what the module has without being asked: a lazy one would import for it.
    return [vars(module).get(name) for name in names]


def follow(function: FunctionType, after: After) -> Rerouting:
    """Have a function followed by another, which is called when it has returned, and not when it has raised."""
    return Rerouting(function, _FOLLOWED, lambda original: functools.partial(after, original))


def follow_unless(function: FunctionType, after: After, unless: Callable[[], bool], wanted: list[object]) -> Rerouting:
    """Have a function followed by another, but not where something says otherwise.

    Args:
        function: as of ``follow``.
        after: as of ``follow``.
        unless: is asked when the function has returned.
        wanted: while there is anything in it, nothing is asked.
    """
    make_hook = functools.partial(functools.partial, after)
    return Rerouting(function, _FOLLOWED_UNLESS, make_hook, {_WANTED: wanted, _UNLESS: unless}, is_uncounted=True)


def tell(function: FunctionType, listener: Callable[..., object]) -> Rerouting:
    """Have a listener told the result, the positional and the named arguments of a function that has returned."""
    return Rerouting(function, _FOLLOWED, lambda _: listener, is_uncounted=True)


def tell_before(function: FunctionType, listener: Callable[..., object]) -> Rerouting:
    """Have a listener told None, the positional and the named arguments of a function that is about to be called."""
    return Rerouting(function, _PRECEDED, lambda _: listener, is_uncounted=True)


def surround(function: FunctionType, around: Around) -> Rerouting:
    """Have another function called in place of a function, with the function's original as its first argument."""
    return Rerouting(function, _SURROUNDED, lambda original: functools.partial(around, original, None))


class Rerouting:
    """A function that runs other code: ``follow`` and ``surround`` make them.

    Of what the user has passed by name, only what can be passed in no other way comes to the hook by name,
    and defaults come as if they had been passed.

    Args:
        function: one that ``is_reroutable``.
        steps: what it does instead, after its arguments have been gathered.
        make_hook: is given the original, and returns what the steps call.
        others: what else the steps name.
        is_uncounted: whether warnings for the function's caller pass over the frame of the other code.
    """

    def __init__(
        self,
        function: FunctionType,
        steps: tuple[str, ...],
        make_hook: Callable[[Callable[..., Any]], Callable[..., Any]],
        others: dict[str, Any] | None = None,
        *,
        is_uncounted: bool = False,
    ) -> None:
        self.function: Final = function
        code = self.original_code = function.__code__
        original = FunctionType(
            code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        original.__kwdefaults__ = function.__kwdefaults__
        for name in ("__module__", "__qualname__", "__doc__"):
            setattr(original, name, getattr(function, name))
        original.__dict__.update(function.__dict__)
        template = _compile(_describe_parameters(code), steps, code.co_freevars)
        # Not as constants, which a compiler of Python such as Dynamo takes for numbers and texts. They stay when the
        # function has its own body again, since another thread may be running the other one.
        named = {_ORIGINAL: original, _HOOK: make_hook(original), **(others or {})}
        number = next(_numbers)
        unique = {name: f"{name}_{number}" for name in named}
        self._rerouted: Final = template.replace(
            co_name=CODE_NAME,
            # Where inspect looks for the source, and where warnings look for whose code it is.
            co_filename=_uncounted(code.co_filename) if is_uncounted and _has_source(function) else code.co_filename,
            co_firstlineno=code.co_firstlineno,
            co_names=tuple(unique.get(name, name) for name in template.co_names),
        )
        function.__globals__.update({unique[name]: value for name, value in named.items()})
        function.__code__ = self._rerouted

    def undo(self) -> None:
        """Give the function its own body again, unless somebody else has given it another since."""
        if self.function.__code__ is self._rerouted:
            self.function.__code__ = self.original_code


def _has_source(function: FunctionType) -> bool:
    """Say whether the source of a function's module is found by the module, whatever its file is called."""
    module = function.__globals__
    return module.get("__name__") != "__main__" and hasattr(module.get("__loader__"), "get_source")


def _describe_parameters(code: CodeType) -> tuple[str, str, str, str]:
    """Return a function's parameters as those of a definition without defaults, a call, a tuple, and a dict's items."""
    names = list(code.co_varnames)
    positional, named = names[: code.co_argcount], names[code.co_argcount :][: code.co_kwonlyargcount]
    rest = names[code.co_argcount + code.co_kwonlyargcount :]
    defined, args, kwargs = [*positional], [*positional], [f"{name!r}: {name}" for name in named]
    if code.co_posonlyargcount:
        defined.insert(code.co_posonlyargcount, "/")
    if code.co_flags & inspect.CO_VARARGS:
        args.append(f"*{rest[0]}")
        defined.append(f"*{rest.pop(0)}")
    elif named:
        defined.append("*")
    defined += named
    passed = [*args, *(f"{name}={name}" for name in named)]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        defined.append(f"**{rest[0]}")
        passed.append(f"**{rest[0]}")
        kwargs.append(f"**{rest[0]}")
    return ", ".join(defined), ", ".join(passed), "".join(f"{one}, " for one in args), ", ".join(kwargs)


@functools.lru_cache(maxsize=256)
def _compile(parameters: tuple[str, str, str, str], steps: tuple[str, ...], free: tuple[str, ...]) -> CodeType:
    """Return the code of a function that passes its arguments on and closes over these names, without using them."""
    defined, call, args, kwargs = parameters
    # On one line, since the lines that follow in the file of the original are others.
    body = (
        "__tracebackhide__ = True",
        *(step.format(call=call, args=args, kwargs=kwargs) for step in steps),
        *free,
    )
    lines = (
        "def enclose():",
        *(f"    {name} = None" for name in free),
        f"    def rerouted({defined}): {'; '.join(body)}",
    )
    code = compile("\n".join(lines), CODE_NAME, "exec")
    for _ in range(2):
        code = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
    # Its one line is the first of the function's.
    return code


def uncount(*functions: Any) -> None:
    """Have ``warnings.warn(..., stacklevel=2)`` pass over the frames of functions, so that it names who has called.

    It passes over what has the name of Python's import system in its file's name:
    https://docs.python.org/3/library/warnings.html#warnings.warn and ``is_internal_frame`` in CPython's _warnings.c.
    """
    for function in functions:
        code = function.__code__
        function.__code__ = code.replace(co_filename=_uncounted(code.co_filename))


def _uncounted(file: str) -> str:
    return f"{file} (as importlib._bootstrap)"
