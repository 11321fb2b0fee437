"""``autolog exec`` runs a script as Python itself would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture
def run(tmp_path):
    """Run Python in the test's folder, with the repository importable and a spool of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": PYTHONPATH,
        "AUTOLOG_SPOOL": str(tmp_path / "spool"),
        "AUTOLOG_BACKEND": f"file:{tmp_path / 'store'}",
        "AUTOLOG_SILENT": "1",
    }

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


def same_as_python(run, *arguments):
    """Run a program both ways and return the outcome, which has to be the same."""
    plain = run(*arguments)
    recorded = run("-m", "autolog", "exec", *arguments)
    assert (recorded.returncode, recorded.stdout, recorded.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    return recorded


SURROUNDINGS = """\
import sys
from pathlib import Path
import beside
print(__name__, __file__, __package__, __spec__ and __spec__.name, type(__loader__).__name__)
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals(), beside.__name__)
"""


def test_a_script_finds_the_surroundings_it_knows(run, tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "beside.py").touch()
    (folder / "train.py").write_text(SURROUNDINGS)
    result = same_as_python(run, "scripts/train.py", "--backend", "mine", "--help", "-m", "x")
    assert "'--backend', 'mine', '--help', '-m', 'x'" in result.stdout
    assert str(folder) in result.stdout


def test_a_module_finds_the_surroundings_it_knows(run, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (tmp_path / "beside.py").touch()
    (package / "__init__.py").write_text("print('package imported')\n")
    (package / "train.py").write_text(SURROUNDINGS)
    (package / "__main__.py").write_text(SURROUNDINGS)
    result = same_as_python(run, "-m", "package.train", "--epochs", "3")
    assert "package.train" in result.stdout
    assert "'--epochs', '3'" in result.stdout
    same_as_python(run, "-m", "package", "-x")


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit(3)",
        "raise SystemExit('a last word')",
        "import sys; sys.exit()",
        "def inner():\n    raise ValueError('mine')\n\ninner()",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('chained') from error",
        "import sys\nsys.excepthook = lambda *about: print('my own hook', about[0].__name__)\n1 / 0",
        "print('never'\n",
        "import nothing_of_this_name",
        "import os; os._exit(7)",
    ],
    ids=["exit", "exit with text", "exit without", "error", "chained", "own hook", "syntax", "import", "os._exit"],
)
def test_a_script_ends_as_it_would_without_us(run, tmp_path, program):
    (tmp_path / "train.py").write_text(program)
    same_as_python(run, "train.py")


def test_what_a_script_defines_can_be_pickled_and_sent_to_processes_that_are_spawned(run, tmp_path):
    (tmp_path / "train.py").write_text(
        "import atexit, multiprocessing, pickle\n"
        "class Model:\n    pass\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    atexit.register(lambda: print(type(pickle.loads(pickle.dumps(Model()))).__name__))\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(double, [1, 2]))\n"
    )
    assert same_as_python(run, "train.py").stdout == "[2, 4]\nModel\n"


def test_the_trainings_of_a_script_without_autolog_are_recorded(run, tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "train.py").write_text(
        "from sklearn.linear_model import Ridge\nRidge(alpha=0.25).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])\n"
    )
    result = run("-m", "autolog", "exec", "--experiment", "scripts", "train.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    listed = run("-m", "autolog", "runs", "--experiment", "scripts", "--columns", "status,params.alpha")
    assert listed.stdout.splitlines()[1].split() == ["FINISHED", "0.25"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("nowhere.py",), "there is no script 'nowhere.py'"), (("-m", "nowhere.inside"), "there is no module")],
)
def test_a_script_that_is_not_there_is_an_error_in_one_line(run, arguments, message):
    result = run("-m", "autolog", "exec", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_an_interrupted_script_says_so_and_gives_the_exit_code_of_an_interrupt(run, tmp_path):
    (tmp_path / "train.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n")
    result = run("-m", "autolog", "exec", "train.py")
    # By the signal itself, as the interpreter ends; a shell calls it 130.
    assert result.returncode == -signal.SIGINT
    assert result.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert "autolog" not in result.stderr
