"""Plain functions that follow those of a module, and hooks on methods that come from mixins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autolog.guard import Strictness
from autolog.hooks import Call, Hook, Integration
from autolog.training import silence

LIBRARY = (
    "__all__ = ['read_one', 'read_two', 'write', 'absent']\n"
    "def read_one(path, *, sep=','):\n"
    "    return [path, sep]\n"
    "def read_two(path):\n"
    "    return read_one(path, sep=';')\n"
    "def write(path):\n"
    "    pass\n"
    "def train(function):\n"
    "    return function()\n"
    "class Base:\n"
    "    pass\n"
    "class Mixin:\n"
    "    def predict(self, x):\n"
    "        return x\n"
    "class Model(Mixin, Base):\n"
    "    pass\n"
    "class Stranger(Mixin):\n"
    "    pass\n"
)


@pytest.fixture
def integration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Integration]:
    (tmp_path / "shelf.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Strictness, "enabled", True)
    integration = Integration("shelf")
    yield integration
    integration.uninstall()
    sys.modules.pop("shelf", None)


@pytest.fixture
def followed(integration: Integration) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def note(call: Call) -> None:
        calls.append((call.function.__name__, call.args, call.kwargs, call.result, call.is_nested))

    integration.follow("shelf:* except write")(note)
    integration.around("shelf:train")(lambda _: iter((None,)))
    return calls


def test_the_functions_of_a_pattern_are_followed_but_those_excepted(
    integration: Integration, followed: list[Any]
) -> None:
    import shelf

    held = shelf.read_one
    integration.install()
    assert held("a") == ["a", ","]
    shelf.write("b")
    assert followed == [("read_one", ("a",), {"sep": ","}, ["a", ","], False)]
    assert shelf.read_one is held


def test_one_that_calls_another_is_followed_after_it(integration: Integration, followed: list[Any]) -> None:
    integration.install()
    import shelf

    shelf.read_two("a")
    assert [name for name, *_ in followed] == ["read_one", "read_two"]


def test_nothing_follows_inside_a_training_unless_it_is_asked_for(
    integration: Integration, followed: list[Any]
) -> None:
    within: list[str] = []
    integration.follow("shelf:read_one", within=True)(lambda call: within.append(call.args[0]))
    integration.install()
    import shelf

    def fold() -> None:
        with silence():
            shelf.read_one("silent")

    shelf.train(lambda: shelf.read_one("inside"))
    shelf.train(fold)
    assert (within, followed) == (["inside"], [])


def test_an_error_in_what_follows_leaves_the_result_alone(
    integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Strictness, "enabled", False)
    integration.follow("shelf:read_one")(lambda call: 1 / 0)
    integration.install()
    import shelf

    assert shelf.read_one("a") == ["a", ","]


def test_after_uninstalling_nothing_follows(integration: Integration, followed: list[Any]) -> None:
    import shelf

    code = shelf.read_one.__code__
    integration.install()
    integration.uninstall()
    shelf.read_one("a")
    assert followed == []
    assert shelf.read_one.__code__ is code


def test_a_method_from_a_mixin_is_hooked_on_instances_of_the_class_alone(integration: Integration) -> None:
    seen: list[Any] = []

    def predict(call: Call) -> Hook:
        yield
        seen.append((type(call.instance).__name__, call.result))

    integration.observe("shelf:Base+.predict")(predict)
    import shelf

    plain = vars(shelf.Mixin)["predict"]
    integration.install()

    class Later(shelf.Base):
        def predict(self, x: int) -> int:
            return x + 1

    assert (shelf.Model().predict(1), shelf.Stranger().predict(2), Later().predict(3)) == (1, 2, 4)
    assert seen == [("Model", 1), ("Later", 4)]
    integration.uninstall()
    assert vars(shelf.Mixin)["predict"] is plain
