"""Settings: arguments come before variables, variables before defaults, and what is not understood says so."""

from __future__ import annotations

import pytest

import autolog
from autolog.config import load_settings
from autolog.errors import InvalidParameter


def test_an_argument_comes_before_its_variable_and_a_variable_before_the_default(monkeypatch):
    assert load_settings().log_models is True
    monkeypatch.setenv("AUTOLOG_LOG_MODELS", "off")
    assert load_settings().log_models is False
    assert load_settings(log_models=True).log_models is True


def test_the_writer_is_a_thread_or_a_process(monkeypatch):
    assert load_settings().writer == "thread"
    monkeypatch.setenv("AUTOLOG_WRITER", "process")
    assert load_settings().writer == "process"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("AUTOLOG_WRITER", "thred", "it takes thread or process"),
        ("AUTOLOG_EXIT_TIMEOUT", "soon", "it takes a number of seconds"),
        ("AUTOLOG_FLUSH_INTERVAL", "-1", "it takes a number of seconds, zero or more"),
        ("AUTOLOG_FLUSH_INTERVAL", "inf", "it takes a number of seconds, zero or more"),
        ("AUTOLOG_SPOOL_LIMIT", "10GB", "it takes a whole number of bytes"),
        ("AUTOLOG_SILENT", "perhaps", "it takes 1 or 0"),
        ("AUTOLOG_TRAINING_METRICS_ROWS", "-1", "it takes a whole number, zero or more"),
        ("AUTOLOG_SEARCH_CHILDREN", "all", "it takes a whole number, zero or more"),
        ("AUTOLOG_PERMUTATION_IMPORTANCES", "5", "it takes 1 or 0"),
    ],
)
def test_a_variable_that_is_not_understood_is_refused_with_what_it_takes(monkeypatch, variable, text, expected):
    monkeypatch.setenv(variable, text)
    with pytest.raises(InvalidParameter, match=f"{variable}='{text}' is not understood; {expected}"):
        autolog.enable()


def test_a_store_in_a_relative_folder_stays_where_it_was_when_the_working_folder_changes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings(backend="file:runs").backend == f"file:{tmp_path / 'runs'}"
    assert load_settings(backend="sqlite:///runs.db?timeout=1").backend == f"sqlite:///{tmp_path / 'runs.db'}?timeout=1"
