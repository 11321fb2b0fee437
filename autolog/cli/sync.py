"""``autolog sync``: send what processes that died, or could not reach their store, have left behind."""

from __future__ import annotations

from typing import Annotated

import typer

from autolog.cli import text
from autolog.cli.options import BackendOption
from autolog.cli.output import error, hint, progress, stdout
from autolog.config import load_settings, resolve_backend
from autolog.recovery import Recovered, recover, scan
from autolog.redaction import redact_url


def sync(
    backend: BackendOption = None,
    any_host: Annotated[
        bool, typer.Option("--any-host", help="Also what machines that are gone have left in a shared spool.")
    ] = False,
) -> None:
    """Send what dead processes left in their journals.

    Every journal goes to the store that it was written for; --backend restricts that to one store. Runs that their
    process left open are closed as KILLED.
    """
    settings = load_settings()
    waiting = sum(state.left for state in scan(settings.spool) if not state.alive)
    sent: dict[str, int] = {}
    with progress() as bar:
        task = bar.add_task("sending records", total=waiting)

        def advance(journal: str, records: int) -> None:
            sent[journal] = records
            bar.update(task, completed=sum(sent.values()))

        outcomes = recover(
            settings.spool, None if backend is None else resolve_backend(backend), advance, any_host=any_host
        )
    for outcome in outcomes:
        _report(outcome)
    if not outcomes:
        hint("nothing to send")
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def _report(outcome: Recovered) -> None:
    journal = f"journal {outcome.journal}"
    backend = redact_url(outcome.backend)
    if outcome.error:
        error(f"{journal} waits on for {backend}: {outcome.error}")
        return
    closed = f", {text.plural(len(outcome.runs_killed), 'run')} closed as KILLED" if outcome.runs_killed else ""
    line = f"{journal}: {text.plural(outcome.records, 'record')} sent to {backend}{closed}"
    stdout().print(line, markup=False, soft_wrap=True)
    for damage in outcome.damage:
        error(f"{journal} is damaged: {damage}; what was intact has been sent, the rest is kept in the spool")
