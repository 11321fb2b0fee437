"""Find what the command line names: the store, experiments by name, runs by the beginning of their id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from autolog.backend import ExperimentQuery, Reader, RunQuery
from autolog.config import load_settings
from autolog.entities import Run, ViewType
from autolog.errors import InvalidParameter, NotFound
from autolog.pages import every_experiment
from autolog.search import parse_run_filter

PARENT_TAG = "mlflow.parentRunId"
TOP_LEVEL = f"tags.`{PARENT_TAG}` IS NULL"
_SHORTEST_PREFIX = 4
_RUN_ID = re.compile(r"\w[\w-]*")


@contextmanager
def open_store(url: str | None) -> Iterator[Reader]:
    """Open the store that an option, AUTOLOG_BACKEND or the default names, and close it afterwards.

    Raises:
        NotFound: there is none; a reader takes it for an empty one, but on a command line its name was mistyped.
    """
    from autolog.backends import open_reader

    store = load_settings(backend=url).backend
    with closing(open_reader(store)) as reader:
        place = local_path(store)
        if place is not None and not place.exists():
            raise NotFound(f"there is no store {store}; name one by --backend, or make it: `autolog demo` does")
        yield reader


def local_path(url: str) -> Path | None:
    """Return the folder or file on this machine that a store is kept in; None for a server."""
    scheme = url.partition(":")[0].partition("+")[0].lower()
    if scheme == "file":
        from autolog.backends.file.layout import store_folder

        return store_folder(url)
    if scheme == "sqlite":
        from autolog.backends.sql.engine import parse_url

        return parse_url(url).path
    return None


def top_level(expression: str) -> str:
    """Narrow a filter to runs that are not children of another.

    Raises:
        InvalidFilter: the filter does not parse; its message points into what the person typed.
    """
    if not expression.strip():
        return TOP_LEVEL
    parse_run_filter(expression)
    return f"({expression}) AND {TOP_LEVEL}"


def find_experiments(reader: Reader, names: Sequence[str] | None) -> list[str] | None:
    """Return the ids of the experiments of these names; None, which means all, where no name is given.

    Raises:
        NotFound: the store has no experiment of such a name; the message has the closest one.
    """
    if not names:
        return None
    return [_find_experiment(reader, name) for name in names]


def _find_experiment(reader: Reader, name: str) -> str:
    experiment = reader.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    known = [found.name for found in every_experiment(reader, ExperimentQuery(view=ViewType.ALL))]
    raise NotFound(f"there is no experiment {name!r}{did_you_mean(name, known)}; `autolog experiments` lists them")


def find_run(reader: Reader, text: str) -> Run:
    """Return the run of this id, or whose id begins so; ``last`` is the run that began last.

    Raises:
        NotFound: no run fits.
        InvalidParameter: several runs fit, or the text is too short to tell.
    """
    if text == "last":
        for run in reader.search_runs(RunQuery(filter=TOP_LEVEL, max_results=1)):
            return run
        raise NotFound("the store holds no run yet; `autolog demo` makes some")
    if not _RUN_ID.fullmatch(text):
        raise NotFound(f"{text!r} is not the id of a run; `autolog runs` lists them")
    try:
        return reader.get_run(text)
    except NotFound:
        pass
    if len(text) < _SHORTEST_PREFIX:
        raise InvalidParameter(f"{text!r} is too short; give at least {_SHORTEST_PREFIX} characters of the run's id")
    query = RunQuery(filter=f"run_id LIKE '{text}%'", view=ViewType.ALL, max_results=10)
    # The `_` of an id is a wildcard to LIKE.
    found = [run for run in reader.search_runs(query) if run.info.run_id.startswith(text)]
    if not found:
        raise NotFound(f"no run's id begins with {text!r}; `autolog runs` lists them")
    if len(found) > 1:
        candidates = ", ".join(run.info.run_id for run in found)
        raise InvalidParameter(f"{text!r} begins the ids of several runs: {candidates}; give more characters")
    return found[0]


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return the end of a message that offers what is spelt closest, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
