"""The contract of Backend and Reader as a suite of tests that any backend can be run through."""

# ruff: noqa: PLR2004 - tests assert, with figures, and their names say what

from __future__ import annotations

import contextlib

import pytest

from autolog.backend import Backend, ExperimentQuery, Reader, RunQuery
from autolog.backends import open_backend, open_reader
from autolog.errors import NotFound
from autolog.testing.backend_curves import CurveTests
from autolog.testing.backend_metrics import ExactlyOnceTests, MetricTests
from autolog.testing.backend_records import ArtifactTests, ExperimentTests, RemovalTests, RunTests
from autolog.testing.backend_search import SearchTests
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created


class BackendSuite(
    ExperimentTests,
    RunTests,
    MetricTests,
    CurveTests,
    ExactlyOnceTests,
    SearchTests,
    RemovalTests,
    ArtifactTests,
):
    """Every test of a backend.

    Subclass it in a test file, and give the fixture ``url``: the URL of a store that does not exist yet::

        class TestMyBackend(BackendSuite):
            @pytest.fixture
            def url(self, tmp_path):
                return f"mine:{tmp_path}/store"
    """

    def test_a_store_that_is_not_there_reads_as_empty_and_is_not_made(self, url: str) -> None:
        for _ in range(2):
            with contextlib.closing(open_reader(url)) as reader:
                assert reader.search_runs(RunQuery()).items == []
                assert reader.search_experiments(ExperimentQuery()).items == []
                assert reader.count_runs(RunQuery()) == 0
                assert reader.get_experiment_by_name("Default") is None
                for read in (reader.get_run, reader.get_experiment, reader.artifacts):
                    with pytest.raises(NotFound):
                        read("run1")

    def test_what_was_written_is_there_when_the_store_is_opened_again(
        self, url: str, reader: Reader, journal: FakeJournal
    ) -> None:
        for step in range(3):
            with contextlib.closing(open_backend(url)) as backend:
                journal.write(
                    backend, experiment_created(), run_created(), points={("run1", "loss"): [(step, START, 1.0)]}
                )
                backend.reopen()
                journal.write(backend, points={("run1", "loss"): [(step, START, 2.0)]})
        assert len(reader.metric_history("run1", "loss")) == 6
        assert reader.get_run("run1").data.summaries["loss"].count == 6

    def test_a_reader_sees_what_is_written_after_it_was_opened(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        for step in range(5):
            journal.write(backend, points={(run, "loss"): [(step, START, float(step))]})
            (found,) = reader.search_runs(RunQuery()).items
            assert found.data.metrics == {"loss": float(step)}
