"""``autolog demo``: ten small trainings, and what can be seen of them afterwards."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

import autolog
from autolog.backend import Reader, RunQuery
from autolog.cli.columns import ID_LENGTH
from autolog.cli.compare import print_best, rank_runs
from autolog.cli.direction import Direction
from autolog.cli.lookup import PARENT_TAG, TOP_LEVEL, open_store
from autolog.cli.options import BackendOption
from autolog.cli.output import GAP, progress, stdout
from autolog.cli.runs import experiment_names, print_runs
from autolog.config import load_settings
from autolog.entities import Run
from autolog.errors import BackendUnavailable, MissingDependency

_EXPERIMENT = "demo"
_METRIC = "training_accuracy_score"
# Trainings are compared where they have learnt the same.
_COMPARABLE = "dataset.name = 'breast_cancer'"
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
    option = "" if backend is None else f" --backend {shlex.quote(backend)}"
    with open_store(url) as reader:
        ranked = _print_result(reader, began, option)
    _print_next_steps(ranked, option)


def _print_result(reader: Reader, began: int, option: str) -> Sequence[Run]:
    """Print the runs since a time and the best that compare, each below a command that shows them.

    Returns:
        The best two.
    """
    trained = f"start_time >= {began}"
    found = reader.search_runs(RunQuery(filter=f"{trained} AND {TOP_LEVEL}")).items
    children = reader.search_runs(RunQuery(filter=f"{trained} AND NOT {TOP_LEVEL}", params=False, metrics=False))
    counts = Counter(child.data.tags[PARENT_TAG] for child in children)
    stdout().print(f"Recorded {len(found)} trainings of autolog/demo.py, which has no line of logging.")
    _print_command(f"runs --limit {len(found)}{option}")
    print_runs(found, experiment_names(reader), counts=counts)
    _print_command(f'best {_METRIC} --filter "{_COMPARABLE}"{option}')
    ranked = rank_runs(reader, _METRIC, Direction.UP, None, f"{trained} AND {_COMPARABLE}")
    print_best(ranked, _METRIC, Direction.UP, guessed=True)
    return ranked


def _print_command(arguments: str) -> None:
    stdout().print(Text.assemble("\n", ("$ ", "dim"), (f"{_program()} {arguments}", "bold")), soft_wrap=True)


def _program() -> str:
    """Return what to type for this program: its name, or its path where a shell would not find it by name."""
    if shutil.which("autolog") is not None:
        return "autolog"
    started = Path(sys.argv[0])
    return "python -m autolog" if started.name == "__main__.py" else shlex.quote(os.path.relpath(started))


def _print_next_steps(ranked: Sequence[Run], option: str) -> None:
    steps = Table.grid(padding=(0, GAP, 0, 0))
    for command, purpose in (
        ("show last", "everything about the last run"),
        (f"compare {' '.join(run.info.run_id[:ID_LENGTH] for run in ranked)}", "the two best side by side"),
        ("runs --filter \"dataset.name = 'wine'\"", "only some of the runs"),
        ("exec train.py", "your own script, as it is"),
    ):
        steps.add_row(f"  {_program()} {command}{option}", Text(purpose, "dim"))
    stdout().print(Text("\nNext", "bold"))
    stdout().print(steps)
