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


def test_a_listener_is_told_of_functions_and_methods_wherever_they_are_called(integration: Integration) -> None:
    told: list[tuple[Any, ...]] = []
    integration.listen("shelf:read_one", "shelf:Mixin.predict")(lambda *call: told.append(call))
    integration.install()
    import shelf

    held = shelf.read_one
    integration.around("shelf:train")(lambda _: iter((None,)))
    assert held("a", sep="|") == ["a", "|"]
    model = shelf.Model()
    assert shelf.train(lambda: model.predict(3)) == 3
    assert told == [(["a", "|"], ("a",), {"sep": "|"}), (3, (model, 3), {})]


def test_a_listener_before_a_call_sees_what_the_call_will_use_up(integration: Integration) -> None:
    seen: list[Any] = []
    integration.listen("shelf:write", before=True)(lambda result, args, _: seen.append((result, args)))
    integration.install()
    import shelf

    shelf.write("a")
    assert seen == [(None, ("a",))]


def test_what_a_listener_raises_is_reported_once_and_stays_inside(
    integration: Integration, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Strictness, "enabled", False)
    integration.listen("shelf:read_two")(lambda *_: 1 / 0)
    integration.install()
    import shelf

    assert [shelf.read_two("a"), shelf.read_two("b")] == [["a", ";"], ["b", ";"]]
    assert [record.levelname for record in caplog.records if record.levelname == "WARNING"] == ["WARNING"]
    assert "ZeroDivisionError" in caplog.text


def test_what_is_attached_to_a_frameworks_registry_is_taken_back(integration: Integration) -> None:
    @integration.attach("shelf")
    def attach(module: Any) -> Any:
        module.registry = ["ours"]
        return module.registry.clear

    integration.install()
    import shelf

    assert shelf.registry == ["ours"]
    integration.uninstall()
    assert shelf.registry == []


def test_a_method_is_its_own_again_after_listening(integration: Integration) -> None:
    integration.listen("shelf:Mixin.predict")(lambda *_: None)
    import shelf

    before = shelf.Mixin.predict.__code__
    integration.install()
    assert shelf.Mixin.predict.__code__ is not before
    integration.uninstall()
    assert shelf.Mixin.predict.__code__ is before


def test_two_functions_that_share_their_code_keep_to_themselves(integration: Integration, tmp_path: Path) -> None:
    with (tmp_path / "shelf.py").open("a") as file:
        file.write(
            "def make(value):\n    def give():\n        return value\n    return give\none, two = make(1), make(2)\n"
        )
    told: list[Any] = []
    integration.listen("shelf:one", "shelf:two")(lambda result, *_: told.append(result))
    integration.install()
    import shelf

    assert [shelf.one(), shelf.two(), shelf.one()] == [1, 2, 1]
    assert told == [1, 2, 1]
