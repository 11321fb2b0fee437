"""The environment of a run: the code, the packages and the machine, as they are, without secrets, whatever fails."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import msgspec
import psutil
import pytest

from autolog import environment as subject
from autolog import git as git_module
from autolog.environment import Environment, collect, environment, installed_packages
from autolog.machine import describe_machine

IDENTITY = ("-c", "user.name=someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "--initial-branch", "main")
    (folder / "src" / "train.py").write_text("rate = 0.1\n")
    (folder / "notes.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def collected(repository: Path) -> Environment:
    return collect(str(repository / "src" / "train.py"))


def test_a_clean_repository_gives_commit_and_branch_and_no_diff(repository):
    found = collected(repository)
    assert found.git is not None
    assert Path(found.git.root) == repository.resolve()
    assert found.git.commit == git(repository, "rev-parse", "HEAD")
    assert found.git.branch == "main"
    assert not found.git.dirty
    assert "environment/uncommitted.diff" not in found.artifacts()
    assert found.tags()["autolog.git.dirty"] == "false"


def test_the_diff_has_staged_and_unstaged_changes_and_restores_the_working_tree(repository, tmp_path):
    (repository / "src" / "train.py").write_text("rate = 0.2\n")
    (repository / "notes.txt").write_text("two\n")
    (repository / "new.py").write_text("added = True\n")
    (repository / "weights.bin").write_bytes(bytes(range(256)))
    git(repository, "add", "notes.txt", "new.py", "weights.bin")
    found = collected(repository)
    assert found.tags()["autolog.git.dirty"] == "true"
    diff = found.artifacts()["environment/uncommitted.diff"]
    assert "+rate = 0.2" in diff

    copy = tmp_path / "copy"
    git(tmp_path, "clone", str(repository), str(copy))
    subprocess.run(["git", "apply", "-"], cwd=copy, input=diff.encode(), check=True)
    for name in ("src/train.py", "notes.txt", "new.py", "weights.bin"):
        assert (copy / name).read_bytes() == (repository / name).read_bytes()


def test_of_untracked_files_the_names_are_kept_and_not_the_content(repository):
    (repository / "my data.csv").write_text("private rows\n")
    found = collected(repository)
    assert found.git.untracked == ("my data.csv",)
    assert not found.git.dirty
    assert "private rows" not in str(found.artifacts())


def test_a_renamed_file_is_a_change_and_not_an_untracked_one(repository):
    git(repository, "mv", "notes.txt", "renamed notes.txt")
    found = collected(repository)
    assert found.git.dirty
    assert found.git.untracked == ()


def test_a_repository_without_a_commit_has_the_whole_of_what_is_staged_as_its_diff(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "train.py").write_text("rate = 0.1\n")
    git(tmp_path, "add", ".")
    found = collect(str(tmp_path / "train.py"))
    assert found.git.commit == ""
    assert "+rate = 0.1" in found.git.diff


def test_a_detached_head_has_a_commit_and_no_branch(repository):
    git(repository, "checkout", "--detach")
    found = collected(repository)
    assert found.git.commit
    assert found.git.branch == ""
    assert "mlflow.source.git.branch" not in found.tags()


def test_a_diff_over_the_limit_is_cut_and_the_record_says_so(repository, monkeypatch):
    monkeypatch.setattr(git_module, "DIFF_LIMIT", 1000)
    (repository / "notes.txt").write_text("".join(f"line {number}\n" for number in range(100_000)))
    found = collected(repository)
    assert len(found.git.diff) == 1000
    assert json.loads(found.artifacts()["environment/environment.json"])["git"]["diff_truncated"] is True


def test_source_that_is_not_utf8_does_not_lose_the_diff(repository):
    (repository / "notes.txt").write_bytes(b"caf\xe9\n")
    found = collected(repository)
    assert "+caf" in found.git.diff
    assert found.artifacts()["environment/environment.json"].encode()


@pytest.mark.parametrize(
    ("configured", "recorded"),
    [
        ("https://me:hunter22@example.org/me/it.git", "https://example.org/me/it.git"),
        ("https://ghp_abcdefghijklmnopqrstuvwxyz@example.org/me/it.git", "https://example.org/me/it.git"),
        ("ssh://git@example.org/me/it.git", "ssh://git@example.org/me/it.git"),
        ("git@example.org:me/it.git", "git@example.org:me/it.git"),
    ],
)
def test_the_remote_is_recorded_without_credentials_so_that_it_can_be_cloned(repository, configured, recorded):
    git(repository, "remote", "add", "upstream", "https://example.org/other.git")
    git(repository, "remote", "add", "origin", configured)
    found = collected(repository)
    assert found.tags()["mlflow.source.git.repoURL"] == recorded
    assert "hunter22" not in str(found.artifacts())


def test_reading_a_repository_leaves_every_file_of_it_as_it_was(repository):
    (repository / "notes.txt").touch()  # an index that git would like to refresh
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    collected(repository)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before


def test_the_users_git_settings_do_not_change_the_diff(repository):
    git(repository, "config", "diff.noprefix", "true")
    git(repository, "config", "color.ui", "always")
    git(repository, "config", "diff.external", "false")
    (repository / "notes.txt").write_text("two\n")
    assert "--- a/notes.txt\n+++ b/notes.txt\n" in collected(repository).git.diff


def test_the_repository_of_a_git_hook_is_not_taken_for_the_scripts(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere" / ".git"))
    assert collected(repository).git.branch == "main"


@pytest.mark.skipif(os.name == "nt", reason="the hanging git is a shell script")
def test_a_git_that_never_answers_is_given_up(repository, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nsleep 60 & wait\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git_module, "TIMEOUT", 0.2)
    found = collected(repository)
    assert found.git is None
    assert found.packages


@pytest.mark.skipif(os.name == "nt", reason="the slow git is a shell script")
def test_a_repository_among_too_many_files_still_has_its_commit(repository, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncase "$*" in *files=normal*) sleep 60;; esac\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git_module, "TIMEOUT", 1.0)
    found = collected(repository)
    assert len(found.git.commit) == 40
    assert found.git.branch == "main"


def test_without_git_or_a_repository_everything_else_is_there(tmp_path, monkeypatch):
    assert collect(str(tmp_path / "train.py")).git is None
    monkeypatch.setenv("PATH", str(tmp_path))
    found = collect(str(tmp_path / "train.py"))
    assert found.git is None
    assert found.packages
    assert found.tags()["mlflow.source.name"] == str(tmp_path / "train.py")


@pytest.mark.parametrize("probe", ["read_git_state", "installed_packages", "redact_arguments", "redact_text"])
def test_a_probe_that_fails_empties_its_own_field_and_no_other(repository, monkeypatch, probe):
    def fail(*_: object) -> None:
        raise RuntimeError("this probe is broken")

    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    whole = collected(repository)
    monkeypatch.setattr(subject, probe, fail)
    broken = collected(repository)
    changed = {name for name in Environment.__struct_fields__ if getattr(whole, name) != getattr(broken, name)}
    assert len(changed) == 1
    assert not getattr(broken, changed.pop())


def test_packages_are_those_that_importlib_knows_by_their_normalised_names():
    def normalise(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    expected: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        expected.setdefault(normalise(distribution.name), distribution.version)
    assert installed_packages() == expected
    assert list(installed_packages()) == sorted(expected)


def test_packages_of_every_layout_are_found_and_the_first_on_the_path_counts(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "My_Package.Name-1.0+local.dist-info").mkdir(parents=True)
    (first / "legacy-2.0-py3.11.egg-info").mkdir()
    (first / "editable.egg-info").mkdir()
    (first / "editable.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: editable\nVersion: 3.0\n")
    (first / "damaged.egg-info").mkdir()
    (second / "my_package_name-0.9.dist-info").mkdir(parents=True)
    (second / "notes.txt").mkdir()
    monkeypatch.setattr(sys, "path", [str(first), str(second), str(tmp_path / "missing")])
    assert installed_packages() == {"editable": "3.0", "legacy": "2.0", "my-package-name": "1.0+local"}


def test_requirements_are_a_list_that_pip_reads():
    lines = collect().artifacts()["environment/requirements.txt"].splitlines()
    assert f"psutil=={psutil.__version__}" in lines
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])


def test_a_script_is_recorded_with_its_command_and_without_its_secrets(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        import json
        from autolog.environment import collect
        found = collect()
        print(json.dumps({"tags": found.tags(), "files": found.artifacts(), "command": found.command}))
        """)
    )
    root = Path(subject.__file__).parents[1]
    printed = subprocess.run(
        [sys.executable, str(script), "--lr", "0.1", "--password", "hunter22"],
        env={**os.environ, "PYTHONPATH": str(root), "SLURM_JOB_ID": "4711", "CI_JOB_URL": "https://u:hunter22@ci/1"},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(printed)
    assert found["tags"]["mlflow.source.name"] == str(script)
    assert found["tags"]["mlflow.source.type"] == "LOCAL"
    assert found["command"][1:] == [str(script), "--lr", "0.1", "--password", "***"]
    described = json.loads(found["files"]["environment/environment.json"])
    assert described["job"]["SLURM_JOB_ID"] == "4711"
    assert described["python_version"] == ".".join(map(str, sys.version_info[:3]))
    assert "hunter22" not in printed


def test_a_notebook_is_known_by_its_kernel_and_named_by_its_server(tmp_path, monkeypatch):
    class Shell:
        def __init__(self) -> None:
            self.kernel = object()
            self.user_ns: dict[str, str] = {}

    class IPython:
        @staticmethod
        def get_ipython() -> Shell:
            return Shell()

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "study.ipynb"))
    tags = collect().tags()
    assert tags["mlflow.source.type"] == "NOTEBOOK"
    assert tags["mlflow.source.name"] == str(tmp_path / "study.ipynb")


def test_an_environment_survives_json():
    found = collect()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Environment) == found


def test_an_environment_of_which_nothing_is_known_still_has_its_files():
    assert set(Environment().artifacts()) == {"environment/environment.json", "environment/requirements.txt"}
    assert Environment().tags() == {"mlflow.source.name": "<console>", "mlflow.source.type": "LOCAL"}


def test_it_is_collected_once_however_many_threads_ask(monkeypatch):
    calls = []
    monkeypatch.setattr(subject._Cache, "collected", None)
    monkeypatch.setattr(subject, "installed_packages", lambda: calls.append(1) or {})
    found: list[Environment] = []
    threads = [threading.Thread(target=lambda: found.append(environment())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert all(one is found[0] for one in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_it_is_collected_does_not_wait_for_ever():
    with subject._Cache.lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if subject._Cache.lock.acquire(timeout=5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_machine_that_hides_its_memory_still_has_its_name(monkeypatch):
    def deny() -> None:
        raise PermissionError("/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", deny)
    machine = describe_machine()
    assert machine.memory_bytes is None
    assert machine.host


def test_the_machine_is_this_one():
    machine = describe_machine()
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.logical_cpus == os.cpu_count()
    assert machine.host
    assert machine.operating_system


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nvidia-smi is a shell script")
def test_gpus_are_read_from_nvidia_smi(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, GPU-1, 81559, 550.1'\necho 'NVIDIA GB10, GPU-2, [N/A], 580.1'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    first, second = describe_machine().gpus
    assert (first.name, first.memory_bytes, first.driver) == ("NVIDIA H100 80GB HBM3", 81559 << 20, "550.1")
    assert (second.uuid, second.memory_bytes) == ("GPU-2", None)
