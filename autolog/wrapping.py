"""How functions and methods are wrapped and unwrapped. The only module that touches wrapt."""

from __future__ import annotations

import copy
import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Protocol

import wrapt

from autolog.guard import guard
from autolog.rerouting import Around, is_reroutable, surround, uncount
from autolog.training import hand_over_training, handed_over, inherit_training


class BoundHookWrapper(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]  # not generic at run time
    """A wrapped method of an instance, which pickles and copies as an ordinary bound method does."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return getattr, (self._self_instance, self.__wrapped__.__name__)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__reduce_ex__(2)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return getattr(copy.deepcopy(self._self_instance, memo), self.__wrapped__.__name__)


class HookWrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # not generic at run time
    """Marks our own wrappers; pickles by name and copies as itself, as a function does."""

    __bound_function_wrapper__ = BoundHookWrapper

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        # A function looked up on its class is itself, every time.
        return self if instance is None else super().__get__(instance, owner)

    def __reduce_ex__(self, protocol: Any) -> str:
        return str(self.__wrapped__.__qualname__)

    def __reduce__(self) -> str:
        return self.__reduce_ex__(2)

    def __copy__(self) -> HookWrapper:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> HookWrapper:
        return self


class Patch(Protocol):
    """A change to somebody else's module or class."""

    def undo(self) -> None:
        """Put back what was there."""


def patch(module: ModuleType, path: str, around: Around) -> Patch:
    """Wrap a function, a method, or a method of a class and of all its subclasses.

    Args:
        module: where the target lives.
        path: ``function``, ``Class.method``, or ``Class+.method``.
        around: called instead.

    Returns:
        What takes it back.

    Raises:
        AttributeError: the module has no such thing.
    """
    parent_path, _, name = path.rpartition(".")
    if parent_path.endswith("+"):
        return SubclassPatch(getattr(module, parent_path[:-1]), name, around)
    parent: Any = module
    for part in filter(None, parent_path.split(".")):
        parent = getattr(parent, part)
    function = getattr(parent, name)
    # Whoever has imported it by name holds the same object.
    if parent is module and is_reroutable(function):
        return surround(function, around)
    return AttributePatch(parent, name, around)


class AttributePatch:
    """One attribute of a module or class, wrapped.

    An alias that was copied from a place where the function had been wrapped already is left as it is,
    and put back with the rest.
    """

    def __init__(self, parent: Any, name: str, around: Around) -> None:
        self._parent = parent
        self._name = name
        self._is_own = name in vars(parent)
        present = getattr(parent, name)
        if isinstance(present, HookWrapper):
            self._original, self._wrapper = present.__wrapped__, present
        else:
            self._original, self._wrapper = present, _wrap(present, around)
            setattr(parent, name, self._wrapper)

    def undo(self) -> None:
        """Put the original back, unless somebody else has wrapped ours since."""
        if vars(self._parent).get(self._name) is not self._wrapper:
            return
        if self._is_own:
            setattr(self._parent, self._name, self._original)
        else:
            delattr(self._parent, self._name)


class SubclassPatch:
    """A method wrapped on a class and on every subclass that has it, those that are yet to be defined included.

    A method that a subclass has from a mixin, which need not be a subclass itself, is wrapped in the mixin;
    it is hooked where it is called on an instance of the class.
    """

    def __init__(self, base: type, method: str, around: Around) -> None:
        self._base = base
        self._method = method
        self._around = around
        self._classes: weakref.WeakSet[type] = weakref.WeakSet()
        self._seen: weakref.WeakSet[type] = weakref.WeakSet()
        self._previous = vars(base).get("__init_subclass__")
        self._hook = self._make_init_subclass()
        base.__init_subclass__ = self._hook  # type: ignore[method-assign]
        for cls in (base, *_subclasses(base)):
            with guard(f"hooking {cls.__module__}.{cls.__qualname__}"):
                self._wrap_in(cls)

    def undo(self) -> None:
        """Take the wrappers off every class."""
        if vars(self._base).get("__init_subclass__") is self._hook:
            if self._previous is None:
                del self._base.__init_subclass__
            else:
                self._base.__init_subclass__ = self._previous  # type: ignore[method-assign]
        for cls in list(self._classes):
            holder, name, wrapper = self._find(cls)
            if isinstance(wrapper, HookWrapper):
                with guard(f"taking the hook off {cls.__module__}.{cls.__qualname__}"):
                    setattr(holder, name, wrapper.__wrapped__)

    def _make_init_subclass(self) -> Any:
        base: Any = self._base
        previous, wrap_in, method = self._previous, self._wrap_in, self._method

        def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:  # noqa: N807  it is that method
            if previous is None:
                super(base, cls).__init_subclass__(**kwargs)
            else:
                previous.__get__(None, cls)(**kwargs)
            with guard(f"hooking {method} of a new class"):
                wrap_in(cls)

        functools.update_wrapper(__init_subclass__, base.__init_subclass__)
        return classmethod(__init_subclass__)

    def _wrap_in(self, cls: type) -> None:
        for one in cls.__mro__:
            if one not in self._seen:
                self._seen.add(one)
                holder, name, function = self._find(one)
                if isinstance(function, FunctionType) and not isinstance(function, HookWrapper):
                    around = self._around if issubclass(one, self._base) else self._around_mixin
                    setattr(holder, name, _wrap(function, around))
                    self._classes.add(one)

    def _around_mixin(
        self, function: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        __tracebackhide__ = True
        called_on = args[0] if instance is None and args else instance
        # By its type, and not isinstance(), which a proxy answers by making its object.
        if issubclass(type(called_on), self._base):
            return self._around(function, instance, args, kwargs)
        return function(*args, **kwargs)

    def _find(self, cls: type) -> tuple[Any, str, Any]:
        """Return where a class keeps its method: in itself, or in scikit-learn's ``available_if`` descriptor."""
        member = vars(cls).get(self._method)
        if member is not None and not isinstance(member, FunctionType) and hasattr(member, "fn"):
            return member, "fn", member.fn
        return cls, self._method, member


uncount(SubclassPatch._around_mixin)  # noqa: SLF001  as in hooks


def _wrap(function: Any, around: Around) -> HookWrapper:
    return HookWrapper(function, around)


def _subclasses(base: type) -> Iterator[type]:
    seen: set[type] = set()
    waiting: list[type] = [base]
    while waiting:
        subclasses: list[type] = type.__subclasses__(waiting.pop())
        for cls in subclasses:
            if cls not in seen:
                seen.add(cls)
                waiting.append(cls)
                yield cls


class ThreadPatch(AttributePatch):
    """``Thread.start``, wrapped so that a thread that is started inside a training is known to belong to it."""

    def __init__(self) -> None:
        super().__init__(threading.Thread, "start", _start_thread)


def _start_thread(start: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with guard("starting a thread"):
        # A call through the class, Thread.start(thread), comes without an instance.
        inherit_training(args[0] if thread is None else thread)
    return start(*args, **kwargs)


def patch_work(work: type) -> list[Patch]:
    """Wrap a class of work for pools of threads, so that what is handed over inside a training belongs to it.

    Args:
        work: its objects are made where the work is handed over, and their ``run`` does it.
    """
    return [AttributePatch(work, "__init__", _hand_over), AttributePatch(work, "run", _do_work)]


def _hand_over(make: Callable[..., Any], work: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    made = make(*args, **kwargs)
    with guard("handing work to a thread"):
        hand_over_training(args[0] if work is None else work)
    return made


def _do_work(run: Callable[..., Any], work: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True
    with handed_over(args[0] if work is None else work):
        return run(*args, **kwargs)
