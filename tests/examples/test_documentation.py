"""What the documentation and the examples show is what happens: every example and every runnable block is run.

A page is a story in one folder: its ``python`` blocks and ``sh`` blocks run in their order.
A ``python`` block that begins with a comment such as ``# train.py`` is that file, for a later ``sh`` block to run.
``sh fails`` has to end with an error. ``sql`` blocks run on the page's ``runs.db``.
Blocks of any other kind, such as ``text`` and ``console``, are only read.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import autolog

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
pytest.importorskip("sqlalchemy")

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted((REPOSITORY / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(?P<kind>python|sh|sql)(?P<fails> fails)?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (?P<name>\w+\.py)\n")
LINK = re.compile(r"\]\((?P<target>[^)#]+)")
SHELL = shutil.which("bash")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY / "docs").as_posix())
# The words that a reader types, for the interpreter that runs the tests.
COMMANDS = 'python() { "$PYTHON" "$@"; }\nautolog() { "$PYTHON" -m autolog "$@"; }\nset -e\n'


def run(folder, *command):
    """Run a command in a folder as a person would who has set no AUTOLOG_* variable but the spool's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOLOG_")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={
            **environment,
            "AUTOLOG_SPOOL": str(folder / ".spool"),
            "AUTOLOG_SYSTEM_METRICS": "0",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(REPOSITORY),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        # Some pages start several processes, and others are read at the same time.
        timeout=300,
        check=False,
    )


def run_block(folder, kind, code):
    """Return how a block ended; None where it only had to be written to a file."""
    if kind == "sql":
        with closing(sqlite3.connect(folder / "runs.db")) as database:
            assert database.execute(code).fetchall(), code
    elif kind == "sh":
        return run(folder, SHELL, "-c", COMMANDS + code)
    elif named := FILE_NAME.match(code):
        (folder / named["name"]).write_text(code, encoding="utf-8")
    else:
        return run(folder, sys.executable, "-c", code)
    return None


def read_along(page, folder):
    """Run everything that a page shows, in an empty folder."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        done = run_block(folder, block["kind"], block["code"])
        if done is not None:
            assert (done.returncode != 0) == bool(block["fails"]), f"{block[0]}\n{done.stdout}{done.stderr}"
            assert block["fails"] or "Traceback" not in done.stderr, f"{block[0]}\n{done.stderr}"


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """The pages being read at the same time, since each waits for processes most of the time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {page: pool.submit(read_along, page, tmp_path_factory.mktemp("page")) for page in PAGES}


@pytest.mark.skipif(SHELL is None, reason="the blocks are written for bash")
@every_page
def test_everything_that_a_page_shows_runs(page, readings):
    readings[page].result()


@every_page
def test_every_link_of_a_page_leads_somewhere(page):
    targets = [link["target"] for link in LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def run_example(name, folder):
    """Run an example; return what it printed, and the runs that it recorded."""
    done = run(folder, sys.executable, REPOSITORY / "examples" / name)
    assert (done.returncode, done.stderr) == (0, "")
    autolog.set_tracking_uri(folder / "autolog-runs")
    return done.stdout, autolog.search_runs(search_all_experiments=True, output_format="list")


def test_one_line_records_a_training(tmp_path):
    printed, runs = run_example("train_with_autolog.py", tmp_path)
    assert printed == ""
    assert [run.info.run_name for run in runs] == ["Pipeline(LogisticRegression)"]
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.params["logisticregression__C"] == "0.5"
    assert runs[0].data.metrics["training_accuracy_score"] > 0.95


def test_a_loop_of_ones_own_records_every_step_and_its_files(tmp_path):
    _, runs = run_example("own_training_loop.py", tmp_path)
    assert [run.info.run_name for run in runs] == ["gradient descent"]
    assert runs[0].data.metrics["slope"] == pytest.approx(3, abs=0.1)
    history = autolog.get_metric_history(runs[0].info.run_id, "loss")
    assert [point.step for point in history] == list(range(200))
    assert history[-1].value < history[0].value
    files = [file.path for file in autolog.artifacts.list_artifacts(run_id=runs[0].info.run_id)]
    assert {"model.json", "own_training_loop.py"} <= set(files)


def test_the_store_answers_which_training_was_best(tmp_path):
    printed, runs = run_example("compare_from_python.py", tmp_path)
    assert len(runs) == 3
    depths = [line.split()[0] for line in printed.splitlines()[1:]]
    assert depths == ["10", "5"]


def test_a_search_is_a_run_with_a_child_for_each_candidate(tmp_path):
    printed, runs = run_example("grid_search.py", tmp_path)
    names = [run.info.run_name for run in runs]
    assert len(names) == 7
    assert "GridSearchCV(SVC)" in names
    best, *_ = printed.splitlines()[1:]
    assert best.split() == ["1", "linear", "0.993333"]


def test_a_cross_validation_is_a_run_with_a_step_for_each_fold(tmp_path):
    printed, runs = run_example("cross_validation.py", tmp_path)
    assert [run.info.run_name for run in runs] == ["cross_validate(Ridge)"]
    assert printed.splitlines()[0] == "fold 0: r2 0.411"
    assert printed.splitlines()[-1] == "mean: 0.480"


def test_a_stream_of_batches_is_a_run_with_a_step_for_each_call(tmp_path):
    printed, runs = run_example("stream_of_batches.py", tmp_path)
    assert [run.info.run_name for run in runs] == ["SGDClassifier"]
    assert runs[0].info.status == "FINISHED"
    lines = printed.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"batch {number}" for number in range(1, 11)]
    assert lines[-1].startswith("batch 10: 1500 rows so far")


def test_what_is_computed_after_a_training_goes_into_its_run(tmp_path):
    printed, runs = run_example("scores_after_training.py", tmp_path)
    assert [run.info.run_name for run in runs] == ["LogisticRegression"]
    names = [line.split()[0] for line in printed.splitlines()]
    assert names == ["LogisticRegression_score_X_test", "accuracy_score_X_test", "roc_auc_score_X_test"]
    assert {name: f"{runs[0].data.metrics[name]:.3f}" for name in names} == dict(
        line.split() for line in printed.splitlines()
    )
