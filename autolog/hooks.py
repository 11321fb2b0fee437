"""Hooks: generators around the calls of other libraries.

A hook is a generator function that takes a ``Call``. The user's call runs at its ``yield``, exactly once, outside of
every guard: a hook can neither skip nor repeat it nor swallow its exception, and a bug in a hook is one log line.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from autolog import imports
from autolog.errors import InvalidState
from autolog.guard import guard, report
from autolog.rerouting import uncount
from autolog.training import Training, current_training, is_silenced

if TYPE_CHECKING:
    from autolog.run import ActiveRun
    from autolog.wrapping import Patch

logger = logging.getLogger("autolog")

Hook = Generator[None, None, None]
HookFunction = Callable[["Call"], Hook]

Listener = Callable[[Any, tuple[Any, ...], dict[str, Any]], object]
"""Told of a call: its result, its positional arguments, its named ones."""

Attachment = Callable[[ModuleType], Callable[[], object]]
"""Given a module, uses its registry, and returns what takes that back."""


@dataclass
class Call:
    """What a hook sees of the user's call.

    ``training`` is None where a call is only observed, outside of any training. ``is_nested`` says that the training
    is an enclosing call's. ``result`` and ``error`` are set after the ``yield``: one of them, whichever way the call
    ended.
    """

    integration: str
    training: Training | None
    function: Callable[..., Any]
    instance: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    is_nested: bool = False
    result: Any = None
    error: BaseException | None = None

    def begin(self, name: str, **tags: str) -> ActiveRun:
        """Return the run that this training is recorded in; a hook that does not call this records nothing.

        A nested call has the run of the training around it, where that has begun one.

        Raises:
            InvalidState: the call is only observed, or the training around it has no run.
        """
        if self.training is None or (self.is_nested and self.training.run is None):
            raise InvalidState("only a training has a run, and this call is none")
        if self.is_nested and self.training.run is not None:
            return self.training.run
        return self.training.begin(name, self.integration, tags)

    @property
    def run(self) -> ActiveRun | None:
        """The run that the training is recorded in, if it has begun one."""
        return None if self.training is None else self.training.run

    def replace_argument(self, name: str, value: Any) -> None:
        """Have the user's function called with another value for an argument; what the user passed is left alone."""
        if name not in self._bound or name in self.kwargs:
            self.kwargs = {**self.kwargs, name: value}
        else:
            place = list(self._bound).index(name)
            self.args = (*self.args[:place], value, *self.args[place + 1 :])

    def argument(self, name: str, default: Any = None) -> Any:
        """Return an argument of the call by its name, however it was passed; the default where it was not."""
        return self._bound.get(name, default)

    @functools.cached_property
    def _bound(self) -> dict[str, Any]:
        signature = inspect.signature(self.function)
        try:
            return signature.bind_partial(*self.args, **self.kwargs).arguments
        except TypeError:
            # The call cannot be made, and will say so itself; or it still takes by position what is to come by name.
            return dict(zip(signature.parameters, self.args, strict=False)) | self.kwargs


@dataclass(frozen=True)
class Target:
    """What a hook goes around, written ``module:function``, ``module:Class.method`` or ``module:Class+.method``.

    The plus sign means the class and every subclass, those to be defined included.
    """

    module: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Return the target that a text names."""
        module, _, path = text.partition(":")
        return cls(module, path)


class _Registration(NamedTuple):
    target: Target
    # The method of the integration that has registered it, and what it registered.
    kind: Literal["around", "observe", "follow", "listen", "precede", "attach"]
    hook: Any
    # Whether it also runs inside a training.
    within: bool = False


@dataclass
class Integration:
    """The hooks of one framework.

    Args:
        name: also the name of the file, of the extra and of the tests.
        requires: the distribution and the oldest version that is supported, such as ``scikit-learn>=1.4``.
        package: nothing is hooked before the import of this one is complete, where what hooks needs the whole of it.
    """

    name: str
    requires: str = ""
    package: str = ""
    live: bool = False
    _hooks: list[_Registration] = field(default_factory=list)
    _patches: list[Patch] = field(default_factory=list)
    _early: list[ModuleType] = field(default_factory=list)

    @property
    def records_trainings(self) -> bool:
        """Whether it hooks calls that train, rather than only what is done before or after."""
        return any(one.kind in {"around", "attach"} for one in self._hooks)

    def around(self, *targets: str, within: bool = False) -> Callable[[HookFunction], HookFunction]:
        """Register a hook around calls that train something: the outermost of them owns the run.

        Args:
            targets: each in one place: every module that has imported a function by name is hooked with it.
            within: whether the hook also runs inside another training, to add to its run, unless that is silenced.
        """
        return self._register("around", targets, within=within)

    def observe(self, *targets: str, within: bool = False) -> Callable[[HookFunction], HookFunction]:
        """Register a hook around calls that train nothing, and that open no run.

        Args:
            targets: as of ``around``.
            within: whether the hook also runs inside trainings; calls that an observed call makes are not observed.
        """
        return self._register("observe", targets, within=within)

    def follow(self, *targets: str, within: bool = False) -> Callable[[Callable[[Call], object]], Any]:
        """Register a plain function that is called after functions of a module have returned.

        It costs a fraction of a hook. The functions stay the objects that they are, so that whoever holds them is
        reached, and while they run no frame of ours is on the stack.
        What an observed call calls itself is not followed.

        Args:
            targets: ``module:name``, where the name may be a pattern for names in the module's ``__all__``, as in
                ``module:read_*`` and ``module:* except one, two``.
            within: whether it is also called inside trainings.
        """
        return self._register("follow", targets, within=within)

    def listen(
        self, *targets: str, before: bool = False, is_guarded: bool = False
    ) -> Callable[[Listener | str], Listener | str]:
        """Register a plain function that is told of every call, inside trainings as well, at the least cost.

        It is called with the result, the positional and the named arguments, and is itself to see what concerns it:
        there is no ``Call``. Its errors stay inside, as those of a hook do. It may be given as ``module:function``,
        which is imported when the framework has been.

        Args:
            targets: as of ``follow``, or ``module:Class.method`` for a method written in Python.
            before: whether it is called before the call, with None for the result.
            is_guarded: whether the listener keeps its errors inside by itself, and so is called with no frame between.
        """
        return self._register("precede" if before else "listen", targets, within=is_guarded)

    def attach(self, module: str) -> Callable[[Attachment | str], Attachment | str]:
        """Register a function that uses a framework's own registry of hooks, or ``module:function`` as in ``listen``.

        It is called with the module once that is imported, and returns what takes it back.
        """
        return self._register("attach", (module,))

    def _register(self, kind: Any, targets: tuple[str, ...], *, within: bool = False) -> Callable[[Any], Any]:
        def register(hook: Any) -> Any:
            self._hooks += [_Registration(Target.parse(target), kind, hook, within) for target in targets]
            return hook

        return register

    def install(self) -> None:
        """Hook what is imported already, and the rest as it comes."""
        if self.live:
            return
        self.live = True
        for module in dict.fromkeys(one.target.module for one in self._hooks):
            imports.when_imported(module, self._patch)
        if self.package:
            imports.when_imported(self.package, self._patch_early)

    def uninstall(self) -> None:
        """Put everything back as it was; what others keep of our wrappers only passes calls on."""
        self.live = False
        for module in dict.fromkeys(one.target.module for one in self._hooks):
            imports.forget(module, self._patch)
        imports.forget(self.package, self._patch_early)
        self._early.clear()
        while self._patches:
            with guard(f"taking back a hook of {self.name}"):
                self._patches.pop().undo()
        _threads.release(self.name)

    def _patch(self, module: ModuleType) -> None:
        if not self.live:
            return
        if self.package and imports.is_being_imported(self.package):
            self._early.append(module)
            return
        self._patch_whole(module)

    def _patch_early(self, _: ModuleType) -> None:
        while self._early:
            self._patch_whole(self._early.pop(0))

    def _patch_whole(self, module: ModuleType) -> None:
        for one in self._hooks:
            if one.target.module == module.__name__:
                with guard(f"hooking {one.target.module}:{one.target.path}"):
                    hook = _load(one.hook)
                    try:
                        self._patches += self._hook(module, one, hook)
                    except AttributeError:
                        # Another version of the framework, in which it is elsewhere or not at all.
                        logger.debug("%s:%s is not there, and is not hooked", one.target.module, one.target.path)

    def _hook(self, module: ModuleType, one: _Registration, hook: Any) -> Sequence[Patch]:
        where = f"the hook of {one.target.module}:{one.target.path}"
        if one.kind == "attach":
            return [_Attached(hook(module))]
        if one.kind in {"follow", "listen", "precede"}:
            from autolog.rerouting import reroute, tell, tell_before

            if one.kind == "follow":
                return reroute(module, one.target.path, functools.partial(_after, self, one, where))
            way = tell_before if one.kind == "precede" else tell
            return reroute(module, one.target.path, hook if one.within else _isolate(hook, where), way)
        from autolog import wrapping  # brings wrapt, which is slow to import: only once a framework is there

        _threads.watch(self.name)
        return [wrapping.patch(module, one.target.path, functools.partial(_around, self, one, where))]


class _Attached:
    """What a framework's own registry holds of ours."""

    def __init__(self, take_back: Callable[[], object]) -> None:
        self._take_back = take_back

    def undo(self) -> None:
        self._take_back()


def _load(function: Callable[..., Any] | str) -> Any:
    if callable(function):
        return function
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def _isolate(listener: Listener, where: str) -> Listener:
    def listen(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            listener(result, args, kwargs)
        except Exception as error:  # noqa: BLE001  whatever it is, it is ours; the statement `guard` costs more
            report(where, error)

    return listen


# Its pools hand work to threads which may have been started before.
_POOLS: Final = "concurrent.futures.thread"


class _ThreadWatch:
    """Keeps what starts threads or hands them work wrapped, for as long as any integration has hooks in place."""

    def __init__(self) -> None:
        self._users: set[str] = set()
        self._patches: list[Patch] = []

    def watch(self, user: str) -> None:
        self._users.add(user)
        if not self._patches:
            from autolog.wrapping import ThreadPatch

            self._patches.append(ThreadPatch())
            imports.when_imported(_POOLS, self._watch_pools)

    def release(self, user: str) -> None:
        self._users.discard(user)
        if not self._users and self._patches:
            imports.forget(_POOLS, self._watch_pools)
            while self._patches:
                self._patches.pop().undo()

    def _watch_pools(self, module: ModuleType) -> None:
        from autolog.wrapping import patch_work

        self._patches += patch_work(module._WorkItem)  # noqa: SLF001  there is no public place to know work by


_threads: Final = _ThreadWatch()


# Set inside a call that is observed: what it calls itself is its own affair.
_observing: Final[ContextVar[bool]] = ContextVar("autolog_observing", default=False)


def _around(
    integration: Integration,
    registration: _Registration,
    where: str,
    function: Callable[..., Any],
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    __tracebackhide__ = True
    training = current_training()
    if not integration.live or (training is not None and (not registration.within or is_silenced())):
        return function(*args, **kwargs)
    if registration.kind == "observe":
        if _observing.get():
            return function(*args, **kwargs)
        token = _observing.set(True)
        try:
            # The training, where there is one, is another call's, and goes on.
            is_nested = training is not None
            return _call(
                registration, where, Call(integration.name, training, function, instance, args, kwargs, is_nested)
            )
        finally:
            _observing.reset(token)
    if training is not None:
        return _call(registration, where, Call(integration.name, training, function, instance, args, kwargs, True))
    with Training() as begun:
        return _call(registration, where, Call(integration.name, begun, function, instance, args, kwargs))


def _after(
    integration: Integration,
    registration: _Registration,
    where: str,
    function: Callable[..., Any],
    result: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    if not integration.live or _observing.get():
        return
    training = current_training()
    if training is None or (registration.within and not is_silenced()):
        with guard(where):
            registration.hook(Call(integration.name, training, function, None, args, kwargs, result=result))


def _call(registration: _Registration, where: str, call: Call) -> Any:
    __tracebackhide__ = True
    generator: Hook | None = None
    with guard(where):
        begun: Hook = registration.hook(call)
        generator = begun
        next(begun, None)
    try:
        call.result = call.function(*call.args, **call.kwargs)
    except BaseException as error:
        call.error = error
        _finish(call, generator, where)
        # The error holds this frame, which holds the call: the user's data must not wait for the collector.
        call.error = None
        raise
    _finish(call, generator, where)
    return call.result


def _finish(call: Call, generator: Hook | None, where: str) -> None:
    if generator is not None:
        with guard(where):
            next(generator, None)
    if call.training is not None and not call.is_nested:
        with guard(f"{where}, at its end"):
            call.training.end(call.error)


uncount(_around, _call)
