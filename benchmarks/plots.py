"""The plots of the page: what a call and a fit wait, how reads grow with the store, what the writer costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from contenders import parse_contender, place_of
from figures import to_text
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_COLOURS: Final = {
    "none": "#868e96",
    "autolog": "#0b7285",
    "mlflow": "#d9480f",
    "wandb": "#b08900",
    "tensorboard": "#1864ab",
    "trackio": "#5f3dc4",
    "aim": "#c2255c",
    "clearml": "#2b8a3e",
}
# Panels of rows, each a group, a measure and what the row is called.
_PANELS: Final = {
    "One call": [
        ("call", "log_metric", "log_metric"),
        ("call", "log_param", "log_param"),
        ("call", "log_metrics_50", "log_metrics\nof 50"),
    ],
    "Added to one fit": [
        ("training_logistic", "added", "Logistic-\nRegression"),
        ("training_forest", "added", "Random-\nForest(100)"),
        ("training_grid", "added", "GridSearchCV\n6 x 3"),
        ("training_logistic", "added_with_model", "Logistic-\nRegression,\nmodel stored"),
    ],
}
_TICKS: Final = {
    10.0**power: text
    for power, text in zip(
        range(2, 11), ("100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"), strict=True
    )
}
_READS: Final = {
    "search": "filter, order, first 100",
    "deep_page": "the hundredth page",
    "count": "count",
    "frame": "data frame of all",
}
_MARKERS: Final = {"file": "o", "sqlite": "s", "postgresql": "D", "mariadb": "^"}
_HOMES: Final = {None: _COLOURS["none"], "writer's thread": "#d9480f", "writer's process": "#0b7285"}

Groups = dict[str, Any]
# A row's contenders, with their summaries.
Lanes = list[tuple[str, dict[str, float]]]


def draw_plots(results: dict[str, Any], folder: Path) -> dict[str, str]:
    """Draw what the results have the figures for, and return the files' names with what they show."""
    mpl.use("agg")
    plots = {
        "overview.png": (_draw_overview, "What the training thread waits for a call and for a fit, on a log scale"),
        "reads.png": (_draw_reads, "The time of reads by the number of runs in the store, on log scales"),
        "writer.png": (_draw_writer, "The slowest steps of a loop that logs, by rate and by the writer's home"),
    }
    return {name: text for name, (draw, text) in plots.items() if draw(results["groups"], folder / name)}


def _draw_overview(groups: Groups, path: Path) -> bool:
    panels = {
        title: [(label, _lanes(groups, group, name)) for group, name, label in rows] for title, rows in _PANELS.items()
    }
    panels = {title: [(label, lanes) for label, lanes in rows if lanes] for title, rows in panels.items()}
    if not all(panels.values()):
        return False
    heights = [sum(len(lanes) + 1.0 for _, lanes in rows) for rows in panels.values()]
    figure, axes_of = plt.subplots(
        len(panels),
        1,
        sharex=True,
        figsize=(9.6, 1.6 + 0.19 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    for axes, (title, rows) in zip(axes_of, panels.items(), strict=True):
        _draw_rows(axes, title, rows)
    _label_times(axes_of[-1], "x")
    axes_of[-1].set_xlabel("median, with the 10th to 90th percentile; log scale")
    figure.suptitle("What the training thread waits", x=0.01, ha="left", fontsize=14, fontweight="bold")
    _save(figure, path)
    return True


def _lanes(groups: Groups, group: str, name: str) -> Lanes:
    found = [(contender, measures[name]) for contender, measures in groups.get(group, {}).items() if name in measures]
    tools = {parse_contender(contender).tool for contender, _ in found}
    return sorted(found, key=lambda each: place_of(each[0])) if "autolog" in tools else []


def _draw_rows(axes: Axes, title: str, rows: list[tuple[str, Lanes]]) -> None:
    place, ticks = 0.0, {}
    for label, lanes in rows:
        ticks[place + (len(lanes) - 1) / 2] = label
        for contender, summary in lanes:
            _draw_lane(axes, place, contender, summary)
            place += 1
        axes.axhline(place, color="#dee2e6", linewidth=0.8)
        place += 1
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(place - 1, -1)
    axes.set_xscale("log")
    axes.grid(axis="x", color="#e9ecef")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_lane(axes: Axes, place: float, contender: str, summary: dict[str, float]) -> None:
    who = parse_contender(contender)
    # What cannot be told from nothing stands at the left edge.
    low, median, high = (max(summary[name], min(_TICKS)) for name in ("p10", "median", "p90"))
    axes.plot([low, high], [place, place], color=_COLOURS[who.tool], linewidth=2.5, alpha=0.35, solid_capstyle="round")
    axes.plot(median, place, _MARKERS.get(who.store or "", "o"), color=_COLOURS[who.tool], markersize=4.5)
    text = to_text(summary["median"], "ns") if summary["median"] > 0 else "not measurable"
    name = "a list's append" if who.tool == "none" else who.title
    axes.annotate(
        f"{text}  {name}", (high, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7.5,
        color=_COLOURS[who.tool],
    )  # fmt: skip


def _label_times(axes: Axes, which: str) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    if which == "x":
        axes.set_xlim(min(_TICKS) / 2, max(_TICKS) * 10)
    axis.set_ticks(list(_TICKS), list(_TICKS.values()))
    axes.minorticks_off()


def _draw_reads(groups: Groups, path: Path) -> bool:
    sizes = sorted(int(name.removeprefix("read_")) for name in groups if name.startswith("read_"))
    if len(sizes) < 2:
        return False
    figure, grid = plt.subplots(2, 2, sharex=True, sharey=True, figsize=(9.6, 7.2), layout="constrained")
    contenders = sorted({contender for size in sizes for contender in groups[f"read_{size}"]}, key=place_of)
    for axes, (name, title) in zip(grid.flat, _READS.items(), strict=True):
        for contender in contenders:
            _draw_curve(
                axes, contender, [(size, groups[f"read_{size}"].get(contender, {}).get(name)) for size in sizes]
            )
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(color="#e9ecef")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        _label_times(axes, "y")
        axes.set_ylim(2e5, 2e11)
    for axes in grid[-1]:
        axes.set_xlabel("runs in the store")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Reading, by the size of the store", x=0.01, ha="left", fontsize=14, fontweight="bold")
    _save(figure, path)
    return True


def _draw_curve(axes: Axes, contender: str, points: list[tuple[int, dict[str, float] | None]]) -> None:
    who = parse_contender(contender)
    known = [(size, summary["median"]) for size, summary in points if summary]
    axes.plot(
        [size for size, _ in known], [median for _, median in known], _MARKERS.get(who.store or "", "o"), linestyle="-",
        color=_COLOURS[who.tool], linewidth=1.2, label=who.title,
    )  # fmt: skip


def _draw_writer(groups: Groups, path: Path) -> bool:
    found = sorted((name for name in groups if name.startswith("writer_")), key=lambda name: int(name.split("_")[2]))
    loops = list(dict.fromkeys(name.split("_")[1] for name in found))
    if len(found) <= len(loops):
        return False
    figure, panels = plt.subplots(1, len(loops), sharey=True, squeeze=False, figsize=(9.6, 4.6), layout="constrained")
    for axes, loop in zip(panels.flat, loops, strict=True):
        rates = [int(name.split("_")[2]) for name in found if name.split("_")[1] == loop]
        contenders = sorted({each for rate in rates for each in groups[f"writer_{loop}_{rate}"]}, key=place_of)
        for contender in contenders:
            who = parse_contender(contender)
            summaries = [groups[f"writer_{loop}_{rate}"].get(contender, {}) for rate in rates]
            for name, style in (("median", ":"), ("p999", "-")):
                axes.plot(
                    rates,
                    [summary[name]["median"] if name in summary else float("nan") for summary in summaries],
                    _MARKERS.get(who.store or "", "."),
                    linestyle=style,
                    color=_HOMES[who.variant],
                    label=who.title if name == "p999" else None,
                )
        axes.set_title({"python": "a loop of pure Python", "torch": "a PyTorch loop"}[loop], loc="left", fontsize=11)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(rates, [f"{rate:,}" for rate in rates])
        axes.grid(color="#e9ecef")
        axes.set_xlabel("points a second")
        _label_times(axes, "y")
        axes.set_ylim(5e4, 2e8)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    title = "A step of 200 µs: its median (dotted) and 99.9th percentile (solid)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
    _save(figure, path)
    return True


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=130)
    plt.close(figure)
