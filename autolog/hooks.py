"""Hooks: generators around the calls of other libraries.

A hook is a generator function that takes a ``Call``. The user's call runs at its ``yield``, exactly once, outside of
every guard: a hook can neither skip nor repeat it nor swallow its exception, and a bug in a hook is one log line.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from autolog import imports
from autolog.guard import guard
from autolog.training import Training, current_training

if TYPE_CHECKING:
    from autolog.run import ActiveRun
    from autolog.wrapping import Patch

logger = logging.getLogger("autolog")

Hook = Generator[None, None, None]
HookFunction = Callable[["Call"], Hook]


@dataclass
class Call:
    """What a hook sees of the user's call.

    ``result`` and ``error`` are set after the ``yield``: one of them, whichever way the call ended.
    """

    integration: str
    training: Training
    function: Callable[..., Any]
    instance: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any = None
    error: BaseException | None = None

    def begin(self, name: str, **tags: str) -> ActiveRun:
        """Return the run that this training is recorded in; a hook that does not call this records nothing."""
        return self.training.begin(name, self.integration, tags)

    def argument(self, name: str, default: Any = None) -> Any:
        """Return an argument of the call by its name, however it was passed; the default where it was not."""
        return self._bound.get(name, default)

    @functools.cached_property
    def _bound(self) -> dict[str, Any]:
        try:
            return inspect.signature(self.function).bind_partial(*self.args, **self.kwargs).arguments
        except TypeError:
            # The call cannot be made, and will say so itself.
            return self.kwargs


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


@dataclass
class Integration:
    """The hooks of one framework.

    Args:
        name: also the name of the file, of the extra and of the tests.
        requires: the distribution and the oldest version that is supported, such as ``scikit-learn>=1.4``.
    """

    name: str
    requires: str = ""
    live: bool = False
    _hooks: list[tuple[Target, HookFunction]] = field(default_factory=list)
    _patches: list[Patch] = field(default_factory=list)

    def around(self, *targets: str) -> Callable[[HookFunction], HookFunction]:
        """Register a hook around some targets; list every alias of a function, for imports that came first."""

        def register(hook: HookFunction) -> HookFunction:
            self._hooks += [(Target.parse(target), hook) for target in targets]
            return hook

        return register

    def install(self) -> None:
        """Hook what is imported already, and the rest as it comes."""
        if self.live:
            return
        self.live = True
        for module in dict.fromkeys(target.module for target, _ in self._hooks):
            imports.when_imported(module, self._patch)

    def uninstall(self) -> None:
        """Put everything back as it was; what others keep of our wrappers only passes calls on."""
        self.live = False
        for module in dict.fromkeys(target.module for target, _ in self._hooks):
            imports.forget(module, self._patch)
        while self._patches:
            with guard(f"taking back a hook of {self.name}"):
                self._patches.pop().undo()
        _threads.release(self.name)

    def _patch(self, module: ModuleType) -> None:
        if not self.live:
            return
        from autolog import wrapping  # brings wrapt, which is slow to import: only once a framework is there

        _threads.watch(self.name)
        for target, hook in self._hooks:
            if target.module == module.__name__:
                with guard(f"hooking {target.module}:{target.path}"):
                    around = functools.partial(_around, self, hook, f"the hook of {target.module}:{target.path}")
                    try:
                        self._patches.append(wrapping.patch(module, target.path, around))
                    except AttributeError:
                        # Another version of the framework, in which it is elsewhere or not at all.
                        logger.debug("%s:%s is not there, and is not hooked", target.module, target.path)


class _ThreadWatch:
    """Keeps ``Thread.start`` wrapped for as long as any integration has hooks in place."""

    def __init__(self) -> None:
        self._users: set[str] = set()
        self._patch: Patch | None = None

    def watch(self, user: str) -> None:
        self._users.add(user)
        if self._patch is None:
            from autolog.wrapping import ThreadPatch

            self._patch = ThreadPatch()

    def release(self, user: str) -> None:
        self._users.discard(user)
        if not self._users and self._patch is not None:
            self._patch.undo()
            self._patch = None


_threads: Final = _ThreadWatch()


def _around(
    integration: Integration,
    hook: HookFunction,
    where: str,
    function: Callable[..., Any],
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    __tracebackhide__ = True
    if not integration.live or current_training() is not None:
        return function(*args, **kwargs)
    with Training() as training:
        call = Call(integration.name, training, function, instance, args, kwargs)
        generator: Hook | None = None
        with guard(where):
            generator = hook(call)
            next(generator, None)
        try:
            call.result = function(*args, **kwargs)
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
    with guard(f"{where}, at its end"):
        call.training.end(call.error)
