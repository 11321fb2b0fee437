"""The comparison of what two tools have kept, as a page."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from captures import COUNTS, Facts, count, find_disagreements, find_extras, find_gaps

_SCRIPTS: Final = Path(__file__).parent / "captured"
_MOST_NAMES: Final = 40


def write_page(results: Mapping[str, Any], path: Path) -> None:
    """Write the page of ``results``: ``versions``, and by tool and script what was kept of it."""
    path.write_text("\n".join(_page(results)) + "\n", encoding="utf-8")


def _page(results: Mapping[str, Any]) -> Iterator[str]:
    versions = results["versions"]
    yield "# What is captured, beside MLflow"
    yield ""
    yield "Made by `make capture`; do not edit."
    yield ""
    yield (
        f"The same {len(results['autolog'])} scripts, none of which knows of a tracker, under `autolog.enable()` and "
        f"under `mlflow.autolog()` of MLflow {versions['mlflow']}, both as they come, with scikit-learn "
        f"{versions['scikit-learn']}, XGBoost {versions['xgboost-cpu']} and LightGBM {versions['lightgbm']}. "
        "*Seconds added* is what the script takes longer, until all is stored, in a process that has imported the "
        "frameworks, by one run: of a short script it is good to a few hundredths on a machine that does nothing else; "
        f"the load of this one of {results['cores']} cores was {results['load']} before. "
        "Names are those of all runs of a script together, but for tags that describe the run and not the training."
    )
    yield ""
    yield "| Script | runs | params | metrics | points | artifacts | data sets | seconds added |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for script, ours in results["autolog"].items():
        mine, others = count(ours), count(results["mlflow"][script])
        cells = [f"{mine[name]} / {others[name]}" for name in COUNTS if name not in {"of them children", "models"}]
        seconds = f"{_seconds(ours)} / {_seconds(results['mlflow'][script])}"
        yield f"| [{script}](#{script}) | " + " | ".join([*cells, seconds]) + " |"
    yield ""
    yield "In each cell: autolog / MLflow."
    yield ""
    for script, ours in results["autolog"].items():
        plain = results["mlflow, without models"].get(script)
        yield from _section(script, ours, results["mlflow"][script], plain)


def _section(script: str, ours: Facts, theirs: Facts, plain: Facts | None) -> Iterator[str]:
    yield f"## {script}"
    yield ""
    text = (_SCRIPTS / f"{script}.py").read_text(encoding="utf-8")
    yield f"{ast.get_docstring(ast.parse(text))} [The script](../../benchmarks/captured/{script}.py)."
    yield ""
    yield "| | autolog | MLflow |"
    yield "|---|--:|--:|"
    mine, others = count(ours), count(theirs)
    for name in COUNTS:
        if mine[name] or others[name]:
            yield f"| {name} | {mine[name]} | {others[name]} |"
    without = f" ({_seconds(plain)} without its model)" if plain is not None else ""
    yield f"| seconds added | {_seconds(ours)} | {_seconds(theirs)}{without} |"
    yield ""
    yield from _differences(ours, theirs)


def _differences(ours: Facts, theirs: Facts) -> Iterator[str]:
    gaps = list(find_gaps(ours, theirs))
    for gap in gaps:
        if gap.reason is None:
            yield f"- **Missing**: MLflow's `{gap.name}` ({gap.kind})."
        elif gap.instead is not None:
            yield f"- MLflow's `{gap.name}` is `{gap.instead}` here: {gap.reason}."
        else:
            yield f"- MLflow's `{gap.name}` is left out: {gap.reason}."
    if not gaps:
        yield "- Every name of MLflow's is there."
    for name, mine, others, why in find_disagreements(ours, theirs):
        yield f"- `{name}` is {mine:.5g}, by MLflow {others:.5g}{f': {why}' if why else ''}."
    for kind, names in find_extras(ours, theirs).items():
        if names:
            shown = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES])
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            yield f"- Only autolog has the {kind} {shown}{more}."
    yield ""


def _seconds(facts: Facts) -> str:
    return f"{max(0.0, facts['added']):.2f}"
