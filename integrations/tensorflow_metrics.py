"""What the user's ``keras.metrics`` come to, whenever the program asks one for its result in a loop.

Every class has a ``result`` of its own. Those of the classes that exist are listened to at once, those of classes
that are defined later when the first of their objects is made. They stay the functions that they are, so that
AutoGraph converts those of the user's own as before.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from autolog.callers import variable_name
from autolog.guard import guard, report
from autolog.integrations.tensorflow_loops import GradientLoop, current_loop
from autolog.integrations.tensorflow_values import as_scalar, deliver
from autolog.rerouting import Rerouting, follow, is_reroutable
from autolog.run import ActiveRun, active_run
from autolog.training import current_training

_LIBRARY: Final = "keras."


def watch_results(metric: Any) -> Callable[[], object]:
    """Have the results of metrics recorded.

    Args:
        metric: Keras' base class.

    Returns:
        What takes it back.
    """
    followed: list[Rerouting] = []
    seen: set[type] = set()

    def watch(cls: type) -> None:
        one: Any
        for one in cls.__mro__:
            if one in seen or not issubclass(one, metric):
                continue
            seen.add(one)
            function = vars(one).get("result")
            if is_reroutable(function):
                followed.append(follow(function, _note))

    def watch_new(_: Any, __: Any, args: tuple[Any, ...], ___: dict[str, Any]) -> None:
        if type(args[0]) not in seen:
            with guard("watching a metric"):
                watch(type(args[0]))

    for cls in _subclasses(metric):
        watch(cls)
    followed.append(follow(metric.__init__, watch_new))

    def take_back() -> None:
        while followed:
            followed.pop().undo()

    return take_back


def _subclasses(cls: type) -> list[type]:
    found = [cls]
    direct: list[type] = type.__subclasses__(cls)
    for one in direct:
        found += _subclasses(one)
    return found


def _note(_: Any, result: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    if current_loop() is None or current_training() is not None:
        return
    try:
        # The frames of this function, of the metric's and of who asks it.
        _record(args[0], result, sys._getframe(2))  # noqa: SLF001  the documented way to the caller
    except Exception as error:  # noqa: BLE001  as of a listener
        report("recording a metric of Keras", error)


def _record(metric: Any, result: Any, caller: FrameType) -> None:
    loop = current_loop()
    if loop is None or str(caller.f_globals.get("__name__", "")).startswith(_LIBRARY) or active_run() is not loop.run:
        return
    values = result if isinstance(result, dict) else {"": result}
    for part, value in values.items():
        number = as_scalar(value)
        if number is not None:
            _log(loop, metric, part, number, caller)


def _log(loop: GradientLoop, metric: Any, part: str, value: Any, caller: FrameType) -> None:
    run = loop.run
    names = _names.setdefault(run, _Names())
    key = names.find(metric, caller, loop.keys) + (f"_{part}" if part else "")
    number = loop.number()

    def take(result: float) -> None:
        if names.latest.get(key) != (point := (number(), result)):
            names.latest[key] = point
            run.log_metric(key, result, point[0])

    deliver((value,), take)


class _Names:
    """How the metrics of a run are called there: by their own names, which two of a kind have in common."""

    def __init__(self) -> None:
        # What was logged last, so that a result that is asked for twice is one point.
        self.latest: Final[dict[str, tuple[int, float]]] = {}
        self._names: Final[dict[int, tuple[weakref.ref[Any], str]]] = {}

    def find(self, metric: Any, caller: FrameType, reserved: set[str]) -> str:
        found = self._names.get(id(metric))
        if found is not None and found[0]() is metric:
            return found[1]
        key = id(metric)
        taken = reserved | {name for _, name in self._names.values()}
        name = str(metric.name)
        if name in taken:
            variable = variable_name(metric, caller)
            name = variable if variable is not None and variable not in taken else name
        number = 2
        while name in taken:
            name, number = f"{metric.name}-{number}", number + 1
        self._names[key] = weakref.ref(metric), name
        return name


_names: Final[weakref.WeakKeyDictionary[ActiveRun, _Names]] = weakref.WeakKeyDictionary()
