"""Functions that something follows stay the objects that they are."""

from __future__ import annotations

import functools
import inspect
import pickle
import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autolog.rerouting import Rerouting, follow, is_reroutable, surround

calls: list[tuple[Any, ...]] = []


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@decorated
def divide(value: float, by: float = 1) -> float:
    """Divide."""
    return value / by


def plain(value: float) -> float:
    return value


def after(function: Any, result: Any, args: Any, kwargs: Any) -> None:
    calls.append((function.__name__, result, args, kwargs))


@pytest.fixture
def rerouted() -> Any:
    calls.clear()
    patch = follow(divide, after)
    yield patch
    patch.undo()


def test_the_function_is_called_and_then_what_follows(rerouted: Rerouting) -> None:
    assert divide(6, by=3) == 2
    assert calls == [("divide", 2, (6,), {"by": 3})]


def test_what_the_function_shows_of_itself_stays(rerouted: Rerouting) -> None:
    assert str(inspect.signature(divide)) == "(value: 'float', by: 'float' = 1) -> 'float'"
    assert "return value / by" in inspect.getsource(divide)
    assert (divide.__name__, divide.__doc__, divide.__module__) == ("divide", "Divide.", __name__)
    assert vars(divide).keys() == {"__wrapped__"}


def test_errors_arrive_and_one_frame_in_them_names_autolog(rerouted: Rerouting) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        divide(1, 0)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[1:] == ["<autolog>", "wrapper", "divide"]
    assert calls == []


def test_a_warning_for_the_first_caller_outside_of_the_library_is_for_the_user(tmp_path: Path) -> None:
    """pandas and polars look for it so, by the files of the frames."""
    file = tmp_path / "library.py"
    file.write_text(
        "import sys, warnings\n"
        "def warn():\n"
        "    level, frame = 1, sys._getframe()\n"
        "    while frame.f_code.co_filename == __file__:\n"
        "        level, frame = level + 1, frame.f_back\n"
        "    warnings.warn('from below', UserWarning, stacklevel=level)\n"
    )
    library = runpy.run_path(str(file))["warn"]
    patch = follow(library, after)
    with pytest.warns(UserWarning, match="from below") as caught:
        library()
    patch.undo()
    assert caught[0].filename == __file__


def test_who_holds_the_function_holds_the_hook_and_it_pickles_by_reference() -> None:
    held = functools.partial(divide, by=2)
    before = pickle.dumps(divide)
    patch = follow(divide, after)
    try:
        calls.clear()
        assert held(4) == 2
        assert len(calls) == 1
        assert pickle.dumps(divide) == before
    finally:
        patch.undo()
    assert held(4) == 2
    assert len(calls) == 1


def test_two_on_one_function_are_both_called_and_taken_back_in_order() -> None:
    code = divide.__code__
    calls.clear()
    first = follow(divide, after)
    second = follow(divide, after)
    assert divide(1) == 1
    assert len(calls) == 2
    first.undo()
    assert divide(1) == 1
    assert len(calls) == 4, "the second goes on through the first"
    second.undo()
    first.undo()
    assert divide.__code__ is code


def many(first: int, /, second: int = 2, *rest: int, third: int, fourth: int = 4, **others: int) -> tuple[Any, ...]:
    return first, second, rest, third, fourth, others


def few(*, only: int = 1) -> int:
    return only


def test_every_kind_of_parameter_is_passed_on_and_the_signature_stays() -> None:
    before = [(inspect.signature(one), inspect.getsource(one)) for one in (many, few, plain)]
    patches = [follow(one, after) for one in (many, few, plain)]
    try:
        calls.clear()
        assert many(1, third=3) == (1, 2, (), 3, 4, {})
        assert many(1, 5, 6, 7, third=3, fourth=8, fifth=9) == (1, 5, (6, 7), 3, 8, {"fifth": 9})
        assert (few(), few(only=3), plain(5), plain(value=6)) == (1, 3, 5, 6)
        assert len(calls) == 6
        assert [(inspect.signature(one), inspect.getsource(one)) for one in (many, few, plain)] == before
        with pytest.raises(TypeError, match=r"many\(\) missing 1 required keyword-only argument: 'third'"):
            many(1)
    finally:
        for patch in patches:
            patch.undo()
    assert plain(1) == 1


def resumed() -> Any:
    yield 1


def test_only_functions_that_run_from_call_to_return_qualify() -> None:
    assert is_reroutable(divide)
    assert not is_reroutable(resumed)
    assert not is_reroutable(len)
    assert not is_reroutable(functools.partial(plain))


def test_a_function_is_surrounded_by_another_that_decides_whether_it_runs() -> None:
    seen: list[Any] = []

    def around(function: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        seen.append((function is not divide, instance, args, kwargs))
        return function(*args, **kwargs) * 10

    held = functools.partial(divide, 8.0)
    signature = inspect.signature(divide)
    patch = surround(divide, around)
    assert divide(1.0, 2.0) == 5.0
    assert held(4.0) == 20.0
    assert seen == [(True, None, (1.0, 2.0), {}), (True, None, (8.0, 4.0), {})]
    assert pickle.loads(pickle.dumps(held)).func is divide
    assert inspect.signature(divide) == signature
    patch.undo()
    assert divide(1.0, 2.0) == 0.5
