"""The results as a page: targets, where autolog is behind, and one table a group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contenders import TOOLS, parse_contender, place_of
from figures import to_digits, to_text
from measures import find_group, in_order
from verdicts import ByContender, find_lags, find_ratio, find_verdicts

_NOTHING: Final = "-"


def write_report(results: dict[str, Any], path: Path, plots: dict[str, str]) -> None:
    """Write the page; ``plots`` are the names of files beside it, with what they show."""
    path.write_text("\n".join(_page(results, plots)) + "\n", encoding="utf-8")


def _page(results: dict[str, Any], plots: dict[str, str]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Made by `make bench`; do not edit. Every number is in [results.json](results.json)."
    yield ""
    for name, text in plots.items():
        yield f"![{text}]({name})"
        yield ""
    yield from _machine(results)
    yield from _problems(results)
    yield from _targets(results)
    yield from _lags(results)
    yield (
        "In the tables below, a cell is the median of its samples, with the 10th and 90th percentile in brackets. "
        "**n x** is how many times that of autolog in the closest kind of store it is: above 1, autolog is cheaper. "
        f"{_NOTHING} stands for what was not measured, or does not exist. "
        "*Stored* means that the store has taken it: a call of `autolog.flush()` has returned."
    )
    yield ""
    for name in in_order(list(results["groups"])):
        yield from _section(name, results)
    yield from _reproduction()


def _machine(results: dict[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    yield "| | |"
    yield "|---|---|"
    yield f"| date | {results['date']} |"
    yield f"| scale | {results['scale']}, {results['seconds']:.0f} s in all |"
    yield f"| machine | {machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB |"
    yield f"| system | {machine['system']} |"
    yield f"| load before the run | {machine['load']} |"
    for store, version in results["servers"].items():
        yield f"| server | {TOOLS['autolog'].stores[store][0]} {version.removeprefix('PostgreSQL ')} |"
    for tool, packages in results["versions"].items():
        if tool != "none":
            named = ", ".join(f"{name} {version}" for name, version in packages.items())
            yield f"| packages of {TOOLS[tool].title} | {named} |"
    yield ""


def _problems(results: dict[str, Any]) -> Iterator[str]:
    if results["problems"]:
        yield "## Not measured"
        yield ""
        for problem in results["problems"]:
            yield f"- {problem}"
        yield ""


def _targets(results: dict[str, Any]) -> Iterator[str]:
    verdicts = list(find_verdicts(results))
    if not verdicts:
        return
    yield "## Targets"
    yield ""
    yield "| | | target | measured | |"
    yield "|---|---|--:|--:|:-:|"
    for each in verdicts:
        sign, unit = "≥" if each.measure.unit == "share" else "≤", each.measure.unit
        yield (
            f"| {each.group.title}: {each.measure.title} | {parse_contender(each.contender).title} | "
            f"{sign} {to_text(each.target, unit)} | {to_text(each.measured, unit)} | "
            f"{'met' if each.met else '**not met**'} |"
        )
    yield ""


def _lags(results: dict[str, Any]) -> Iterator[str]:
    yield "## Where autolog is not yet ahead"
    yield ""
    missed = [each for each in find_verdicts(results) if not each.met]
    lags = list(find_lags(results))
    for each in missed:
        unit = each.measure.unit
        yield (
            f"- Target missed: {each.group.title}, {each.measure.title}, {parse_contender(each.contender).title}: "
            f"{to_text(each.measured, unit)} instead of {to_text(each.target, unit)}."
        )
    for lag in lags:
        yield (
            f"- {lag.group.title}, {lag.measure.title}: {parse_contender(lag.peer).title} takes "
            f"{to_digits(lag.ratio)} times what {parse_contender(lag.rival).title} does."
        )
    if not missed and not lags:
        yield "Nowhere in this run: every target that was measured is met, and no peer is cheaper in any measure."
    yield ""


def _section(name: str, results: dict[str, Any]) -> Iterator[str]:
    group, measured = find_group(name), results["groups"][name]
    contenders = sorted(measured, key=place_of)
    measures = [each for each in group.measures if any(each.name in measured[contender] for contender in contenders)]
    yield f"## {group.title}"
    yield ""
    yield group.notes.format(**results["sizes"])
    if measured_on := results.get("dates", {}).get(name):
        yield f"Measured by itself on {measured_on}."
    yield ""
    yield "| | " + " | ".join(measure.title for measure in measures) + " |"
    yield "|---|" + "--:|" * len(measures)
    for contender in contenders:
        cells = [_cell(measured, measure, contender) for measure in measures]
        if set(cells) != {_NOTHING}:
            yield f"| {parse_contender(contender).title} | " + " | ".join(cells) + " |"
    yield ""
    if name == "start":
        yield from _imports(results["facts"])


def _cell(measured: ByContender, measure: Any, contender: str) -> str:
    summary = measured[contender].get(measure.name)
    if summary is None:
        return _NOTHING
    text = to_text(summary["median"], measure.unit)
    if summary["n"] > 1:
        text += f" ({to_text(summary['p10'], measure.unit)} … {to_text(summary['p90'], measure.unit)})"
    ratio = find_ratio(measured, measure, contender)
    return text if ratio is None else f"{text}, **{to_digits(ratio[1])} x**"


def _imports(facts: dict[str, Any]) -> Iterator[str]:
    own = facts.get("start autolog")
    if own is None:
        return
    text = f"`import autolog` leaves {own['modules']:,} modules in the process"
    for name, tool in TOOLS.items():
        if name != "autolog" and f"start {name}" in facts:
            text += f", `import {tool.module}` {facts[f'start {name}']['modules']:,}"
    heavy = sorted({*own["heavy_after_import"], *own["heavy_after_enable"]})
    named = ", ".join(heavy) if heavy else "none"
    yield (
        f"{text}. Frameworks, database drivers and other heavy packages among autolog's, `enable()` included: "
        f"{named} (target: none; {'not met' if heavy else 'met'})."
    )
    yield ""


def _reproduction() -> Iterator[str]:
    yield "## How to reproduce"
    yield ""
    yield "```console"
    yield "make bench         # half an hour"
    yield "make bench-quick   # some 3 minutes"
    yield "```"
    yield ""
    yield (
        "Every peer is installed by itself into `.venv-bench/`, in the version that `benchmarks/contenders.py` says; "
        "`AUTOLOG_BENCH_<PEER>_PYTHON` names another Python that has it. Settings keep the peers offline, and a proxy "
        "that does not exist keeps them so. `benchmarks/run.py --only call hook` measures some groups "
        "(with `--update` those of an earlier run stay on the page), "
        "`--peers mlflow` some peers, and `--render` makes this page and its plots from `results.json` anew. "
        "What is measured is in `benchmarks/subjects/`; each subject runs in a process of its own, and the contenders "
        "take turns. Repeated calls are timed by pyperf. PostgreSQL and MariaDB are those at "
        "`AUTOLOG_TEST_POSTGRES_URL` and `AUTOLOG_TEST_MARIADB_URL`. Everything else is written below the temporary "
        "folder (`TMPDIR`), so that the file system is the one you choose. "
        "Figures of different machines, or of a busy one, are not comparable; ratios of one run are."
    )
