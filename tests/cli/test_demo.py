"""``autolog demo``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

WITHOUT_SKLEARN = """\
import sys
sys.modules["sklearn"] = None
sys.argv = ["autolog", "demo"]
from autolog.cli import main
main()
"""


@pytest.fixture
def run(tmp_path):
    """Run Python in the test's folder."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "AUTOLOG_SPOOL": str(tmp_path / "spool"), "COLUMNS": "100"}
    environment.pop("AUTOLOG_BACKEND", None)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_the_demo_records_models_of_many_kinds_and_shows_what_can_be_done_with_them(run):
    pytest.importorskip("sklearn")
    result = run("-m", "autolog", "demo")
    assert (result.returncode, result.stderr) == (0, "")
    assert "RandomForestClassifier" in result.stdout
    assert {"breast_cancer", "wine", "digits", "diabetes"} <= set(result.stdout.split())
    assert "highest is best, as the name suggests" in result.stdout
    assert "autolog show last" in result.stdout
    documents = json.loads(run("-m", "autolog", "runs", "--experiment", "demo", "--format", "json").stdout)
    assert len({document["tags"]["estimator_class"] for document in documents}) >= 8
    assert {document["status"] for document in documents} == {"FINISHED"}


def test_the_demo_is_trained_by_code_without_a_line_of_logging():
    source = (ROOT / "autolog" / "demo.py").read_text()
    body = source.split('"""', 2)[2]
    assert "autolog" not in body
    assert "log_" not in body


def test_without_scikit_learn_the_demo_says_what_to_install(run):
    result = run("-c", WITHOUT_SKLEARN)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "pip install 'autolog-ml[sklearn]'" in result.stderr
