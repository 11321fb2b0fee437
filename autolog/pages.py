"""Walk all of a search, page by page, so that no more than a page is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from msgspec.structs import replace

from autolog.backend import ExperimentQuery, Page, Reader, RunQuery
from autolog.entities import Experiment, Run

# Records fetched at a time where somebody wants many.
PAGE_SIZE: Final = 10_000


T = TypeVar("T")
Q = TypeVar("Q", RunQuery, ExperimentQuery)


def every_run(reader: Reader, query: RunQuery) -> Iterator[Run]:
    """Yield all the runs that match; ``max_results`` is the size of a page."""
    return _walk(reader.search_runs, query)


def every_experiment(reader: Reader, query: ExperimentQuery) -> Iterator[Experiment]:
    """Yield all the experiments that match; ``max_results`` is the size of a page."""
    return _walk(reader.search_experiments, query)


def _walk(search: Callable[[Q], Page[T]], query: Q) -> Iterator[T]:
    while True:
        page = search(query)
        yield from page
        if page.token is None:
            return
        query = replace(query, page_token=page.token)
