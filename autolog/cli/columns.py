"""The columns of a table of runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from autolog.cli import text
from autolog.cli.output import STATUS_STYLES, Column, folded
from autolog.cli.telling import PARAM_LIMIT, is_number
from autolog.entities import Run
from autolog.errors import InvalidParameter

_HEADER_WIDTH = 12
_NAME_LIMIT = 20
ID_LENGTH = 8


def metric_column(runs: Sequence[Run], name: str) -> Column:
    """Return the column of a metric's latest values."""
    values = [run.data.metrics.get(name) for run in runs]
    return Column(folded(name, _HEADER_WIDTH), text.numbers(values), numeric=True, header_style="cyan")


def param_column(runs: Sequence[Run], name: str) -> Column:
    """Return the column of a param's values."""
    cells = [text.param(run.data.params.get(name, "")) for run in runs]
    return Column(
        folded(name, _HEADER_WIDTH),
        cells,
        numeric=all(map(is_number, cells)),
        limit=PARAM_LIMIT,
        header_style="yellow",
    )


def tag_column(runs: Sequence[Run], name: str) -> Column:
    """Return the column of a tag's values."""
    return Column(folded(name, _HEADER_WIDTH), [text.line(run.data.tags.get(name, "")) for run in runs])


def identity_columns(runs: Sequence[Run], experiments: Mapping[str, str], width: int) -> dict[str, Column]:
    """Return the columns that every run has, by the name under which ``--columns`` asks for them.

    Args:
        runs: the rows of the table.
        experiments: the names of the experiments by id.
        width: of the terminal, of which a run's name may take three tenths.
    """
    now = int(time.time() * 1000)
    return {
        "run": Column("run", [run.info.run_id[:ID_LENGTH] for run in runs], limit=ID_LENGTH),
        "name": Column("name", [text.line(run.info.run_name) for run in runs], limit=max(width * 3 // 10, _NAME_LIMIT)),
        "status": Column(
            "status",
            [run.info.status.value for run in runs],
            styles=[STATUS_STYLES[run.info.status] for run in runs],
        ),
        "experiment": Column(
            "experiment", [text.line(experiments.get(run.info.experiment_id, "")) for run in runs], limit=20
        ),
        "data": Column("data", [_data(run) for run in runs], limit=20),
        "started": Column("started", [_started(run, now) for run in runs], numeric=True),
        "duration": Column("took", [_took(run, now) for run in runs], numeric=True),
    }


def named_columns(runs: Sequence[Run], identity: Mapping[str, Column], names: Sequence[str]) -> list[Column]:
    """Return the columns that a person asked for.

    Raises:
        InvalidParameter: a name is neither that of an identity column nor of a metric, param or tag.
    """
    return [identity[name] if name in identity else _value_column(runs, identity, name) for name in names]


def _value_column(runs: Sequence[Run], identity: Mapping[str, Column], name: str) -> Column:
    entity, _, key = name.partition(".")
    columns: dict[str, Callable[[Sequence[Run], str], Column]] = {
        "metrics": metric_column,
        "params": param_column,
        "tags": tag_column,
    }
    if entity not in columns or not key:
        raise InvalidParameter(
            f"there is no column {name!r}; use {', '.join(identity)}, or metrics.NAME, params.NAME, tags.NAME"
        )
    return columns[entity](runs, key)


def _data(run: Run) -> str:
    return text.line(", ".join(dict.fromkeys(used.dataset.name for used in run.inputs.dataset_inputs)))


def _started(run: Run, now: int) -> str:
    return "" if run.info.start_time is None else text.age(run.info.start_time, now)


def _took(run: Run, now: int) -> str:
    if run.info.start_time is None:
        return ""
    end = run.info.end_time if run.info.end_time is not None else now
    return (
        "" if run.info.status.is_terminated and run.info.end_time is None else text.duration(end - run.info.start_time)
    )
