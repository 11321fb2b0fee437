"""What the tests of a backend have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest

from autolog.backend import Backend, Reader
from autolog.backends import open_backend, open_reader
from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.testing.journals import FakeJournal, experiment_created, run_created

TRAIN: Final = DatasetInput(
    dataset=Dataset(name="iris", digest="abc", source_type="local", source='{"path": "iris.csv"}', schema="{}"),
    tags=(InputTag("mlflow.data.context", "train"),),
)
TEST: Final = DatasetInput(dataset=TRAIN.dataset, tags=(InputTag("mlflow.data.context", "test"),))
OTHER: Final = DatasetInput(dataset=Dataset(name="wine", digest="def"))


class BackendFixtures:
    """A store that does not exist yet, a backend and a reader that are open on it, and journals to write to it."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def backend(self, url: str) -> Iterator[Backend]:
        with contextlib.closing(open_backend(url)) as backend:
            yield backend

    @pytest.fixture
    def reader(self, url: str) -> Iterator[Reader]:
        with contextlib.closing(open_reader(url)) as reader:
            yield reader

    @pytest.fixture
    def journal(self) -> FakeJournal:
        return FakeJournal("20260101T000000-1-aaaaaaaaaaaa")

    @pytest.fixture
    def other_journal(self) -> FakeJournal:
        return FakeJournal("20260101T000000-2-bbbbbbbbbbbb")

    @pytest.fixture
    def run(self, backend: Backend, journal: FakeJournal) -> str:
        """A run in the store, by its id."""
        journal.write(backend, experiment_created(), run_created("run1"))
        return "run1"
