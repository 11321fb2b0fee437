"""``autolog doctor``: whether everything works, and what to do where it does not."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from enum import Enum
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from autolog import __version__
from autolog.backend import RunQuery
from autolog.cli import text
from autolog.cli.lookup import local_path
from autolog.cli.options import BackendOption, Format, FormatOption
from autolog.cli.output import print_csv, print_json, stdout
from autolog.config import Settings, load_settings
from autolog.errors import AutologError
from autolog.redaction import redact_url

_OPTIONAL = ("sqlalchemy", "alembic", "pandas")
_FULL = 1 * 2**30


class Outcome(str, Enum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLES = {Outcome.OK: "green", Outcome.WARN: "yellow", Outcome.FAIL: "bold red"}


class Check(NamedTuple):
    """One thing that was looked at, what was found, and what to do about it."""

    subject: str
    outcome: Outcome
    found: str
    advice: str = ""


def doctor(backend: BackendOption = None, output: FormatOption = Format.TABLE) -> None:
    """Check that everything works; say what to do."""
    settings = load_settings(backend=backend)
    checks = [check for examine in (_versions, _store, _spool, _frameworks, _git) for check in examine(settings)]
    if output is Format.JSON:
        print_json([check._asdict() for check in checks])
    elif output is Format.CSV:
        print_csv(Check._fields, [{**check._asdict(), "outcome": check.outcome.value} for check in checks])
    else:
        _print(checks)
    if any(check.outcome is Outcome.FAIL for check in checks):
        raise typer.Exit(1)


def _print(checks: list[Check]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for check in checks:
        found = Text(check.found)
        if check.advice:
            found.append(f"\n{check.advice}", "dim")
        table.add_row(Text(check.outcome.value, _STYLES[check.outcome]), Text(check.subject), found)
    stdout().print(table)


def _versions(_: Settings) -> Iterator[Check]:
    found = f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield Check("autolog", Outcome.OK, found)
    installed = {name: _version(name) for name in _OPTIONAL}
    present = ", ".join(f"{name} {number}" for name, number in installed.items() if number)
    missing = ", ".join(name for name, number in installed.items() if not number)
    yield Check(
        "packages",
        Outcome.OK,
        present or "none of the optional ones",
        f"without {missing}: pip install 'autolog-ml[sql,pandas]' adds databases and data frames" if missing else "",
    )


def _store(settings: Settings) -> Iterator[Check]:
    from autolog.backends import open_reader

    shown = redact_url(settings.backend)
    try:
        with closing(open_reader(settings.backend)) as reader:
            count = reader.count_runs(RunQuery())
            place = local_path(settings.backend)
    except AutologError as error:
        yield Check("backend", Outcome.FAIL, f"{shown}: {error}", "set --backend or AUTOLOG_BACKEND")
        return
    if place is None or place.exists():
        yield Check("backend", Outcome.OK, f"{shown} answers, {text.plural(count, 'run')}")
    else:
        advice = "the first run recorded there makes it; if one should be there, correct --backend or AUTOLOG_BACKEND"
        yield Check("backend", Outcome.WARN, f"there is no store {shown}", advice)
    if place is not None:
        yield _writable("store", place.parent if settings.backend.startswith("sqlite") else place)


def _writable(subject: str, folder: Path) -> Check:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir():
        return Check(subject, Outcome.FAIL, f"{existing} is not a folder", "choose another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            subject, Outcome.FAIL, f"{existing} cannot be written to", f"chmod u+rwx {existing}, or choose another"
        )
    free = shutil.disk_usage(existing).free
    found = f"{folder} is writable" if existing == folder else f"{folder} will be made when it is needed"
    if free < _FULL:
        return Check(subject, Outcome.WARN, f"{found}, but only {text.size(free)} are free", "make room on this disk")
    return Check(subject, Outcome.OK, f"{found}, {text.size(free)} free")


def _spool(settings: Settings) -> Iterator[Check]:
    from autolog.recovery import scan

    yield _writable("spool", settings.spool)
    states = scan(settings.spool)
    live = [state for state in states if state.alive]
    if live:
        left = text.plural(sum(state.left for state in live), "record")
        yield Check("journals", Outcome.OK, f"{text.plural(len(live), 'journal')} in use, {left} on the way")
    for state in states:
        if state.error:
            yield Check("journals", Outcome.WARN, f"{state.folder} cannot be read: {state.error}", "move it away")
        elif state.damage:
            found = f"{state.journal} is damaged: {'; '.join(state.damage)}"
            yield Check("journals", Outcome.WARN, found, "autolog sync saves the rest")
        elif not state.alive:
            target = redact_url(state.info.backend) if state.info else "its store"
            records = text.plural(state.left, "record")
            found = f"{state.journal}: {records} of a process that has ended wait for {target}"
            yield Check("journals", Outcome.WARN, found, "autolog sync sends them")


def _frameworks(_: Settings) -> Iterator[Check]:
    from autolog.integrations import INTEGRATIONS, load_integration

    for name, target in INTEGRATIONS.items():
        requires = load_integration(target).requires
        if not requires:
            # It goes with several frameworks, of whatever version.
            continue
        distribution, oldest = requires.split(">=")
        installed = _version(distribution) or _version_of_module(name)
        if installed is None:
            yield Check(name, Outcome.OK, f"{distribution} is not installed")
        elif _parts(installed) < _parts(oldest):
            advice = f"pip install '{requires}'"
            yield Check(name, Outcome.WARN, f"{distribution} {installed} is older than what is tested", advice)
        else:
            yield Check(name, Outcome.OK, f"{distribution} {installed} is recorded")


def _git(_: Settings) -> Iterator[Check]:
    path = shutil.which("git")
    if path is None:
        yield Check("git", Outcome.WARN, "not found", "install git, so that runs know their commit and changes")
    else:
        yield Check("git", Outcome.OK, path)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _version_of_module(name: str) -> str | None:
    """Return the version of whichever distribution brings a module: some have a variant for machines without a GPU."""
    found = packages_distributions().get(name, ())
    return next(filter(None, map(_version, found)), None)


def _parts(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", number)[:3])
