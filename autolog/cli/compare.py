"""``autolog compare`` and ``autolog best``: runs against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from autolog.backend import Reader, RunQuery
from autolog.cli import text
from autolog.cli.columns import ID_LENGTH
from autolog.cli.direction import Direction, guess_direction
from autolog.cli.lookup import did_you_mean, find_experiments, find_run, open_store
from autolog.cli.options import BackendOption, ExperimentsOption, FilterOption, Format, FormatOption
from autolog.cli.output import GAP, hint, print_csv, print_json, stdout, waiting
from autolog.cli.records import run_document
from autolog.cli.runs import experiment_names
from autolog.entities import Run
from autolog.errors import InvalidParameter, NotFound
from autolog.export import run_fields, run_row
from autolog.search import parse_run_filter

_VALUE_LIMIT = 24
_KEY_LIMIT = 36
_KEY_WIDTH = 20
# The widest number, and the mark behind it.
_NUMBER_WIDTH = len("-1.2345e-100 *")
_BEST = " *"

ComparisonRow = tuple[Text, list[Text]]


def compare(
    run: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN ...", help="Two or more runs, each by id, the beginning of it, or: last."),
    ],
    backend: BackendOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Put runs side by side.

    Metrics and params that differ come first; what is the same everywhere is dimmed.
    """
    with open_store(backend) as reader:
        found = [find_run(reader, one) for one in run]
        if len({other.info.run_id for other in found}) < 2:  # noqa: PLR2004 - one run has nothing to differ from
            raise InvalidParameter("name two or more different runs to compare; `autolog runs` lists them")
        experiments = experiment_names(reader)
    if output is Format.JSON:
        print_json([run_document(other, experiments) for other in found])
    elif output is Format.CSV:
        rows = [run_row(other) for other in found]
        print_csv(run_fields({key for row in rows for key in row}), rows)
    else:
        print_comparison(found)


def print_comparison(runs: Sequence[Run]) -> None:
    """Print runs side by side, as many beside each other as the terminal holds."""
    console = stdout()
    tables = {
        "metrics": _comparison_rows([run.data.metrics for run in runs]),
        "params": _comparison_rows([run.data.params for run in runs]),
    }
    longest = max((key.cell_len for rows in tables.values() for key, _ in rows), default=0)
    keys = max(min(longest, _KEY_LIMIT, console.width - GAP - len(runs) * (_NUMBER_WIDTH + GAP)), _KEY_WIDTH)
    room = console.width - keys
    most = max(room // (_NUMBER_WIDTH + GAP), 1)
    for first in range(0, len(runs), most):
        part = slice(first, first + most)
        limit = min(room // len(runs[part]) - GAP, _VALUE_LIMIT)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        table.add_column("", no_wrap=True, overflow="ellipsis", width=min(longest, keys))
        for run in runs[part]:
            header = Text(f"{run.info.run_id[:ID_LENGTH]}\n{text.line(run.info.run_name)}")
            table.add_column(header, justify="right", no_wrap=True, overflow="ellipsis", max_width=limit)
        for title, rows in tables.items():
            if rows:
                table.add_row(Text(title, "bold dim"))
            for key, cells in rows:
                table.add_row(key, *cells[part])
        if first:
            console.print()
        console.print(table)
    if any(cell.plain.endswith(_BEST) for _, cells in tables["metrics"] for cell in cells):
        hint("* the best of these runs, where the metric's name says which way is better")


def _comparison_rows(rows: Sequence[Mapping[str, Any]]) -> list[ComparisonRow]:
    """Return a line for every key: what differs, beginning with what most of the runs have, then what is the same."""
    counts = Counter(key for row in rows for key in row)
    keys = sorted(counts, key=lambda key: (-counts[key], key))
    same = [key for key in keys if len({_same(row.get(key)) for row in rows}) == 1]
    differing = [key for key in keys if key not in same]
    return [(Text(text.line(key)), _cells(rows, key, "")) for key in differing] + [
        (Text(text.line(key), "dim"), _cells(rows, key, "dim")) for key in same
    ]


def _same(value: Any) -> Any:
    """Return what stands for a value when it is compared: NaN is the same as NaN here."""
    return text.number(value) if isinstance(value, float) and math.isnan(value) else value


def _cells(rows: Sequence[Mapping[str, Any]], key: str, style: str) -> list[Text]:
    best = _best_value(rows, key)
    cells = []
    for row in rows:
        value = row.get(key)
        if value is None:
            cells.append(Text("-", "dim"))
        elif isinstance(value, str):
            cells.append(Text(text.param(value), style))
        elif best is None:
            cells.append(Text(text.number(value), style))
        elif value == best:
            cells.append(Text(text.number(value) + _BEST, "green"))
        else:
            cells.append(Text(text.number(value) + " " * len(_BEST)))
    return cells


def _best_value(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the best value of a metric; None where its name does not tell, or where all are the same."""
    direction = guess_direction(key)
    values = {value for row in rows if isinstance(value := row.get(key), float) and not math.isnan(value)}
    if direction is None or len(values) < 2:  # noqa: PLR2004 - a single value is not the best of anything
        return None
    return max(values) if direction is Direction.UP else min(values)


def best(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="The metric whose last value counts.")],
    *,
    lowest: Annotated[bool, typer.Option("--min", help="The lowest value is the best.")] = False,
    highest: Annotated[bool, typer.Option("--max", help="The highest value is the best.")] = False,
    backend: BackendOption = None,
    experiment: ExperimentsOption = None,
    filter_: FilterOption = "",
    output: FormatOption = Format.TABLE,
) -> None:
    """Find the best run by a metric.

    Which way is better is taken from the metric's name, unless --min or --max says it.
    """
    with open_store(backend) as reader:
        direction = _direction(metric, lowest=lowest, highest=highest)
        with waiting("reading runs"):
            found = rank_runs(reader, metric, direction, find_experiments(reader, experiment), filter_)
        experiments = experiment_names(reader)
    winner = found[0]
    if output is Format.JSON:
        print_json({"metric": metric, "direction": direction.value, **run_document(winner, experiments)})
    elif output is Format.CSV:
        row = run_row(winner)
        print_csv(run_fields(set(row)), [row])
    else:
        guessed = not (lowest or highest)
        print_best(found, metric, direction, guessed=guessed)
        stdout().print()
        print_params(winner)
        hint(f"autolog show {winner.info.run_id[:ID_LENGTH]} shows the rest")


def _direction(metric: str, *, lowest: bool, highest: bool) -> Direction:
    if lowest and highest:
        raise InvalidParameter("--min and --max exclude each other; give one of them")
    if lowest or highest:
        return Direction.DOWN if lowest else Direction.UP
    guess = guess_direction(metric)
    if guess is None:
        raise InvalidParameter(f"the name {metric!r} does not tell which way it is better; say --min or --max")
    return guess


def rank_runs(
    reader: Reader, metric: str, direction: Direction, experiment_ids: Sequence[str] | None, expression: str
) -> Sequence[Run]:
    """Return the best run by a metric and, where there is one, the second.

    Raises:
        NotFound: no run that matches has the metric as a number.
    """
    if expression.strip():
        parse_run_filter(expression)
    key = metric.replace("`", "``")
    # NaN is neither, so that a run whose metric is NaN is never the best.
    has_number = f"(metrics.`{key}` >= 0 OR metrics.`{key}` < 0)"
    query = RunQuery(
        experiment_ids=experiment_ids,
        filter=f"({expression}) AND {has_number}" if expression.strip() else has_number,
        order_by=(f"metrics.`{key}` {'DESC' if direction is Direction.UP else 'ASC'}",),
        max_results=2,
    )
    found = reader.search_runs(query).items
    if not found:
        sample = reader.search_runs(RunQuery(experiment_ids=experiment_ids, params=False, tags=False, inputs=False))
        known = sorted({name for run in sample for name in run.data.summaries})
        close = "" if metric in known else did_you_mean(metric, known)
        raise NotFound(f"no run that matches has a metric {metric!r}{close}")
    return found


def print_best(found: Sequence[Run], metric: str, direction: Direction, *, guessed: bool) -> None:
    """Print what "best" means here, the best run, and how far the second is."""
    console = stdout()
    why = ", as the name suggests" if guessed else ""
    console.print(Text.assemble((text.line(metric), "bold"), (f": {direction.value} is best{why}", "dim")))
    table = Table.grid(padding=(0, GAP, 0, 0))
    values = [run.data.metrics[metric] for run in found]
    lines = zip(("best", "second"), found, values, text.numbers(values), ("bold green", ""), strict=False)
    for place, run, value, cell, style in lines:
        behind = f"{text.number(abs(values[0] - value))} behind" if run is not found[0] else ""
        name = Text(text.line(run.info.run_name), style)
        table.add_row(place, run.info.run_id[:ID_LENGTH], name, Text(cell, style), behind)
    console.print(table)


def print_params(run: Run) -> None:
    """Print a run's params, one a line."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for key, value in sorted(run.data.params.items()):
        table.add_row(Text(f"  {text.line(key)}"), Text(text.line(value), overflow="fold"))
    stdout().print(table)
