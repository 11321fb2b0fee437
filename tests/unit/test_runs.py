"""The life of runs: which one is active where, and how each one ends, whatever happens to its program."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

import autolog
from autolog.errors import InvalidParameter, InvalidState, NotFound
from autolog.recovery import recover


@pytest.fixture(autouse=True, params=["file", "sqlite"])
def store(request, tmp_path, monkeypatch):
    """The URL of a store of each kind."""
    url = f"file:{tmp_path / 'runs'}" if request.param == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    monkeypatch.setenv("AUTOLOG_BACKEND", url)
    return url


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """Run a script in a process of its own, in the same store and spool."""

    monkeypatch.setenv("PYTHONPATH", str(Path(autolog.__file__).parents[1]))

    def run(text):
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(text))
        return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)

    return run


def only_run():
    (found,) = autolog.search_runs(output_format="list", search_all_experiments=True)
    return found


# -- one after the other and inside each other -------------------------------------------------------------------------


def test_a_run_inside_another_is_its_child():
    with autolog.start_run(run_name="outer") as outer:
        with autolog.start_run(run_name="inner", nested=True) as inner:
            assert autolog.active_run() is inner
            autolog.log_metric("loss", 1.0)
        assert autolog.active_run() is outer
        autolog.log_metric("loss", 2.0)
    assert autolog.active_run() is None
    assert autolog.get_parent_run(inner.run_id).info.run_id == outer.run_id
    assert autolog.get_parent_run(outer.run_id) is None
    assert (inner.data.metrics, outer.data.metrics) == ({"loss": 1.0}, {"loss": 2.0})


def test_a_second_run_is_refused_with_what_to_do():
    with autolog.start_run(run_name="first") as run, pytest.raises(InvalidState) as refused:
        autolog.start_run()
    assert str(refused.value) == (
        f"the run {run.run_id} (first) is active; end it first with end_run(), "
        "or begin a child of it with start_run(nested=True)"
    )


def test_a_child_of_another_run_can_be_begun_by_id():
    with autolog.start_run() as parent:
        pass
    with autolog.start_run(parent_run_id=parent.run_id) as child:
        pass
    assert autolog.get_parent_run(child.run_id).info.run_id == parent.run_id


def test_a_run_says_who_it_is():
    with autolog.start_run(run_name="named", tags={"a": 1}, description="words") as run:
        assert (run.info.run_name, run.info.status, run.info.run_id) == ("named", "RUNNING", run.run_id)
    stored = autolog.get_run(run.run_id)
    assert stored.data.tags["mlflow.runName"] == "named"
    assert stored.data.tags["mlflow.note.content"] == "words"
    assert stored.data.tags["a"] == "1"
    assert stored.info.end_time >= stored.info.start_time > 0
    assert autolog.last_active_run().info.run_id == run.run_id


def test_a_run_is_ended_with_a_status():
    run = autolog.start_run()
    with pytest.raises(InvalidParameter, match="use one of RUNNING"):
        autolog.end_run("DONE")
    autolog.end_run("KILLED")
    autolog.end_run()
    assert autolog.get_run(run.run_id).info.status == "KILLED"


def test_a_run_is_gone_on_with_by_its_id():
    with autolog.start_run(run_name="first") as run:
        autolog.log_param("C", 1)
        autolog.log_metric("loss", 1.0, step=0)
    with autolog.start_run(run_id=run.run_id, tags={"more": "yes"}) as again:
        assert autolog.get_run(run.run_id).info.status == "RUNNING"
        assert autolog.get_run(run.run_id).info.end_time is None
        autolog.log_metric("loss", 2.0, step=1)
    stored = autolog.get_run(again.run_id)
    assert (stored.info.status, stored.info.run_name) == ("FINISHED", "first")
    assert [point.value for point in autolog.get_metric_history(run.run_id, "loss")] == [1.0, 2.0]
    assert stored.data.tags["more"] == "yes"
    with pytest.raises(NotFound, match="nowhere"):
        autolog.start_run(run_id="nowhere")


def test_a_process_goes_on_with_the_run_that_the_environment_names(run_script, monkeypatch):
    with autolog.start_run() as run:
        autolog.log_param("C", 1)
    autolog.flush()
    monkeypatch.setenv("AUTOLOG_RUN_ID", run.run_id)
    done = run_script("import autolog; autolog.log_param('D', 2); print(autolog.active_run().run_id)")
    assert done.stdout.strip() == run.run_id
    assert only_run().data.params == {"C": "1", "D": "2"}
    assert only_run().info.status == "FINISHED"


def test_a_process_goes_on_with_the_named_run_where_the_store_cannot_be_asked(run_script, monkeypatch):
    monkeypatch.setenv("AUTOLOG_RUN_ID", "launched")
    monkeypatch.setenv("AUTOLOG_BACKEND", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("AUTOLOG_EXIT_TIMEOUT", "0.2")
    done = run_script("import autolog; print(autolog.start_run().run_id); autolog.log_param('D', 2)")
    assert done.stdout.strip() == "launched"
    assert "records could not be sent" in done.stderr


# -- threads and tasks -------------------------------------------------------------------------------------------------


def test_threads_with_a_run_each_never_mix():
    together = threading.Barrier(8)

    def train(number):
        together.wait()
        with autolog.start_run(run_name=str(number)) as run:
            for step in range(200):
                autolog.log_metric("number", number, step=step)
                autolog.log_param("number", number)
            assert autolog.active_run() is run
        return run.run_id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(train, range(8)))
    for number, run_id in enumerate(ids):
        stored = autolog.get_run(run_id)
        assert (stored.info.run_name, stored.data.params) == (str(number), {"number": str(number)})
        assert [point.value for point in autolog.get_metric_history(run_id, "number")] == [float(number)] * 200


def test_threads_write_to_one_run_without_loss():
    with autolog.start_run() as run, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda step: run.log_metric(f"m{step % 4}", step, step), range(4000)))
    history = [point.step for key in range(4) for point in autolog.get_metric_history(run.run_id, f"m{key}")]
    assert sorted(history) == list(range(4000))


def test_a_thread_has_no_active_run_unless_it_is_given_the_context():
    seen = []
    with autolog.start_run() as run:
        here = copy_context()
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(autolog.active_run).result())
            seen.append(pool.submit(here.run, autolog.active_run).result())
    assert seen == [None, run]


def test_tasks_with_a_run_each_never_mix():
    async def train(number):
        with autolog.start_run(run_name=str(number)) as run:
            for step in range(20):
                autolog.log_metric("number", number, step=step)
                await asyncio.sleep(0)
            assert autolog.active_run() is run
        return run.run_id

    async def main():
        return await asyncio.gather(*(train(number) for number in range(8)))

    for number, run_id in enumerate(asyncio.run(main())):
        assert {point.value for point in autolog.get_metric_history(run_id, "number")} == {float(number)}
        assert autolog.get_run(run_id).info.status == "FINISHED"


def test_a_task_inherits_the_run_that_is_active_where_it_is_made():
    async def child(number):
        with autolog.start_run(nested=True) as run:
            await asyncio.sleep(0)
            autolog.log_metric("number", number)
        autolog.log_metric(f"from {number}", number)
        return run.run_id

    async def main():
        with autolog.start_run() as parent:
            return parent.run_id, await asyncio.gather(child(1), child(2))

    parent, children = asyncio.run(main())
    assert autolog.get_run(parent).data.metrics == {"from 1": 1.0, "from 2": 2.0}
    assert [autolog.get_parent_run(run_id).info.run_id for run_id in children] == [parent, parent]


# -- exceptions and exits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("C must be positive, password=hunter2"), "ValueError: C must be positive, password="),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_exception_that_leaves_a_with_block_is_kept(error, line):
    with pytest.raises(type(error)), autolog.start_run() as run:
        raise error
    stored = autolog.get_run(run.run_id)
    assert stored.info.status == "FAILED"
    assert stored.data.tags["autolog.exception"].startswith(line)
    written = autolog.artifacts.load_text(f"runs:/{run.run_id}/exception.txt")
    assert "Traceback (most recent call last)" in written
    assert "raise error" in written
    assert "hunter2" not in written + stored.data.tags["autolog.exception"]


@pytest.mark.parametrize(
    ("end", "code", "status", "exception"),
    [
        ("", 0, "FINISHED", None),
        ("raise ValueError('too bad')", 1, "FAILED", "ValueError: too bad"),
        ("sys.exit(0)", 0, "FINISHED", None),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -2, "FAILED", "KeyboardInterrupt"),
    ],
)
def test_a_run_that_a_script_leaves_open_ends_as_the_script_does(run_script, end, code, status, exception):
    done = run_script(
        f"import os, signal, sys, time, autolog\nautolog.start_run()\nautolog.log_metric('loss', 1.0)\n{end}"
    )
    assert done.returncode == code
    assert only_run().info.status == status
    assert only_run().data.metrics == {"loss": 1.0}
    assert only_run().data.tags.get("autolog.exception") == exception


@pytest.mark.parametrize(("code", "status"), [(None, "FINISHED"), (0, "FINISHED"), (1, "FAILED"), ("why", "FAILED")])
def test_a_program_that_exits_inside_a_with_block_fails_unless_its_code_is_zero(code, status):
    with pytest.raises(SystemExit), autolog.start_run() as run:
        sys.exit(code)
    assert autolog.get_run(run.run_id).info.status == status


# -- processes ---------------------------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_what_a_forked_child_logs_is_in_its_parents_run(run_script, tmp_path, end):
    done = run_script(
        f"""
        import os, sys, autolog
        with autolog.start_run() as run:
            autolog.log_metric("loss", 1.0, step=0)
            for number in range(3):
                if os.fork() == 0:
                    autolog.log_metric("loss", 2.0, step=number + 1)
                    autolog.log_param(f"child {{number}}", os.getpid() != run)
                    autolog.log_text("x", f"{{number}}.txt")
                    {end}
            for _ in range(3):
                os.wait()
            autolog.log_metric("loss", 3.0, step=9)
        """
    )
    assert done.returncode == 0, done.stderr
    recover(tmp_path / "spool")
    stored = only_run()
    assert stored.info.status == "FINISHED"
    assert set(stored.data.params) == {"child 0", "child 1", "child 2"}
    history = autolog.get_metric_history(stored.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 2.0), (2, 2.0), (3, 2.0), (9, 3.0)]
    files = autolog.artifacts.list_artifacts(run_id=stored.info.run_id)
    assert [file.path for file in files] == ["0.txt", "1.txt", "2.txt"]


@needs_fork
def test_a_forked_child_does_not_end_the_run_of_its_parent(run_script, tmp_path):
    done = run_script(
        """
        import os, sys, autolog
        run = autolog.start_run()
        if os.fork() == 0:
            autolog.end_run("FAILED")
            with autolog.start_run(run_name="of the child"):
                pass
            sys.exit(1)
        os.wait()
        autolog.log_metric("loss", 1.0)
        """
    )
    assert done.returncode == 0, done.stderr
    recover(tmp_path / "spool")
    found = {run.info.run_name: run for run in autolog.search_runs(output_format="list")}
    child = found.pop("of the child")
    (parent,) = found.values()
    assert (parent.info.status, parent.data.metrics) == ("FINISHED", {"loss": 1.0})
    assert child.info.status == "FINISHED"


@needs_fork
def test_an_exception_in_a_child_inside_a_with_block_leaves_the_run_to_the_parent(run_script, tmp_path):
    done = run_script(
        """
        import os, autolog
        with autolog.start_run() as run:
            child = os.fork()
            if child == 0:
                raise ValueError("in the child")
            os.wait()
            autolog.log_metric("loss", 1.0)
        """
    )
    assert done.returncode == 0, done.stderr
    recover(tmp_path / "spool")
    assert (only_run().info.status, only_run().data.metrics) == ("FINISHED", {"loss": 1.0})


def log_from_pool(arguments):
    run_id, number = arguments
    autolog.log_metric("loss", number, step=number, run_id=run_id)
    return number


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_workers_of_a_pool_log_to_one_run(method, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    with autolog.start_run() as run:
        autolog.log_metric("loss", -1, step=-1)
        autolog.flush()
        with multiprocessing.get_context(method).Pool(3) as pool:
            assert pool.map(log_from_pool, [(run.run_id, number) for number in range(30)], 1) == list(range(30))
            pool.close()
            pool.join()
    autolog.flush()
    # Workers end by os._exit, without a word: what they left is in their journals.
    recover(tmp_path / "spool")
    assert [point.step for point in autolog.get_metric_history(run.run_id, "loss")] == list(range(-1, 30))
    assert autolog.get_run(run.run_id).info.status == "FINISHED"


def test_a_run_that_is_named_from_outside_is_gone_on_with_once(store_runs_in_environment: str) -> None:
    with autolog.start_run() as first:
        assert first.info.run_id == store_runs_in_environment
    with autolog.start_run() as second:
        assert second.info.run_id != store_runs_in_environment


@pytest.fixture
def store_runs_in_environment(monkeypatch: pytest.MonkeyPatch) -> str:
    with autolog.start_run(run_name="launcher") as run:
        pass
    assert autolog.flush(30)
    monkeypatch.setenv("AUTOLOG_RUN_ID", run.info.run_id)
    return run.info.run_id
