"""The results as a page: one table a group, with ratios and targets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measures import GROUPS, Group, Measure, Unit
from plan import STORES

_NONE = "-"
_SCALES = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0))

Summary = dict[str, float]
ByContender = dict[str, dict[str, Summary]]


def write_report(results: dict[str, Any], path: Path) -> None:
    """Write the page."""
    path.write_text("\n".join(_page(results)) + "\n", encoding="utf-8")


def _page(results: dict[str, Any]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Made by `make bench`; do not edit. Every number is in [results.json](results.json)."
    yield ""
    if (results["groups"].keys()) >= {"call", "training"}:
        yield "![What recording adds to a fit and what a logging call costs, on a log scale](overview.png)"
        yield ""
    yield from _machine(results)
    yield (
        "A cell is the median of its samples, with the 10th and 90th percentile in brackets. "
        "A ratio is MLflow's median by autolog's in the same kind of store; above 1, autolog is the cheaper. "
        f"{_NONE} stands for what was not measured, or does not exist. "
        "*Stored* means that the store has taken it: a call of `autolog.flush()` has returned."
    )
    yield ""
    for problem in results["problems"]:
        yield f"**Not measured:** {problem}."
        yield ""
    for group in GROUPS:
        if group.name in results["groups"]:
            yield from _section(group, results)
    yield from _reproduction()


def _machine(results: dict[str, Any]) -> Iterator[str]:
    machine, versions = results["machine"], results["versions"]
    yield "| | |"
    yield "|---|---|"
    yield f"| date | {results['date']} |"
    yield f"| scale | {results['scale']}, {results['seconds']:.0f} s in all |"
    yield f"| machine | {machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB |"
    yield f"| system | {machine['system']} |"
    yield f"| load before the run | {machine['load']} |"
    for tool, packages in versions.items():
        named = ", ".join(f"{name} {version}" for name, version in packages.items())
        yield f"| packages of {'MLflow' if tool == 'mlflow' else tool} | {named} |"
    yield ""


def _section(group: Group, results: dict[str, Any]) -> Iterator[str]:
    measured: ByContender = results["groups"][group.name]
    contenders = sorted(measured, key=_place_of)
    yield f"## {group.title}"
    yield ""
    yield group.notes.format(**results["sizes"])
    yield ""
    yield "| | " + " | ".join([*contenders, "MLflow ÷ autolog", "target", "met"]) + " |"
    yield "|---|" + "--:|" * (len(contenders) + 2) + ":-:|"
    for measure in group.measures:
        cells = [measured[contender].get(measure.name) for contender in contenders]
        if any(cells):
            texts = [_cell(summary, measure.unit) for summary in cells]
            yield (
                "| "
                + " | ".join(
                    [
                        measure.title.format(**results["sizes"]),
                        *texts,
                        _ratios(measured, measure),
                        *_verdict(measured, measure),
                    ]
                )
                + " |"
            )
    yield ""
    if group.name == "start":
        yield from _imports(results["facts"])


def _imports(facts: dict[str, Any]) -> Iterator[str]:
    own = facts.get("start_autolog")
    if own is None:
        return
    text = f"`import autolog` leaves {own['modules']:,} modules in the process"
    if "start_mlflow" in facts:
        text += f", `import mlflow` {facts['start_mlflow']['modules']:,}"
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
    yield "make bench         # under 12 minutes"
    yield "make bench-quick   # under 3 minutes"
    yield "```"
    yield ""
    yield (
        "MLflow is installed by itself into `.venv-mlflow`; `AUTOLOG_BENCH_MLFLOW_PYTHON` names another Python that "
        "has it. `benchmarks/run.py --only call hook` measures some groups only. What is measured is in "
        "`benchmarks/subjects/`, one script each; each runs in a process of its own, and the contenders take turns. "
        "Everything is written below the temporary folder (`TMPDIR`), so that the file system is the one you choose. "
        "Figures of different machines, or of a busy one, are not comparable; ratios of one run are."
    )


def _place_of(contender: str) -> tuple[int, str]:
    tools = ("none", "autolog", "MLflow")
    return tools.index(contender.partition(",")[0]), contender.lower()


def _cell(summary: Summary | None, unit: Unit) -> str:
    if summary is None:
        return _NONE
    median = to_text(summary["median"], unit)
    if summary["n"] == 1:
        return median
    return f"{median} ({to_text(summary['p10'], unit)} … {to_text(summary['p90'], unit)})"


def _ratios(measured: ByContender, measure: Measure) -> str:
    if not measure.compared:
        return _NONE
    ratios = []
    for store in (None, *STORES.values()):
        own, peer = (
            measured.get(tool if store is None else f"{tool}, {store}", {}).get(measure.name)
            for tool in ("autolog", "MLflow")
        )
        if own is not None and peer is not None and own["median"] > 0 < peer["median"]:
            ratios.append(f"{store + ' ' if store else ''}{_significant(peer['median'] / own['median'])}")
    return ", ".join(ratios) or _NONE


def _verdict(measured: ByContender, measure: Measure) -> tuple[str, str]:
    if measure.target is None:
        return _NONE, _NONE
    own = [
        by_measure[measure.name]["median"]
        for contender, by_measure in measured.items()
        if contender.startswith("autolog") and measure.name in by_measure
    ]
    met = bool(own) and max(own) <= measure.target
    return f"≤ {to_text(measure.target, measure.unit)}", "met" if met else "**not met**"


def to_text(value: float, unit: Unit) -> str:
    """Return a figure with three significant digits in the largest unit that leaves it at one or more."""
    if unit == "bytes":
        return f"{_significant(value)} B"
    name, size = next(((name, size) for name, size in _SCALES if abs(value) >= size), _SCALES[-1])
    return f"{_significant(value / size)} {name}"


def _significant(value: float) -> str:
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.{digits}f}"
