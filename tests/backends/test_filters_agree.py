"""A filter finds the same runs in every kind of store: those that ``autolog.search`` finds in memory."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_strategies import KEYS, NUMBERS, VALUES, expressions, write

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from autolog.backend import Backend, Reader, RunQuery
from autolog.backends import open_backend, open_reader
from autolog.entities import Dataset, DatasetInput, InputTag, RunStatus
from autolog.events import Fact, InputsLogged, ParamsLogged, RunUpdated, TagsSet
from autolog.search import Expression, matcher
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created


@dataclass
class Store:
    """A store that experiments are written to one after the other."""

    backend: Backend
    reader: Reader


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'runs.db'}"
    else:
        url = request.getfixturevalue(f"{request.param}_database")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOLOG_ARTIFACT_ROOT", str(folder))
        with closing(open_backend(url)) as backend, closing(open_reader(url)) as reader:
            yield Store(backend, reader)


texts = st.sampled_from(VALUES)
named = st.dictionaries(st.sampled_from(KEYS), texts, max_size=3)
datasets = st.builds(
    DatasetInput,
    dataset=st.builds(Dataset, name=texts, digest=texts),
    tags=st.lists(st.builds(InputTag, st.sampled_from(["mlflow.data.context", "a"]), texts), max_size=2).map(tuple),
)
values = st.sampled_from([*NUMBERS, math.nan, math.inf, -math.inf])


@dataclass(frozen=True)
class DrawnRun:
    """What a run holds."""

    run_name: str
    user_id: str
    start_time: int
    end_time: int | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    inputs: tuple[DatasetInput, ...]

    def write(self, backend: Backend, journal: FakeJournal, experiment: str) -> None:
        run = uuid.uuid4().hex
        created = run_created(run, experiment, run_name=self.run_name, user_id=self.user_id, start_time=self.start_time)
        facts: list[Fact] = [
            created,
            ParamsLogged(run_id=run, params=self.params),
            TagsSet(run_id=run, tags=dict[str, str | None](self.tags)),
            InputsLogged(run_id=run, inputs=self.inputs),
        ]
        if self.end_time is not None:
            facts.append(RunUpdated(run_id=run, status=RunStatus.FINISHED, end_time=self.end_time))
        points = {(run, key): [(0, START, value)] for key, value in self.metrics.items()}
        journal.write(backend, *facts, points=points)


runs = st.builds(
    DrawnRun,
    run_name=texts,
    user_id=texts,
    start_time=st.sampled_from([0, 3, START]),
    end_time=st.sampled_from([None, 0, 3, START]),
    params=named,
    tags=named,
    metrics=st.dictionaries(st.sampled_from(KEYS), values, max_size=3),
    inputs=st.lists(datasets, max_size=2).map(tuple),
)


# Every run is a transaction on disk.
@settings(max_examples=settings.default.max_examples // 4)
@given(
    drawn=st.lists(runs, min_size=1, max_size=4), filters=st.lists(expressions, min_size=1, max_size=6), data=st.data()
)
def test_a_store_finds_what_is_found_in_memory(
    store: Store, drawn: list[DrawnRun], filters: list[Expression], data: st.DataObject
) -> None:
    experiment = uuid.uuid4().hex
    journal = FakeJournal(f"journal-{experiment}")
    journal.write(store.backend, experiment_created(experiment, experiment))
    for drawn_run in drawn:
        drawn_run.write(store.backend, journal, experiment)
    everything = store.reader.search_runs(RunQuery(experiment_ids=[experiment]))
    assert len(everything) == len(drawn)
    for expression in filters:
        text = write(expression, data)
        found = store.reader.search_runs(RunQuery(experiment_ids=[experiment], filter=text))
        expected = [run for run in everything if matcher(expression)(run)]
        assert [run.info.run_id for run in found] == [run.info.run_id for run in expected], text
