"""Hooks go around functions, methods and families of classes, in any order of imports, and come off again."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autolog import imports
from autolog.guard import Strictness
from autolog.hooks import Call, Hook, Integration
from autolog.lifecycle import begin_run
from autolog.rerouting import CODE_NAME
from autolog.run import active_run
from autolog.training import Training, current_training, inherit_training, is_silenced, silence

# A small library with an alias of its function, as boosting libraries have one of their train.
LIBRARY = {
    "__init__.py": "from library.training import train\n",
    "training.py": (
        "class Base:\n"
        "    def fit(self, x=1, *, y=2):\n"
        "        return x + y\n"
        "class Child(Base):\n"
        "    def fit(self, x=1, *, y=2):\n"
        "        return super().fit(x, y=y) * 10\n"
        "class Silent(Base):\n"
        "    pass\n"
        "calls = []\n"
        "def train(rounds):\n"
        "    'Train.'\n"
        "    calls.append(rounds)\n"
        "    if rounds < 0:\n"
        "        raise ValueError('rounds')\n"
        "    return [rounds]\n"
    ),
}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "library").mkdir()
    for name, text in LIBRARY.items():
        (tmp_path / "library" / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Strictness, "enabled", True)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "library"]:
        del sys.modules[name]


class Seen:
    """An integration of the library, and what its hooks have seen."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.integration = Integration("library")
        self.integration.around("library.training:train", "library:train")(self.train)
        self.integration.around("library.training:Base+.fit")(self.fit)

    def train(self, call: Call) -> Hook:
        rounds = call.argument("rounds")
        yield
        self.calls.append(("train", rounds, call.result, type(call.error)))

    def fit(self, call: Call) -> Hook:
        self.calls.append(("fit", type(call.instance).__name__, call.argument("x"), call.argument("y", "default")))
        yield


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    yield seen
    seen.integration.uninstall()


@pytest.mark.parametrize("first", ["enable", "import"])
def test_a_function_is_hooked_under_each_of_its_names_and_once_a_call(seen: Seen, first: str) -> None:
    if first == "enable":
        seen.integration.install()
    library = importlib.import_module("library")
    if first == "import":
        seen.integration.install()
    assert library.train(3) == [3]
    assert library.training.train(rounds=4) == [4]
    assert seen.calls == [("train", 3, [3], type(None)), ("train", 4, [4], type(None))]


@pytest.mark.parametrize("first", ["enable", "import"])
def test_uninstalling_puts_back_what_was_there(seen: Seen, first: str) -> None:
    if first == "enable":
        seen.integration.install()
    library = importlib.import_module("library")
    if first == "import":
        seen.integration.install()
    wrapped = library.train
    seen.integration.uninstall()
    assert library.train is library.training.train
    assert type(library.train).__name__ == "function"
    assert all(type(vars(cls).get("fit")).__name__ in {"function", "NoneType"} for cls in family(library))
    assert "__init_subclass__" not in vars(library.training.Base)
    assert wrapped(5) == [5]
    assert seen.calls == []


def family(library: Any) -> list[type]:
    return [library.training.Base, library.training.Child, library.training.Silent]


def test_only_the_outermost_of_nested_calls_is_seen(seen: Seen) -> None:
    seen.integration.install()
    library = importlib.import_module("library")
    assert library.training.Child().fit(2, y=3) == 50
    assert seen.calls == [("fit", "Child", 2, 3)]


def test_classes_to_come_are_hooked_as_they_are_made(seen: Seen) -> None:
    library = importlib.import_module("library")
    seen.integration.install()

    class Later(library.training.Silent):  # type: ignore[misc,name-defined]
        def fit(self, x: int = 7) -> int:
            return x

    assert Later().fit() == 7
    assert Later.fit(Later(), 8) == 8
    assert seen.calls[0] == ("fit", "Later", None, "default")
    assert Later.fit is Later.fit
    seen.integration.uninstall()
    assert type(vars(Later)["fit"]).__name__ == "function"


def test_the_users_exception_passes_and_the_hook_learns_of_it(seen: Seen) -> None:
    seen.integration.install()
    library = importlib.import_module("library")
    with pytest.raises(ValueError, match="rounds") as caught:
        library.train(-1)
    assert caught.value.__context__ is None
    assert seen.calls == [("train", -1, None, ValueError)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_bug_in_a_hook_is_one_line_and_the_call_runs_once(
    moment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Strictness, "enabled", False)
    integration = Integration(f"library-{moment}")

    @integration.around("library.training:train")
    def broken(_: Call) -> Hook:
        if moment == "before":
            raise RuntimeError(f"a bug {moment}")
        yield
        raise RuntimeError(f"a bug {moment}")

    integration.install()
    library = importlib.import_module("library")
    assert [library.train(1), library.train(2)] == [[1], [2]]
    assert library.training.calls == [1, 2]
    assert len([record for record in caplog.records if f"a bug {moment}" in record.message]) == 1
    integration.uninstall()


def test_a_ctrl_c_inside_a_hook_is_the_users() -> None:
    integration = Integration("library")

    @integration.around("library.training:train")
    def interrupted(_: Call) -> Hook:
        raise KeyboardInterrupt
        yield

    integration.install()
    library = importlib.import_module("library")
    with pytest.raises(KeyboardInterrupt):
        library.training.train(1)
    integration.uninstall()
    assert current_training() is None


def test_a_thread_that_is_started_inside_a_training_belongs_to_it(seen: Seen) -> None:
    found = []

    @seen.integration.around("library.training:Silent.fit")
    def start_threads(_: Call) -> Hook:
        yield

    library = importlib.import_module("library")

    def fit_in_thread(self: Any) -> None:
        thread = threading.Thread(target=lambda: found.append(current_training()))
        thread.start()
        thread.join()

    library.training.Silent.fit = fit_in_thread
    seen.integration.install()
    library.training.Silent().fit()
    outside = threading.Thread(target=lambda: found.append(current_training()))
    outside.start()
    outside.join()
    assert found[0] is not None
    assert found[1] is None


def test_a_listener_that_fails_does_not_fail_the_import(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Strictness, "enabled", False)
    heard: list[ModuleType] = []

    def fail(_: ModuleType) -> None:
        raise RuntimeError("a listener's bug")

    imports.when_imported("library", fail)
    imports.when_imported("library", heard.append)
    with caplog.at_level(logging.WARNING, "autolog"):
        library = importlib.import_module("library")
    assert heard == [library]
    assert "exec_module" not in vars(library.__spec__.loader)
    assert type(library.__loader__).__name__ == "SourceFileLoader"
    importlib.reload(library)
    assert heard == [library, library]
    imports.forget("library", fail)
    imports.forget("library", heard.append)


def test_an_import_that_fails_fails_as_it_would_and_may_be_tried_again(tmp_path: Path) -> None:
    heard: list[ModuleType] = []
    imports.when_imported("library", heard.append)
    (tmp_path / "library" / "__init__.py").write_text("raise ImportError('no such luck')")
    with pytest.raises(ImportError, match="no such luck"):
        importlib.import_module("library")
    assert heard == []
    (tmp_path / "library" / "__init__.py").write_text("value = 1  # and this time well")
    importlib.invalidate_caches()
    assert importlib.import_module("library").value == 1
    assert len(heard) == 1
    imports.forget("library", heard.append)


def test_a_target_that_the_library_does_not_have_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    Strictness.enabled = False
    integration = Integration("library")

    @integration.around("library.training:gone", "library.training:Base.gone", "library.training:train")
    def hook(_: Call) -> Hook:
        yield

    integration.install()
    library = importlib.import_module("library")
    assert library.train(1) == [1]
    assert library.training.train.__code__.co_name == CODE_NAME
    assert caplog.text == ""
    integration.uninstall()


def test_a_thread_that_is_started_in_silence_is_silent_until_the_training_is_over() -> None:
    asked, told = threading.Event(), threading.Event()
    heard: list[bool] = []

    def listen() -> None:
        heard.append(is_silenced())
        told.set()
        asked.wait(10)
        heard.append(is_silenced())

    thread = threading.Thread(target=listen)
    with Training():
        with silence():
            inherit_training(thread)
        assert not is_silenced()
        thread.start()
        assert told.wait(10)
    asked.set()
    thread.join()
    assert heard == [True, False]


def test_a_training_that_joins_a_run_makes_it_the_active_one_and_leaves_its_end_to_others() -> None:
    run = begin_run(name="stream")
    for error in (None, ValueError("a bad batch")):
        with Training() as training:
            training.join(run)
            assert active_run() is run
            training.end(error)
        assert active_run() is None
        assert not run.has_ended
    assert run.data.tags["autolog.training.exception"] == "ValueError"
    run.end()
