"""The commands of ``autolog`` and what is common to them: how errors are told, and which exit code they give."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from autolog import __version__
from autolog.cli import artifacts, compare, demo, doctor, execute, gc, runs, show, stores, sync
from autolog.cli.output import error as print_error
from autolog.errors import AutologError, InvalidParameter, NotFound

USAGE = 2
FAILURE = 1
_INTERRUPTED = 130


class Commands(TyperGroup):
    """The group of all commands: an error that autolog raises on purpose becomes one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output has left, as in `| head`; nothing more can be said to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(FAILURE) from None
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        except (AutologError, OSError) as error:
            if os.environ.get("AUTOLOG_DEBUG", "0") not in ("", "0"):
                raise
            print_error(_message(error))
            raise typer.Exit(USAGE if isinstance(error, (InvalidParameter, NotFound)) else FAILURE) from None
        return result


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, AutologError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) if isinstance(error, OSError) else str(error)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"autolog {__version__}")
        raise typer.Exit


application = typer.Typer(
    name="autolog",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Record every training, and find it again.

    A store is named by --backend URL or AUTOLOG_BACKEND: a folder (file:./autolog-runs, the default), or a database
    (sqlite:///runs.db, postgresql://host/name).
    """


_RECORD = "Record"
_READ = "Read"
_MOVE = "Move"
_CARE = "Care"
application.command("demo", rich_help_panel=_RECORD)(demo.demo)
application.command(
    "exec",
    rich_help_panel=_RECORD,
    # What follows the script's name belongs to the script, whatever it looks like.
    context_settings={"allow_interspersed_args": False},
)(execute.execute)
application.command("runs", rich_help_panel=_READ)(runs.runs)
application.command("show", cls=show.ShowCommand, rich_help_panel=_READ)(show.show)
application.command("compare", rich_help_panel=_READ)(compare.compare)
application.command("best", rich_help_panel=_READ)(compare.best)
application.command("experiments", rich_help_panel=_READ)(runs.experiments)
application.add_typer(artifacts.application, name="artifacts", rich_help_panel=_READ)
application.command("copy", rich_help_panel=_MOVE)(stores.copy)
application.command("export", rich_help_panel=_MOVE)(stores.export)
application.command("sync", rich_help_panel=_CARE)(sync.sync)
application.command("gc", rich_help_panel=_CARE)(gc.gc)
application.command("doctor", rich_help_panel=_CARE)(doctor.doctor)
