"""Where a command's words go: tables, JSON and CSV on stdout, everything said about them on stderr."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from autolog.cli import text
from autolog.entities import RunStatus

# What is piped or written to a file has no width of its own.
_WIDTH_ELSEWHERE = 120
GAP = 2
_PATIENCE = 1.0
STATUS_STYLES = {
    RunStatus.FINISHED: "green",
    RunStatus.RUNNING: "cyan",
    RunStatus.SCHEDULED: "dim",
    RunStatus.FAILED: "red",
    RunStatus.KILLED: "magenta",
}


def stdout() -> Console:
    """Return a console on stdout: as wide as the terminal, with colours only where there is one."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Return a console on stderr, for what is not the result: errors, hints, progress."""
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    measured = file.isatty() or bool(os.environ.get("COLUMNS"))
    if not _is_unicode(file) and isinstance(file, TextIOWrapper):
        file.reconfigure(errors="replace")
    return Console(file=file, highlight=False, width=None if measured else _WIDTH_ELSEWHERE)


def _is_unicode(file: TextIO) -> bool:
    return (file.encoding or "utf").lower().startswith("utf")


def hint(message: str) -> None:
    """Say on stderr what helps beside the result."""
    sys.stdout.flush()
    stderr().print(f"[dim]{escape(message)}[/dim]", soft_wrap=True)


def error(message: str) -> None:
    """Say on stderr what went wrong."""
    sys.stdout.flush()
    stderr().print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)


@dataclass(frozen=True)
class Column:
    """One column of a table: its header, which may have several lines, and one text for each row.

    ``numeric`` cells stand on the right and are never cut; other texts are cut after ``limit`` characters.
    """

    header: str
    cells: Sequence[str]
    numeric: bool = False
    limit: int = 40
    styles: Sequence[str] = ()
    header_style: str = ""

    @property
    def width(self) -> int:
        """The width that the column takes in a table, the gap on its right included."""
        content = max((Text(cell).cell_len for cell in self.cells), default=0)
        header = max(Text(line).cell_len for line in self.header.split("\n"))
        return max(content if self.numeric else min(content, self.limit), header) + GAP


def print_table(columns: Sequence[Column], console: Console | None = None) -> None:
    """Print columns side by side; where they are too wide together, texts are cut and numbers stay whole."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(
            Text(column.header, column.header_style),
            justify="right" if column.numeric else "left",
            min_width=column.width - GAP if column.numeric else None,
            max_width=None if column.numeric else max(column.limit, column.width - GAP),
            no_wrap=True,
            overflow="ellipsis",
            vertical="bottom",
        )
    for index in range(len(columns[0].cells)):
        table.add_row(*(Text(column.cells[index], column.styles[index] if column.styles else "") for column in columns))
    (console or stdout()).print(table)


def folded(name: str, width: int) -> str:
    """Return a long name as a header of several lines, broken after its separators, no line shorter than needed."""
    lines = [""]
    for character in name:
        lines[-1] += character
        if character in "_./- " and len(lines[-1]) >= width // 2:
            lines.append("")
    merged = [lines[0]]
    for line in lines[1:]:
        if len(merged[-1]) + len(line) <= width:
            merged[-1] += line
        else:
            merged.append(line)
    return "\n".join(line for line in merged if line)


def print_json(document: Any) -> None:
    """Print a document as JSON; what is not finite becomes the text NaN, Infinity or -Infinity."""
    sys.stdout.write(json.dumps(jsonable(document), indent=2, ensure_ascii=not _is_unicode(sys.stdout)) + "\n")


def jsonable(value: Any) -> Any:
    """Return a value as strict JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return text.non_finite(value)
    if isinstance(value, Mapping):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    return value


def print_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as CSV; a field that a row has not stays empty."""
    write_csv(sys.stdout, fields, rows)


def write_csv(file: TextIO, fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header."""
    writer = csv.DictWriter(file, fields, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value is None else jsonable(value) for key, value in row.items()})


@contextmanager
def waiting(message: str) -> Iterator[None]:
    """Show on stderr that something goes on, once it has taken a second; silent where stderr is no terminal."""
    console = stderr()
    status = console.status(message)
    timer = threading.Timer(_PATIENCE, status.start)
    if console.is_terminal:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if timer.ident is not None:
            timer.join()
        status.stop()


def progress(*, visible: bool = True) -> Progress:
    """Return a progress bar on stderr, which is silent where stderr is no terminal."""
    console = stderr()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
    )
