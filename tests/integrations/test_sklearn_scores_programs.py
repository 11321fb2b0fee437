"""Metrics after a training, in programs of their own: who imported what before, pickles, workers, forks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autolog.backend import RunQuery
from autolog.backends import open_reader
from autolog.entities import Run

pytest.importorskip("sklearn")

ENABLE = "import autolog; autolog.enable(strict=True)\n"
IMPORTS = """
from functools import partial
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from sklearn.metrics import accuracy_score, f1_score, get_scorer, make_scorer
import sklearn.metrics
"""
TRAIN = """
X, y = load_iris(return_X_y=True)
model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)
pred = model.predict(X)
"""


class Programs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file:{folder / 'store'}"

    def run(self, program: str) -> str:
        environment = os.environ | {
            "AUTOLOG_BACKEND": self.url,
            "AUTOLOG_SPOOL": str(self.folder / "spool"),
            "AUTOLOG_SYSTEM_METRICS": "0",
            "AUTOLOG_LOG_ENVIRONMENT": "0",
        }
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def runs(self) -> list[Run]:
        reader = open_reader(self.url)
        try:
            return list(reader.search_runs(RunQuery(max_results=100)).items)
        finally:
            reader.close()

    def logged(self) -> set[str]:
        (run,) = self.runs()
        return {key for key in run.data.metrics if not key.startswith("training_")}


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def test_functions_that_were_imported_by_name_before_are_watched_wherever_they_are_held(programs: Programs) -> None:
    (programs.folder / "evaluation.py").write_text(
        "from sklearn.metrics import recall_score, precision_score as precise\n"
        "TABLE = {'macro': precise}\n"
        "def evaluate(y, pred, compute=recall_score):\n"
        "    return compute(y, pred, average='macro'), TABLE['macro'](y, pred, average='macro')\n"
    )
    programs.run(
        f"{IMPORTS}\n"
        "import evaluation\n"
        "notebook = {}\n"
        "exec('from sklearn.metrics import zero_one_loss', notebook)\n"
        "weighted = partial(sklearn.metrics.jaccard_score, average='weighted')\n"
        f"{ENABLE}{TRAIN}"
        "accuracy_score(y, pred)\n"
        "evaluation.evaluate(y, pred)\n"
        "weighted(y, pred)\n"
        "notebook.update(y=y, pred=pred)\n"
        "exec('zero_one_loss(y, pred)', notebook)\n"
    )
    assert programs.logged() == {
        "accuracy_score_X",
        "recall_score_X",
        "precision_score_X",
        "jaccard_score_X",
        "zero_one_loss_X",
    }


@pytest.mark.parametrize("first", [ENABLE + IMPORTS, IMPORTS + ENABLE])
def test_either_order_of_imports_logs_the_same(programs: Programs, first: str) -> None:
    programs.run(f"{first}{TRAIN}accuracy_score(y, pred); model.score(X, y); get_scorer('accuracy')(model, X, y)\n")
    assert programs.logged() == {"accuracy_score_X", "DecisionTreeClassifier_score_X", "accuracy_score-2_X"}


PICKLES = """
import hashlib, inspect, pickle
import cloudpickle
held = [get_scorer("f1"), get_scorer("neg_log_loss"), make_scorer(f1_score, average="macro"), f1_score, accuracy_score,
        partial(f1_score, average="macro"), {"f1": f1_score}, DecisionTreeClassifier()]
"""
REPORT = """
for one in held + [make_scorer(f1_score), get_scorer("r2"), sklearn.metrics.check_scoring(held[-1], scoring=["f1"])]:
    for dump in (pickle.dumps, cloudpickle.dumps):
        content = dump(one)
        print(hashlib.sha256(content).hexdigest())
        pickle.loads(content)
for name in sklearn.metrics.__all__:
    function = getattr(sklearn.metrics, name)
    if inspect.isfunction(function):
        print(name, function.__module__, function.__qualname__, inspect.signature(function))
print(inspect.getsource(f1_score)[:99], inspect.signature(held[0].__call__), inspect.signature(held[-1].predict))
assert pickle.loads(pickle.dumps(f1_score)) is f1_score is sklearn.metrics.f1_score
"""


def test_scorers_and_functions_pickle_to_the_same_bytes_and_show_the_same_signatures(programs: Programs) -> None:
    plain = programs.run(IMPORTS + PICKLES + REPORT)
    assert programs.run(IMPORTS + PICKLES + ENABLE + REPORT) == plain
    assert programs.run(ENABLE + IMPORTS + PICKLES + REPORT) == plain


SEARCH = """
import json
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multioutput import MultiOutputClassifier
X, y = load_iris(return_X_y=True)
scoring = {"f1": make_scorer(f1_score, average="macro"), "accuracy": "accuracy"}
search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, scoring=scoring, refit="f1",
                      n_jobs=2).fit(X, y)
several = cross_validate(DecisionTreeClassifier(random_state=0), X, y, scoring=["accuracy", "f1_macro"], n_jobs=2)
found = [search.best_score_, *search.cv_results_["mean_test_accuracy"], *several["test_f1_macro"]]
print(json.dumps([float(one) for one in found]))
"""


def test_worker_processes_score_as_without_and_log_nothing_of_their_own(programs: Programs) -> None:
    plain = programs.run(IMPORTS + SEARCH)
    assert programs.run(IMPORTS + ENABLE + SEARCH) == plain
    assert not [
        key for run in programs.runs() for key in run.data.metrics if "_score_" in key and "training" not in key
    ]


def test_the_file_of_the_calls_is_complete_when_the_program_has_ended(programs: Programs) -> None:
    programs.run(f"{ENABLE}{IMPORTS}{TRAIN}for _ in range(30): accuracy_score(y, pred)\n")
    assert len(programs.logged()) == 30
    (file,) = programs.folder.rglob("metric_info.json")
    assert file.read_text().count("accuracy_score(y_true=y, y_pred=pred)") == 30


def test_enabling_leaves_random_numbers_and_results_as_they_are(programs: Programs) -> None:
    program = f"""{IMPORTS}
import numpy as np, random
np.random.seed(0); random.seed(0)
{TRAIN}
print(accuracy_score(y, pred), type(accuracy_score(y, pred)), get_scorer("f1_macro")(model, X, y))
print(np.random.rand(), random.random(), sklearn.metrics.classification_report(y, pred))
"""
    assert programs.run(ENABLE + program) == programs.run(program)
