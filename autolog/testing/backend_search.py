"""Tests of how runs are filtered, ordered, paged and counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import pytest
from msgspec.structs import replace

from autolog.backend import MAX_RESULTS, Backend, ExperimentQuery, Reader, RunQuery
from autolog.entities import LifecycleStage, Run, RunStatus, ViewType
from autolog.errors import InvalidFilter, InvalidParameter
from autolog.events import InputsLogged, ParamsLogged, RunUpdated, TagsSet
from autolog.testing.backend_fixtures import OTHER, TEST, TRAIN, BackendFixtures
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

INF: Final = math.inf
NAN: Final = math.nan


class SearchTests(BackendFixtures):
    """Runs are filtered, ordered, paged and counted."""

    @pytest.fixture
    def runs(self, backend: Backend, journal: FakeJournal) -> None:
        """Runs a to f, of which e is deleted and f in another experiment."""
        journal.write(backend, experiment_created(), experiment_created("Other", "9"))
        for place, run in enumerate("abcdef"):
            experiment = "Other" if run == "f" else "Default"
            journal.write(
                backend,
                run_created(run, experiment, run_name=f"Run_{run}", start_time=START + place, user_id="ada"),
                ParamsLogged(run_id=run, params={"depth": str(place), "a b": "it's", "100%": "x_y"}),
            )
        journal.write(
            backend,
            RunUpdated(run_id="a", status=RunStatus.FINISHED, end_time=START + 100),
            RunUpdated(run_id="b", status=RunStatus.FAILED, end_time=START + 50),
            RunUpdated(run_id="e", lifecycle_stage=LifecycleStage.DELETED),
            TagsSet(run_id="a", tags={"kind": "Big", "mlflow.note": "x"}),
            TagsSet(run_id="b", tags={"kind": "big one"}),
            InputsLogged(run_id="a", inputs=(TRAIN,)),
            InputsLogged(run_id="b", inputs=(TEST, OTHER)),
            points={
                ("a", "acc"): [(0, START, 0.1), (1, START, 0.9)],
                ("b", "acc"): [(0, START, 0.5)],
                ("c", "acc"): [(0, START, NAN)],
                ("f", "acc"): [(0, START, INF)],
                ("b", "train/loss"): [(0, START, -1.5)],
            },
        )

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "abcdf"),
            ("metrics.acc > 0.4", "abf"),
            ("metric.acc <= 5e-1", "b"),
            ("metrics.acc = 0.9", "a"),
            ("metrics.acc != 0.9", "bcf"),
            ("NOT metrics.acc > 0.4", "cd"),
            ("metrics.acc IS NULL", "d"),
            ("metrics.acc IS NOT NULL", "abcf"),
            ('metrics."train/loss" < -1', "b"),
            ("metrics.nothing > 0", ""),
            ("params.depth = '2'", "c"),
            ("params.depth != '2'", "abdf"),
            ("params.depth IN ('1', '2', '77')", "bc"),
            ("params.depth NOT IN ('1', '2')", "adf"),
            ("params.`a b` = 'it''s' AND params.depth = '0'", "a"),
            ("params.`100%` LIKE 'x__'", "abcdf"),
            ("params.`100%` LIKE 'x_'", ""),
            ("tags.kind LIKE 'big%'", "b"),
            ("tags.kind ILIKE 'BIG%'", "ab"),
            ("tags.kind LIKE '%i%'", "ab"),
            ("tags.kind = 'big'", ""),
            ("tags.kind IS NULL", "cdf"),
            ("tags.kind != 'Big'", "b"),
            ("NOT tags.kind = 'Big'", "bcdf"),
            ("tags.mlflow.note = 'x'", "a"),
            ("status = 'FINISHED'", "a"),
            ("attributes.status IN ('FAILED', 'FINISHED')", "ab"),
            ("run_id = 'c'", "c"),
            ("run_name LIKE 'Run_%'", "abcdf"),
            ("run_name = 'run_a'", ""),
            ("user_id = 'ada' AND NOT status = 'RUNNING'", "ab"),
            ("experiment_id = '9'", "f"),
            ("lifecycle_stage = 'deleted'", ""),
            (f"start_time >= {START + 2}", "cdf"),
            (f"created < {START + 1}", "a"),
            ("end_time IS NULL", "cdf"),
            (f"end_time > {START + 60}", "a"),
            ("dataset.name = 'iris'", "ab"),
            ("datasets.digest = 'def'", "b"),
            ("dataset.context = 'train'", "a"),
            ("dataset.name != 'iris'", "b"),
            ("dataset.name IN ('wine')", "b"),
            ("dataset.name IS NULL", "cdf"),
            ("dataset.name LIKE 'w%' OR run_id = 'd'", "bd"),
            ("(run_id = 'a' OR run_id = 'b') AND NOT (tags.kind = 'Big' OR metrics.acc > 7)", "b"),
            ("run_id = 'a' OR run_id = 'b' AND tags.kind = 'Big'", "a"),
            ("artifact_uri LIKE '%c%' AND run_id = 'zzz'", ""),
        ],
    )
    @pytest.mark.usefixtures("runs")
    def test_a_filter_finds_what_it_says(self, reader: Reader, text: str, found: str) -> None:
        query = RunQuery(filter=text, order_by=["run_id"])
        assert _ids(_all_runs(reader, query)) == list(found)
        assert _ids(_all_runs(reader, query, size=2)) == list(found)
        assert reader.count_runs(query) == len(found)

    @pytest.mark.parametrize(
        ("order_by", "found"),
        [
            ([], "fdcba"),
            (["start_time ASC"], "abcdf"),
            (["run_name DESC"], "fdcba"),
            (["metrics.acc DESC"], "fabcd"),
            (["metrics.acc"], "bafcd"),
            (["metrics.acc", "run_id DESC"], "bafdc"),
            (["end_time"], "bacdf"),
            (["end_time DESC"], "abcdf"),
            (["tags.kind"], "abcdf"),
            (["tags.kind DESC"], "bacdf"),
            (["params.`a b` DESC", "params.depth desc"], "fdcba"),
            (["status", "start_time"], "bacdf"),
            (["metrics.nothing", "start_time DESC"], "fdcba"),
        ],
    )
    @pytest.mark.usefixtures("runs")
    def test_an_ordering_puts_what_is_missing_last(self, reader: Reader, order_by: list[str], found: str) -> None:
        query = RunQuery(order_by=order_by)
        assert _ids(reader.search_runs(query).items) == list(found)
        assert _ids(_all_runs(reader, query, size=1)) == list(found)
        assert _ids(_all_runs(reader, query, size=2)) == list(found)

    @pytest.mark.usefixtures("runs")
    def test_a_search_looks_at_the_experiments_and_stages_asked_for(self, reader: Reader) -> None:
        by_id = ["run_id"]
        assert _ids(reader.search_runs(RunQuery(["9"], order_by=by_id)).items) == ["f"]
        assert _ids(reader.search_runs(RunQuery(["0"], view=ViewType.DELETED_ONLY)).items) == ["e"]
        assert _ids(reader.search_runs(RunQuery(["9", "0"], view=ViewType.ALL, order_by=by_id)).items) == [*"abcdef"]
        assert reader.search_runs(RunQuery([])).items == []
        assert reader.count_runs(RunQuery(["404"])) == 0

    @pytest.mark.usefixtures("runs")
    def test_a_search_returns_the_parts_of_a_run_that_are_asked_for(self, reader: Reader) -> None:
        (whole,) = reader.search_runs(RunQuery(filter="run_id = 'a'")).items
        assert whole == reader.get_run("a")
        (bare,) = reader.search_runs(
            RunQuery(filter="metrics.acc = 0.9", params=False, tags=False, metrics=False, inputs=False)
        ).items
        assert bare == Run(info=whole.info)

    @pytest.mark.usefixtures("runs")
    def test_pages_neither_repeat_nor_skip_a_run_while_new_ones_arrive(
        self, backend: Backend, reader: Reader, journal: FakeJournal
    ) -> None:
        query = RunQuery(max_results=2)
        first = reader.search_runs(query)
        journal.write(backend, run_created("newer", start_time=START + 999))
        second = reader.search_runs(replace(query, page_token=first.token))
        assert _ids([*first, *second]) == [*"fdcb"]

    @pytest.mark.usefixtures("runs")
    def test_a_token_that_is_not_of_the_query_is_refused(self, reader: Reader) -> None:
        token = reader.search_runs(RunQuery(max_results=1)).token
        for query in (
            RunQuery(page_token="nonsense"),  # noqa: S106 - a page token is no secret
            RunQuery(page_token="é"),  # noqa: S106 - as above
            RunQuery(page_token=token, filter="run_id = 'a'"),
            RunQuery(page_token=token, order_by=["run_id"]),
            RunQuery(["0"], page_token=token),
        ):
            with pytest.raises(InvalidParameter, match="page token"):
                reader.search_runs(query)

    def test_a_page_has_bounds(self, reader: Reader) -> None:
        for max_results in (0, -1, MAX_RESULTS + 1):
            with pytest.raises(InvalidParameter, match="max_results"):
                reader.search_runs(RunQuery(max_results=max_results))
            with pytest.raises(InvalidParameter, match="max_results"):
                reader.search_experiments(ExperimentQuery(max_results=max_results))

    def test_a_bad_filter_is_refused(self, reader: Reader) -> None:
        for query in (RunQuery(filter="accuracy > 1"), RunQuery(filter="status = ")):
            with pytest.raises(InvalidFilter):
                reader.search_runs(query)
            with pytest.raises(InvalidFilter):
                reader.count_runs(query)
        with pytest.raises(InvalidFilter):
            reader.search_runs(RunQuery(order_by=["accuracy"]))
        with pytest.raises(InvalidFilter):
            reader.search_experiments(ExperimentQuery(filter="metrics.acc > 1"))


def _ids(runs: Iterable[Run]) -> list[str]:
    return [run.info.run_id for run in runs]


def _all_runs(reader: Reader, query: RunQuery, size: int = 100) -> Iterator[Run]:
    page = reader.search_runs(replace(query, max_results=size))
    yield from page
    while page.token is not None:
        page = reader.search_runs(replace(query, max_results=size, page_token=page.token))
        assert page.items, "a token promises another page"
        yield from page
