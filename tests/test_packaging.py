"""What is built is one package, complete, and works outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib

ROOT = Path(__file__).resolve().parent.parent


def source_packages() -> set[str]:
    """Return every package that lies in the source tree, by its import name."""
    homes = {
        "autolog": ROOT / "autolog",
        "autolog.integrations": ROOT / "integrations",
        "autolog.backends": ROOT / "backends",
    }
    found = set()
    for name, home in homes.items():
        for marker in home.rglob("__init__.py"):
            parts = marker.parent.relative_to(home).parts
            found.add(".".join((name, *parts)))
    return found


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is newer than Python 3.10")
def test_the_list_of_packages_is_what_lies_in_the_source_tree() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(declared) == source_packages()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is newer than Python 3.10")
def test_the_version_is_stated_once_for_people_and_once_for_packaging() -> None:
    import autolog

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == autolog.__version__


def test_the_wheel_installs_one_package_that_works_elsewhere(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("autolog_ml-*.whl")
    (source,) = (tmp_path / "dist").glob("autolog_ml-*.tar.gz")
    assert source.stat().st_size > 0
    inside = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in inside if ".dist-info" not in name} == {"autolog"}
    packages = {name.rpartition("/")[0].replace("/", ".") for name in inside if name.endswith("/__init__.py")}
    assert packages == source_packages()
    assert "autolog/py.typed" in inside
    assert not [name for name in inside if "test_" in name]

    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = binaries / "python"
    before = set(run(python, "-c", "import site, os; print(*os.listdir(site.getsitepackages()[0]))").split())
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, "--no-deps", wheel)
    after = set(run(python, "-c", "import site, os; print(*os.listdir(site.getsitepackages()[0]))").split())
    assert {name for name in after - before if not name.endswith(".dist-info")} == {"autolog"}

    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, wheel)
    program = (
        "import autolog; run = autolog.start_run(); autolog.log_metric('m', 2); "
        "print(autolog.get_run(run.info.run_id).data.metrics)"
    )
    assert run(python, "-c", program).strip() == "{'m': 2.0}"
    assert autolog_version() in run(binaries / "autolog", "--version")


def autolog_version() -> str:
    import autolog

    return autolog.__version__
