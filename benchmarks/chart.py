"""The overview: what recording adds to a fit, and what a logging call costs, on one log scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from report import to_text

_COLOURS: Final = {"autolog": "#0b7285", "MLflow": "#d9480f", "none": "#868e96"}
_STORES: Final = {"file": "o", "SQLite": "s"}
_ROWS: Final = {
    "One call": [
        ("call", "log_metric", "log_metric"),
        ("call", "log_param", "log_param"),
        ("call", "log_metrics_50", "log_metrics of 50"),
    ],
    "Added to one fit": [
        ("training", "logistic_added", "LogisticRegression"),
        ("training", "forest_added", "RandomForest(100)"),
        ("training", "grid_added", "GridSearchCV 6 x 3"),
        ("training", "logistic_added_with_model", "LogisticRegression,\nmodel stored"),
    ],
}
_TICKS: Final = {
    10.0**power: text
    for power, text in zip(
        range(2, 11), ("100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"), strict=True
    )
}
# Where in its row a contender stands, from the row's middle.
_LANES: Final = {
    "none": -0.36,
    "autolog, file": -0.18,
    "autolog, SQLite": 0.0,
    "MLflow, file": 0.18,
    "MLflow, SQLite": 0.36,
}


def draw_overview(results: dict[str, Any], path: Path) -> None:
    """Draw the medians as points with a line from the 10th to the 90th percentile."""
    mpl.use("agg")
    panels_of = {title: [row for row in rows if _has_own(row, results["groups"])] for title, rows in _ROWS.items()}
    figure, panels = plt.subplots(
        len(_ROWS),
        1,
        sharex=True,
        figsize=(9.6, 2.0 + 0.85 * sum(map(len, panels_of.values()))),
        height_ratios=[max(1, len(rows)) for rows in panels_of.values()],
        layout="constrained",
    )
    for axes, (title, rows) in zip(panels, panels_of.items(), strict=True):
        _draw_panel(axes, title, rows, results["groups"])
    _label_axis(panels[-1])
    figure.suptitle("What the training thread waits", x=0.01, ha="left", fontsize=14, fontweight="bold")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _has_own(row: tuple[str, str, str], groups: dict[str, Any]) -> bool:
    group, measure, _ = row
    return any(
        contender.startswith("autolog") and measure in measures for contender, measures in groups.get(group, {}).items()
    )


def _draw_panel(axes: Axes, title: str, rows: list[tuple[str, str, str]], groups: dict[str, Any]) -> None:
    for row, (group, measure, _) in enumerate(rows):
        for contender, measures in groups.get(group, {}).items():
            if measure in measures:
                _draw_summary(axes, row + _LANES[contender], contender, measures[measure])
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_yticks(range(len(rows)), [label for _, _, label in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.grid(axis="x", color="#e9ecef")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color="#dee2e6", linewidth=0.8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_summary(axes: Axes, place: float, contender: str, summary: dict[str, float]) -> None:
    tool, _, store = contender.partition(", ")
    colour, least = _COLOURS[tool], min(_TICKS)
    # What cannot be told from nothing stands at the left edge.
    low, median, high = (max(summary[name], least) for name in ("p10", "median", "p90"))
    axes.plot([low, high], [place, place], color=colour, linewidth=2.5, alpha=0.35, solid_capstyle="round")
    axes.plot(median, place, _STORES.get(store, "|"), color=colour, markersize=5.5)
    text = to_text(summary["median"], "ns") if summary["median"] > 0 else "not measurable"
    axes.annotate(
        text, (high, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7.5, color=colour
    )


def _label_axis(axes: Axes) -> None:
    axes.set_xlim(min(_TICKS) / 2, max(_TICKS) * 2.5)
    axes.set_xticks(list(_TICKS), list(_TICKS.values()))
    axes.minorticks_off()
    axes.set_xlabel("median, with the 10th to 90th percentile; log scale")


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=_COLOURS[tool], marker=marker, linestyle="", label=f"{tool}, {store}")
        for tool in ("autolog", "MLflow")
        for store, marker in _STORES.items()
    ] + [Line2D([], [], color=_COLOURS["none"], marker="|", linestyle="", label="a list's append")]
