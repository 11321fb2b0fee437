"""``autolog gc``: remove for ever what has been deleted."""

from __future__ import annotations

import re
import sys
import time
from contextlib import closing
from typing import Annotated, Final

import typer

from autolog.cli import text
from autolog.cli.lookup import find_experiments, find_run, open_store
from autolog.cli.options import BackendOption, ExperimentsOption
from autolog.cli.output import error, hint, progress, stdout, waiting
from autolog.config import load_settings
from autolog.errors import InvalidParameter
from autolog.removal import Deleted, find_deleted, remove

_SPAN: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS: Final = (86_400, 3600, 60, 1)


def gc(
    *,
    backend: BackendOption = None,
    experiment: ExperimentsOption = None,
    run_id: Annotated[
        list[str] | None,
        typer.Option("--run-id", metavar="RUN", help="Only this run; may be given again.", show_default=False),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="SPAN",
            help="Only what was deleted longer ago, as in: 30d, 12h, 1d12h.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove deleted runs and experiments for ever.

    Their metrics, params, tags and files go, and cannot be restored. What is not deleted stays: delete runs by
    autolog.delete_run, experiments, with all that is in them, by autolog.delete_experiment.
    """
    if run_id and experiment:
        raise InvalidParameter("give either --run-id or --experiment, not both")
    before = None if older_than is None else time.time_ns() // 1_000_000 - _milliseconds(older_than)
    with open_store(backend) as reader:
        with waiting("looking for what is deleted"):
            found = find_deleted(
                reader,
                experiment_ids=find_experiments(reader, experiment),
                run_ids=[find_run(reader, each).info.run_id for each in run_id] if run_id else None,
                before=before,
            )
        if not (found.run_ids or found.experiments):
            hint("nothing to remove")
            return
        if dry_run:
            _list(found)
            return
        _confirm(found, yes=yes)
        from autolog.backends import open_backend

        with closing(open_backend(load_settings(backend=backend).backend)) as writing, progress() as bar:
            task = bar.add_task("removing runs", total=len(found.run_ids) + len(found.experiments))
            failures = remove(reader, writing, found, lambda: bar.advance(task))
    for failure in failures:
        error(f"{failure.subject}: {failure.message}")
    hint(f"{_count(found)} removed" + (f", {len(failures)} of them failed" if failures else ""))
    if failures:
        raise typer.Exit(1)


def _milliseconds(span: str) -> int:
    match = _SPAN.fullmatch(span)
    if not span or match is None:
        raise InvalidParameter(
            f"{span!r} is not a span of time; write days, hours, minutes, seconds, as in 30d or 1d12h"
        )
    return 1000 * sum(unit * int(count or 0) for unit, count in zip(_UNITS, match.groups(), strict=True))


def _list(found: Deleted) -> None:
    """Print what would be removed, one a line."""
    for experiment in found.experiments:
        stdout().print(f"experiment {text.line(experiment.name)}", markup=False, soft_wrap=True)
    for run_id in found.run_ids:
        stdout().print(f"run {run_id}", markup=False, soft_wrap=True)
    hint(f"{_count(found)} would be removed")


def _confirm(found: Deleted, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidParameter(f"{_count(found)} would be removed for ever; say --yes where nobody can be asked")
    typer.confirm(f"Remove {_count(found)} for ever?", abort=True, err=True)


def _count(found: Deleted) -> str:
    runs = text.plural(len(found.run_ids), "run")
    return f"{runs} and {text.plural(len(found.experiments), 'experiment')}" if found.experiments else runs
