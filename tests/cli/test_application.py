"""What all commands have in common: help, errors, exit codes, pipes, colours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sample_store import FOREST, record

from autolog.cli.application import application

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
BIG = b"0123456789abcde\n" * 100_000


@pytest.fixture
def start(store, tmp_path):
    """Start the command line as a process of its own."""
    ours = ("NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"PYTHONPATH": PYTHONPATH, "AUTOLOG_BACKEND": store, "AUTOLOG_SPOOL": str(tmp_path / "spool")}
    processes = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "autolog", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, **variables},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_every_command_has_a_help_that_begins_with_one_short_sentence(autolog):
    help_text = autolog("--help", columns=80).stdout
    for command in application.registered_commands:
        assert command.name in help_text
        summary = command.callback.__doc__.splitlines()[0]
        assert summary in help_text
        assert autolog(command.name, "--help").exit_code == 0


def test_help_imports_nothing_heavy():
    heavy = ("numpy", "pandas", "sqlalchemy", "alembic", "sklearn", "fsspec", "lark")
    program = (
        "import sys\nfrom autolog.cli import main\nsys.argv = ['autolog', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n"
        f"    sys.stderr.write(','.join(name for name in {heavy} if name in sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage" in result.stdout
    assert result.stderr == ""


def test_the_version_is_printed(autolog):
    assert autolog("--version").stdout.startswith("autolog 0.")


@pytest.mark.parametrize(
    "arguments", [["rnus"], ["show"], ["runs", "--limit", "0"], ["runs", "--format", "xml"], ["best", "loss", "--no"]]
)
def test_bad_usage_gives_exit_code_2_and_nothing_on_stdout(autolog, arguments):
    result = autolog(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr != ""


def test_a_backend_that_nobody_serves_is_an_error_in_one_line(autolog):
    result = autolog("runs", "--backend", "ftp://somewhere")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no backend serves the scheme 'ftp'")


def test_a_store_that_cannot_be_used_gives_exit_code_1(autolog, tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "file").chmod(0o600)
    result = autolog("runs", "--backend", f"sqlite:///{tmp_path / 'file'}")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")


def test_a_traceback_is_shown_only_on_demand(start):
    process = start("show", "eeee")
    _, errors = process.communicate()
    assert errors.count(b"\n") == 1
    process = start("show", "eeee", AUTOLOG_DEBUG="1")
    _, errors = process.communicate()
    assert b"Traceback" in errors


def test_colours_are_only_for_terminals(start):
    for variables in ({}, {"NO_COLOR": "1"}):
        output, _ = start("runs", **variables).communicate()
        assert b"FINISHED" in output
        assert b"\x1b[" not in output


def test_a_narrow_encoding_shows_what_it_can(start):
    output, errors = start("runs", "--children", PYTHONIOENCODING="ascii").communicate()
    assert b"candidate" in output
    assert errors == b""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_leaves_early_is_no_error(start, store):
    record(store, artifacts=[(FOREST, "big.txt", BIG)])
    process = start("artifacts", "show", "aaaa", "big.txt")
    assert process.stdout.read(10) == BIG[:10]
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() != 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_an_interrupt_ends_a_command_quietly(start, store):
    record(store, artifacts=[(FOREST, "big.txt", BIG)])
    process = start("artifacts", "show", "aaaa", "big.txt")
    # By now the command is in the middle of writing more than the pipe holds.
    assert process.stdout.read(10) == BIG[:10]
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert process.stderr.read() == b""
