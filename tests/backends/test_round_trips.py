"""Whatever is logged comes back as it was, from every kind of store: random runs, compared with a model in memory."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from autolog.backend import Backend, Batch, Reader
from autolog.backends import open_backend, open_reader
from autolog.entities import MetricSummary, RunStatus
from autolog.events import ParamsLogged, RunUpdated, TagsSet
from autolog.testing.journals import START, FakeJournal, Point, experiment_created, run_created
from autolog.values import to_text, validate_key


@dataclass
class Store:
    """A store that runs are written to one after the other, and what it holds in the place of NUL."""

    backend: Backend
    reader: Reader
    nul: str


@pytest.fixture(scope="module", params=["file", "sqlite", "postgresql", "mariadb"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    if request.param in ("postgresql", "mariadb"):
        url = request.getfixturevalue(f"{request.param}_database")
    else:
        url = f"file:{folder / 'runs'}" if request.param == "file" else f"sqlite:///{folder / 'runs.db'}"
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(open_backend(url)) as backend,
        closing(open_reader(url)) as reader,
    ):
        patch.setenv("AUTOLOG_ARTIFACT_ROOT", str(folder))
        # PostgreSQL's texts cannot hold it.
        yield Store(backend, reader, "\ufffd" if request.param == "postgresql" else "\0")


@dataclass
class Model:
    """What a run ought to hold."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[Point]] = field(default_factory=dict)


# Lone surrogates come from file names that are no UTF-8, NUL from buffers, long texts from configurations.
letters = st.characters(exclude_categories=[], exclude_characters="\ufffd")
texts = st.one_of(
    st.text(letters, max_size=20),
    st.builds(str.__mul__, st.text(letters, min_size=1, max_size=3), st.integers(1_000, 40_000)),
)
keys = st.one_of(
    st.sampled_from(["a", "A", "a ", "loss", "é", "e\u0301", "\0", "\ud800"]), st.text(letters, min_size=1)
)
steps = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1]))
times = st.one_of(st.integers(START, START + 3), st.sampled_from([0, -1, 253_402_300_799_999]))
values = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324]))
points = st.lists(st.tuples(steps, times, values), min_size=1, max_size=12)
entry = st.one_of(
    st.tuples(st.just("params"), st.dictionaries(keys, texts, min_size=1, max_size=4)),
    st.tuples(st.just("tags"), st.dictionaries(keys, st.one_of(st.none(), texts), min_size=1, max_size=4)),
    st.tuples(st.just("points"), st.dictionaries(keys, points, min_size=1, max_size=3)),
)
batches = st.lists(st.tuples(st.lists(entry, max_size=4), st.booleans()), max_size=5)


def as_text(logged: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return keys and texts as a run takes them."""
    return {
        validate_key(kind, key): to_text(value) if isinstance(value, str) else value for key, value in logged.items()
    }


# Every batch is a transaction on disk.
@settings(max_examples=settings.default.max_examples // 4)
@given(batches=batches)
def test_a_run_comes_back_as_it_was_logged(
    store: Store, batches: list[tuple[list[tuple[str, dict[str, Any]]], bool]]
) -> None:
    run, model = uuid.uuid4().hex, Model()
    journal = FakeJournal(f"journal-{run}")
    journal.write(store.backend, experiment_created(), run_created(run))
    for entries, twice in batches:
        batch = write(store, journal, run, model, entries)
        if twice:
            store.backend.write(batch)
    journal.write(store.backend, RunUpdated(run_id=run, status=RunStatus.FINISHED, end_time=START + 5))
    assert_equal(store, run, model)


def write(
    store: Store, journal: FakeJournal, run: str, model: Model, entries: list[tuple[str, dict[str, Any]]]
) -> Batch:
    """Write a batch to the store, and the same to the model."""
    facts: list[ParamsLogged | TagsSet] = []
    points: dict[tuple[str, str], list[Point]] = {}
    for kind, raw in entries:
        logged = as_text(raw, kind)
        kept = {in_store(store, key): in_store(store, value) for key, value in logged.items()}
        if kind == "params":
            facts.append(ParamsLogged(run_id=run, params=logged))
            model.params |= kept
        elif kind == "tags":
            facts.append(TagsSet(run_id=run, tags=logged))
            model.tags = {key: value for key, value in (model.tags | kept).items() if value is not None}
        else:
            for key, rows in logged.items():
                points.setdefault((run, key), []).extend(rows)
                model.points.setdefault(key, []).extend(rows)
    return journal.write(store.backend, *facts, points=points)


def in_store(store: Store, value: Any) -> Any:
    """Return what a store makes of a text."""
    return value.replace("\0", store.nul) if isinstance(value, str) else value


def assert_equal(store: Store, run: str, model: Model) -> None:
    found = store.reader.get_run(run)
    assert found.info.status is RunStatus.FINISHED
    assert found.data.params == model.params
    assert found.data.tags == model.tags
    assert exact(found.data.summaries) == exact(
        {in_store(store, key): summarize(rows) for key, rows in model.points.items()}
    )
    for key, rows in model.points.items():
        history = store.reader.metric_history(run, key)
        columns = (history.steps.tolist(), history.timestamps.tolist(), history.values.tolist())
        assert exact(list(zip(*columns, strict=True))) == exact(sorted(rows, key=lambda point: point[:2]))


def summarize(rows: list[Point]) -> MetricSummary:
    step, time, value = max(rows, key=lambda point: (*point[:2], not math.isnan(point[2]), point[2]))
    numbers = [point[2] for point in rows if not math.isnan(point[2])] or [math.nan]
    return MetricSummary(value, time, step, min(numbers), max(numbers), len(rows))


def exact(value: object) -> str:
    """Return a text in which NaN equals itself; zero has lost its sign, which no database promises to keep."""
    return (
        repr(sorted(value.items()) if isinstance(value, dict) else value)
        .replace("-0.0,", "0.0,")
        .replace("-0.0)", "0.0)")
    )
