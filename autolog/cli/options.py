"""The options that several commands share, written once."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Format(str, Enum):
    """How a result is written to stdout."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="URL",
        help="The store to use; else AUTOLOG_BACKEND, else file:./autolog-runs.",
        show_default=False,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the result is written.")]
ExperimentsOption = Annotated[
    list[str] | None,
    typer.Option("--experiment", metavar="NAME", help="Only this experiment; may be given again.", show_default=False),
]
FilterOption = Annotated[
    str,
    typer.Option(
        "--filter",
        metavar="EXPRESSION",
        help="Only runs that match, as in: metrics.accuracy > 0.9 AND params.kernel = 'rbf'.",
        show_default=False,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's id, the first four or more characters of it, or: last."),
]
