"""The command line, and a store with known content to run it on."""

from __future__ import annotations

import pytest
from sample_store import make_store
from typer.testing import CliRunner

from autolog.cli.application import application


@pytest.fixture
def store(tmp_path):
    """The URL of a file store with known content."""
    url = f"file:{tmp_path / 'store'}"
    make_store(url)
    return url


@pytest.fixture
def autolog(store, monkeypatch):
    """Run a command of the real command line on the store; the result has stdout, stderr and exit_code."""
    monkeypatch.setenv("AUTOLOG_BACKEND", store)
    monkeypatch.delenv("AUTOLOG_DEBUG", raising=False)

    def run(*arguments, columns=100):
        return CliRunner(env={"COLUMNS": str(columns)}).invoke(application, list(arguments), catch_exceptions=False)

    return run
