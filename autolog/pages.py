"""Walk all of a search, page by page, so that no more than a page is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from autolog.backend import ExperimentQuery, Reader, RunQuery
from autolog.entities import Experiment, Run

# Records fetched at a time where somebody wants many.
PAGE_SIZE: Final = 10_000


def every_run(reader: Reader, query: RunQuery) -> Iterator[Run]:
    """Yield all the runs that match; ``max_results`` is the size of a page."""
    while True:
        page = reader.search_runs(query)
        yield from page
        if page.token is None:
            return
        query = replace(query, page_token=page.token)


def every_experiment(reader: Reader, query: ExperimentQuery) -> Iterator[Experiment]:
    """Yield all the experiments that match; ``max_results`` is the size of a page."""
    while True:
        page = reader.search_experiments(query)
        yield from page
        if page.token is None:
            return
        query = replace(query, page_token=page.token)
