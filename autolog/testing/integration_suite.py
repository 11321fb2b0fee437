"""What every integration owes its users, as tests to inherit.

Each test runs a program of its own in a fresh interpreter, since the order of imports is half of what is tested::

    class TestXGBoost(IntegrationSuite):
        integration = "xgboost"
        imports = "import xgboost, numpy"
        training = "xgboost.train({'max_depth': 2}, xgboost.DMatrix(numpy.eye(4), [0, 1, 0, 1]), 2)"
        failing = "xgboost.train({'max_depth': 'two'}, xgboost.DMatrix(numpy.eye(4), [0, 1, 0, 1]), 2)"
        patched = ("xgboost.train",)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run, RunStatus

TIMEOUT = 120


class IntegrationSuite:
    """Inherit it, and say what a training of the framework looks like.

    Attributes:
        integration: its name in the table.
        imports: statements that import the framework, and whatever else ``training`` needs.
        training: an expression that trains something small, deterministically; one run is expected of it.
        failing: an expression that raises inside a training.
        patched: expressions of callables that the integration wraps.
        bound: expressions of bound methods among them, whose objects can be pickled.
    """

    integration: ClassVar[str]
    imports: ClassVar[str]
    training: ClassVar[str]
    failing: ClassVar[str]
    patched: ClassVar[tuple[str, ...]]
    bound: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture(autouse=True)
    def _store(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.url = f"file:{tmp_path / 'runs'}"

    # -- programs --------------------------------------------------------------------------------------------------

    def run_program(self, program: str) -> subprocess.CompletedProcess[str]:
        """Run a program in an interpreter of its own; it must end well."""
        environment = os.environ | {
            "AUTOLOG_BACKEND": self.url,
            "AUTOLOG_SPOOL": str(self.folder / "spool"),
            "AUTOLOG_SYSTEM_METRICS": "0",
            "AUTOLOG_LOG_ENVIRONMENT": "0",
        }
        done = subprocess.run(  # noqa: S603  the program is the suite's own
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    def recorded(self) -> list[Run]:
        """Return the runs in the store, children left out."""
        reader = open_reader(self.url)
        try:
            runs = reader.search_runs(RunQuery(max_results=1000)).items
        finally:
            reader.close()
        return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]

    def expect_one_run(self) -> Run:
        """Return the one run that there must be; it has finished, and has params."""
        (run,) = self.recorded()
        assert run.info.status is RunStatus.FINISHED
        assert run.data.params
        assert run.data.tags["mlflow.autologging"] == self.integration
        return run

    # -- import order ----------------------------------------------------------------------------------------------

    def test_a_training_is_recorded_when_enabled_before_the_import(self) -> None:
        self.run_program(f"import autolog; autolog.enable(strict=True)\n{self.imports}\n{self.training}")
        self.expect_one_run()

    def test_a_training_is_recorded_when_enabled_after_the_import(self) -> None:
        self.run_program(f"{self.imports}\nimport autolog; autolog.enable(strict=True)\n{self.training}")
        self.expect_one_run()

    def test_both_orders_record_the_same(self) -> None:
        enable = "import autolog; autolog.enable(strict=True)"
        self.run_program(f"{enable}\n{self.imports}\n{self.training}")
        self.run_program(f"{self.imports}\n{enable}\n{self.training}")
        one, other = self.recorded()
        assert one.data.params == other.data.params
        assert one.data.summaries.keys() == other.data.summaries.keys()
        assert [entry.dataset for entry in one.inputs.dataset_inputs] == [
            entry.dataset for entry in other.inputs.dataset_inputs
        ]

    def test_enabling_imports_no_framework(self) -> None:
        done = self.run_program(
            f"""
            import sys
            before = set(sys.modules)
            import autolog; autolog.enable(integrations=["{self.integration}"])
            new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
            print(sorted(new & {{"sklearn", "xgboost", "lightgbm", "torch", "tensorflow", "keras", "numpy", "pandas"}}))
            """
        )
        assert done.stdout.strip() == "[]"

    def test_enabling_twice_records_once(self) -> None:
        self.run_program(
            f"import autolog; autolog.enable()\n{self.imports}\nautolog.enable(strict=True)\n{self.training}"
        )
        self.expect_one_run()

    # -- taking it back --------------------------------------------------------------------------------------------

    def test_disable_puts_back_the_very_objects(self) -> None:
        self.run_program(
            f"""
{self.imports}
import autolog
def holders():
    found = {{}}
    for expression in {self.patched!r}:
        owner, _, name = expression.rpartition(".")
        value = vars(eval(owner)).get(name)
        # A module's function stays the object that it is, and runs other code.
        found[expression] = value, getattr(value, "__code__", None)
    return found
before = holders()
autolog.enable(strict=True)
hooked = holders()
def same(name, now):
    return all(one is other for one, other in zip(before[name], now[name]))
assert not any(same(name, hooked) for name in before if before[name][0] is not None), "nothing was hooked"
autolog.disable()
after = holders()
assert all(same(name, after) for name in before), (before, after)
{self.training}
"""
        )
        assert self.recorded() == []

    def test_what_was_imported_by_name_before_disable_only_passes_calls_on(self) -> None:
        self.run_program(
            f"import autolog; handle = autolog.enable(strict=True)\n{self.imports}\n"
            f"kept = [{', '.join(self.patched)}]\nautolog.disable()\n{self.training}"
        )
        assert self.recorded() == []

    # -- objects ---------------------------------------------------------------------------------------------------

    def test_patched_callables_keep_name_doc_and_signature(self) -> None:
        program = f"""
import inspect, json
{self.imports}
print(json.dumps([[f.__name__, f.__doc__, f.__module__, f.__qualname__, str(inspect.signature(f))]
                  for f in [{", ".join(self.patched)},]]))
"""
        plain = self.run_program(program).stdout
        assert self.run_program(f"import autolog; autolog.enable(strict=True)\n{program}").stdout == plain

    @pytest.mark.parametrize("how", ["pickle", "cloudpickle", "joblib", "copy", "deepcopy"])
    def test_patched_callables_survive(self, how: str) -> None:
        if how in {"cloudpickle", "joblib"}:
            pytest.importorskip(how)
        self.run_program(
            f"""
import copy, io, pickle
import autolog
autolog.enable(strict=True)
{self.imports}
def travel(value):
    if {how!r} == "pickle":
        return pickle.loads(pickle.dumps(value))
    if {how!r} == "cloudpickle":
        import cloudpickle
        return pickle.loads(cloudpickle.dumps(value))
    if {how!r} == "joblib":
        import joblib
        buffer = io.BytesIO()
        joblib.dump(value, buffer)
        buffer.seek(0)
        return joblib.load(buffer)
    return getattr(copy, {how!r})(value)
for function in [{", ".join(self.patched)},]:
    assert travel(function) is function, function
for method in [{", ".join(self.bound)}]:
    assert type(travel(method).__self__) is type(method.__self__)
    assert travel(method).__name__ == method.__name__
"""
        )

    def test_patched_callables_reach_worker_processes(self) -> None:
        pytest.importorskip("joblib")
        if not self.bound:
            pytest.skip("this integration hooks no methods")
        self.run_program(
            f"""
import autolog
autolog.enable(strict=True)
{self.imports}
from joblib import Parallel, delayed
methods = [{", ".join(self.bound)},]
found = Parallel(n_jobs=2, backend="loky")(delayed(getattr)(method, "__name__") for method in methods)
assert found == [method.__name__ for method in methods]
"""
        )

    # -- errors ----------------------------------------------------------------------------------------------------

    def test_a_bug_in_a_hook_is_one_log_line_and_the_training_goes_on(self) -> None:
        program = f"""
import autolog
autolog.enable()
{self.imports}
from autolog import enabling
for integration in enabling._installed:
    def broken(*_):
        raise RuntimeError("a bug of ours")
        yield
    integration._hooks[:] = [one._replace(hook=broken) for one in integration._hooks]
    integration.uninstall(); integration.install()
{self.training}
{self.training}
"""
        done = self.run_program(program)
        # Each hooked place says so once.
        lines = [line for line in done.stderr.splitlines() if "a bug of ours" in line]
        assert 0 < len(lines) == len(set(lines))
        assert "your code is not affected" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_users_exception_arrives_as_it_was_and_the_run_has_failed(self) -> None:
        program = f"""
{self.imports}
import json, traceback
try:
    {self.failing}
except Exception as error:
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__) if "autolog" not in str(frame)]
    print(json.dumps([type(error).__name__, str(error), repr(error.__context__), repr(error.__cause__), frames]))
else:
    raise SystemExit("the training that should fail did not")
"""
        plain = json.loads(self.run_program(program).stdout)
        recorded = json.loads(self.run_program(f"import autolog; autolog.enable(strict=True)\n{program}").stdout)
        assert recorded == plain
        (run,) = self.recorded()
        assert run.info.status is RunStatus.FAILED
        assert plain[0] in run.data.tags["autolog.exception"]

    def test_nothing_is_written_to_stdout(self) -> None:
        plain = self.run_program(f"{self.imports}\n{self.training}")
        recorded = self.run_program(f"import autolog; autolog.enable()\n{self.imports}\n{self.training}")
        assert (recorded.stdout, recorded.stderr) == (plain.stdout, plain.stderr)

    # -- threads ---------------------------------------------------------------------------------------------------

    def test_trainings_in_threads_have_a_run_each(self) -> None:
        self.run_program(
            f"""
import threading
import autolog
autolog.enable(strict=True)
{self.imports}
def train():
    {self.training}
threads = [threading.Thread(target=train) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
        )
        runs = self.recorded()
        assert len(runs) == 4  # noqa: PLR2004  the threads
        assert all(run.data.params == runs[0].data.params for run in runs)
        assert all(run.info.status is RunStatus.FINISHED for run in runs)

    def test_a_training_inside_the_users_run_goes_into_it_and_a_second_one_into_a_child(self) -> None:
        self.run_program(
            f"""
import autolog
autolog.enable(strict=True)
{self.imports}
with autolog.start_run(run_name="mine"):
    {self.training}
    {self.training}
"""
        )
        (run,) = self.recorded()
        assert run.info.run_name == "mine"
        assert run.data.params
        children = self._children(run.info.run_id)
        assert [child.data.params for child in children] == [run.data.params]

    def _children(self, run_id: str) -> list[Any]:
        reader = open_reader(self.url)
        try:
            query = RunQuery(filter=f"tags.`mlflow.parentRunId` = '{run_id}'")
            return list(reader.search_runs(query).items)
        finally:
            reader.close()
