"""``autolog demo``: ten small trainings, and what can be seen of them afterwards."""

from __future__ import annotations

import time

from rich.table import Table
from rich.text import Text

import autolog
from autolog.backend import Reader, RunQuery
from autolog.cli.compare import print_best, rank_runs
from autolog.cli.direction import Direction
from autolog.cli.lookup import PARENT_TAG, TOP_LEVEL, open_store
from autolog.cli.options import BackendOption
from autolog.cli.output import progress, stdout
from autolog.cli.runs import experiment_names, print_runs
from autolog.config import load_settings
from autolog.errors import BackendUnavailable, MissingDependency

_EXPERIMENT = "demo"
_METRIC = "training_accuracy_score"
_FLUSH_TIMEOUT = 60.0


def demo(backend: BackendOption = None) -> None:
    """Train ten small models, and see what was recorded.

    The models are scikit-learn's, on the data that comes with it, and their code has no line of logging.
    """
    try:
        from autolog.demo import TRAININGS
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"the demo trains scikit-learn models, and {error.name} is missing: pip install 'autolog-ml[sklearn]'"
        ) from None
    url = load_settings(backend=backend).backend
    began = int(time.time() * 1000)
    with autolog.enable(url, experiment=_EXPERIMENT), progress() as bar:
        for training in bar.track(TRAININGS, description="training"):
            training()
        if not autolog.flush(timeout=_FLUSH_TIMEOUT):
            raise BackendUnavailable(f"{url} does not answer; `autolog sync` sends the runs once it does")
    with open_store(url) as reader:
        _print_result(reader, began)
    _print_next_steps(url if backend is not None else None)


def _print_result(reader: Reader, began: int) -> None:
    trained = f"start_time >= {began}"
    found = reader.search_runs(RunQuery(filter=f"{trained} AND {TOP_LEVEL}")).items
    children = reader.search_runs(RunQuery(filter=f"{trained} AND NOT {TOP_LEVEL}", params=False, metrics=False))
    counts: dict[str, int] = {}
    for child in children:
        parent = child.data.tags[PARENT_TAG]
        counts[parent] = counts.get(parent, 0) + 1
    print_runs(found, experiment_names(reader), counts=counts)
    stdout().print()
    print_best(rank_runs(reader, _METRIC, Direction.UP, None, trained), _METRIC, Direction.UP, guessed=True)


def _print_next_steps(url: str | None) -> None:
    option = "" if url is None else f" --backend {url}"
    steps = Table.grid(padding=(0, 2, 0, 0))
    for command, purpose in (
        ("show last", "everything about the last run"),
        (f"best {_METRIC}", "the best run, and its params"),
        ("runs --filter 'metrics.training_r2_score > 0'", "only some of the runs"),
        ("exec train.py", "your own script, as it is"),
    ):
        steps.add_row(f"  autolog {command}{option}", Text(purpose, "dim"))
    stdout().print(Text("\nNext", "bold"))
    stdout().print(steps)
