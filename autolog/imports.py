"""Being told when a module has been imported, without importing it.

wrapt has the same, but importing wrapt takes longer than importing all the rest of autolog (it brings asyncio);
with this, ``enable()`` costs microseconds, and wrapt is imported with the first framework, where it does not show.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from autolog.guard import guard

Listener = Callable[[ModuleType], None]


class _Finder:
    """Lets the other finders find, and watches the loading of the modules that somebody waits for."""

    def __init__(self) -> None:
        self.listeners: Final[defaultdict[str, list[Listener]]] = defaultdict(list)
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that another finder has for a module that is waited for; None for any other."""
        if fullname not in self.listeners or getattr(self._searching, "name", None) == fullname:
            return None
        self._searching.name = fullname
        try:
            spec = _find_spec(fullname, path, target)
        finally:
            self._searching.name = None
        if spec is not None and spec.loader is not None:
            with guard(f"watching the import of {fullname}"):
                self._watch(fullname, spec.loader)
        return spec

    def tell(self, name: str, module: ModuleType) -> None:
        """Tell the listeners that a module has been imported."""
        for listener in tuple(self.listeners.get(name, ())):
            with guard(f"preparing {name}"):
                listener(module)

    def _watch(self, name: str, loader: object) -> None:
        execute = loader.exec_module  # type: ignore[attr-defined]

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # type: ignore[attr-defined]
            execute(module)
            self.tell(name, module)

        # On the instance, which belongs to this one import: the loader stays the object that it is.
        loader.exec_module = exec_module  # type: ignore[attr-defined]


def _find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if not isinstance(finder, _Finder) and (find := getattr(finder, "find_spec", None)) is not None:
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                return spec
    return None


_finder: Final = _Finder()


def when_imported(name: str, listener: Listener) -> None:
    """Call a listener with a module once it has been imported: now if it is, else right after; again if reloaded.

    Args:
        name: the module's full name.
        listener: what it raises is logged, and never reaches the import.
    """
    _finder.listeners[name].append(listener)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    module = sys.modules.get(name)
    if module is not None and not _is_half_imported(module):
        with guard(f"preparing {name}"):
            listener(module)


def forget(name: str, listener: Listener) -> None:
    """Call a listener no more."""
    listeners = _finder.listeners.get(name, [])
    if listener in listeners:
        listeners.remove(listener)
    if not listeners:
        _finder.listeners.pop(name, None)
    if not _finder.listeners and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def is_being_imported(name: str) -> bool:
    """Say whether the import of a module has begun and is not over."""
    module = sys.modules.get(name)
    return module is not None and _is_half_imported(module)


def _is_half_imported(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
