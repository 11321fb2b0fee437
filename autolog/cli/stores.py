"""``autolog copy`` and ``autolog export``: a store's content elsewhere, and in other forms."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from autolog.backend import Reader, RunQuery
from autolog.cli import text
from autolog.cli.lookup import find_experiments, open_store
from autolog.cli.options import BackendOption, ExperimentsOption
from autolog.cli.output import error, hint, jsonable, progress, waiting, write_csv
from autolog.config import resolve_backend
from autolog.entities import ViewType
from autolog.errors import InvalidParameter
from autolog.export import HISTORY_FIELDS, export_fields, export_histories, export_runs


class ExportFormat(str, Enum):
    """The formats of an exported file."""

    CSV = "csv"
    JSON = "json"


def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The URL of the store to copy.")],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="The URL of the store to copy to.")],
    experiment: ExperimentsOption = None,
) -> None:
    """Copy runs to another store, and lose nothing.

    Files to a database, or the other way: every point, tag and artifact arrives, under the same run ids.
    What is there already is skipped, so that a copy may be repeated, and one that was cut off goes on.
    """
    from autolog.backends import open_backend, open_reader
    from autolog.transfer import Destination, copy_store

    source, destination = resolve_backend(source), resolve_backend(destination)
    if source == destination:
        raise InvalidParameter(f"source and destination are the same store: {source}")
    with (
        open_store(source) as reader,
        closing(open_backend(destination)) as backend,
        closing(open_reader(destination)) as present,
        progress() as bar,
    ):
        experiment_ids = find_experiments(reader, experiment)
        total = reader.count_runs(RunQuery(experiment_ids=experiment_ids, view=ViewType.ALL))
        task = bar.add_task("copying runs", total=total)
        report = copy_store(
            reader, Destination(backend, present), experiment_ids, advance=lambda count: bar.advance(task, count)
        )
    for failure in report.failures:
        error(f"{failure.subject}: {failure.message}")
    hint(f"{text.plural(report.copied, 'run')} copied, {report.skipped} already there, {len(report.failures)} failed")
    if report.failures:
        raise typer.Exit(1)


def export(
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write; - is stdout.")
    ] = "-",
    backend: BackendOption = None,
    experiment: ExperimentsOption = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Export every point of every metric instead, one a row.")
    ] = False,
    output: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="By default what the file's name ends with, else csv.", show_default=False),
    ] = None,
) -> None:
    """Export runs as a table, CSV or JSON.

    The columns have the names of MLflow's data frames: run_id, metrics.accuracy, params.C, tags.team.
    """
    if output is None:
        output = ExportFormat.JSON if target.endswith(".json") else ExportFormat.CSV
    with open_store(backend) as reader:
        experiment_ids = find_experiments(reader, experiment)
        rows = (export_histories if metrics else export_runs)(reader, experiment_ids)
        with _opened(target) as file:
            counted = _counted(reader, experiment_ids, rows, visible=target != "-")
            if output is ExportFormat.JSON:
                _write_json(file, counted)
            else:
                with waiting("reading runs"):
                    fields: Sequence[str] = HISTORY_FIELDS if metrics else export_fields(reader, experiment_ids)
                write_csv(file, fields, counted)


def _counted(
    reader: Reader, experiment_ids: Sequence[str] | None, rows: Iterable[Mapping[str, Any]], *, visible: bool
) -> Iterator[Mapping[str, Any]]:
    """Pass rows on and move a progress bar by one for every run."""
    with progress(visible=visible) as bar:
        task = bar.add_task("exporting runs", total=reader.count_runs(RunQuery(experiment_ids=experiment_ids)))
        last = None
        for row in rows:
            if row["run_id"] != last:
                last = row["run_id"]
                bar.advance(task)
            yield row


def _write_json(file: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a JSON array, one a line, without holding them all."""
    separator = "[\n"
    for row in rows:
        known = {key: value for key, value in row.items() if value is not None}
        file.write(separator + json.dumps(jsonable(known), ensure_ascii=False))
        separator = ",\n"
    file.write("\n]\n" if separator == ",\n" else "[]\n")


@contextmanager
def _opened(target: str) -> Iterator[TextIO]:
    """Open stdout or a file, which appears under its name when all of it is written."""
    if target == "-":
        yield sys.stdout
        return
    partial = Path(f"{target}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
