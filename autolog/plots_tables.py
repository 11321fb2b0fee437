"""Drawing matrices, bars and clouds: confusion matrices, importances, residuals, folds and candidates of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from autolog.plots_style import FAINT, INK, caption, colour, floats, prepare, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autolog.plots_subjects import Shown

MOST_BARS: Final = 30
"""So many features are drawn."""

# In a matrix of more classes the numbers would not be read.
_MOST_WRITTEN: Final = 30
# Up to here there is room for the percentage below the count.
_MOST_PERCENTAGES: Final = 12
# Up to here in large letters.
_MOST_LARGE: Final = 6
_DARK: Final = 0.55


def confusion_matrix(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw which class was taken for which: counts, and the share of the true class as colour and percentage."""
    data = shown[0].figure.data
    _title(axes, shown[0], "Predicted class", "True class")
    totals = [sum(row) for row in data.counts]
    shares = [
        [count / total if total else 0.0 for count in row] for row, total in zip(data.counts, totals, strict=True)
    ]
    size = len(data.classes)
    image = axes.imshow(shares or [[0.0]], cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    labels = [written(label, 18) for label in data.classes]
    longest = max(map(len, labels), default=0)
    every = max(1, math.ceil(size / 50))
    places = range(0, size, every)
    flat = longest * min(size, 50) <= 60  # noqa: PLR2004  characters that fit side by side
    axes.set_xticks(places, labels[::every], rotation=0 if flat else 60, ha="center" if flat else "right")
    axes.set_yticks(places, labels[::every])
    if not flat:
        for label in axes.get_xticklabels():
            label.set_rotation_mode("anchor")
    axes.tick_params(length=0, labelsize=9 if size <= _MOST_WRITTEN else 6.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if size <= _MOST_WRITTEN:
        for row in range(size):
            for column in range(size):
                _write_cell(axes, row, column, data.counts[row][column], shares[row][column], size)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8 if size <= _MOST_PERCENTAGES else 0.5, pad=0.02, aspect=24)
    bar.ax.yaxis.set_major_formatter(_percent)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    bar.set_label("Share of the true class", fontsize=9, color=INK)


def _write_cell(axes: Axes, row: int, column: int, count: float, share: float, size: int) -> None:
    if not count and size > _MOST_PERCENTAGES:
        return
    ink = "white" if share > _DARK else INK if count else FAINT
    text = _count(count)
    if size <= _MOST_PERCENTAGES and count:
        text += f"\n{100 * share:.1f} %" if share < 1 else "\n100 %"
    axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=10 if size <= _MOST_LARGE else 8)


def feature_importance(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw the features' importances as bars, the most important at the top."""
    data = shown[0].figure.data
    _title(axes, shown[0], f"Importance ({data.type})", "", _left_out(data.features_in_all))
    _bars(axes, data.features, data.values, data.deviations)


def permutation_importance(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw by how much the score falls without each feature, with its spread over the repeats."""
    data = shown[0].figure.data
    _title(axes, shown[0], f"Fall of {data.scoring or 'the score'}", "", _left_out(data.features_in_all))
    _bars(axes, data.features, data.means, data.deviations)


def residuals(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw residuals over predictions, and at the side their histogram."""
    data = shown[0].figure.data
    x, y = floats(data.predicted), floats(data.residual)
    part = f"{len(x):,} of {data.rows:,} rows drawn, all of them counted at the side" if len(x) < data.rows else ""
    _title(axes, shown[0], "Predicted", "Target minus prediction", part)
    axes.axhline(0, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    few = len(x) < 200  # noqa: PLR2004  where points hardly overlap
    axes.scatter(x, y, s=14 if few else 9, color=colour(0), alpha=0.75 if few else 0.45, linewidths=0)
    side = axes.inset_axes((1.02, 0.0, 0.18, 1.0), sharey=axes)
    heights = [high - low for low, high in zip(data.edges, data.edges[1:], strict=False)]
    side.barh(data.edges[:-1], data.counts, height=heights, align="edge", color=colour(0), alpha=0.75, linewidth=0)
    side.axis("off")


def cross_validation(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw the score of every fold, and their mean, for each kind of score."""
    scores = shown[0].figure.data.scores
    _title(axes, shown[0], "", "Score")
    for place, values in enumerate(scores.values()):
        known = [value for value in floats(values) if math.isfinite(value)]
        spread = [place + 0.25 * (index / max(len(known) - 1, 1) - 0.5) for index in range(len(known))]
        axes.scatter(spread, known, s=36, color=colour(place), alpha=0.85, linewidths=0)
        if known:
            mean = sum(known) / len(known)
            axes.hlines(mean, place - 0.3, place + 0.3, color=INK, linewidth=1.4)
            axes.annotate(f"{mean:.4g}", (place + 0.33, mean), fontsize=8.5, color=INK, va="center")
    names = [written(name, 24) for name in scores]
    axes.set_xticks(range(len(names)), names, rotation=0 if sum(map(len, names)) <= 60 else 20)  # noqa: PLR2004
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="x")


def search(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw every candidate's score with its spread: over the param that was varied, or in the order of trying."""
    data = shown[0].figure.data
    means, deviations = floats(data.means), floats(data.deviations)
    varied = {key: values for key, values in data.params.items() if len(set(map(str, values))) > 1}
    numeric = [key for key, values in varied.items() if all(isinstance(value, (int, float)) for value in values)]
    if len(varied) == 1 and numeric:
        x, label = floats(varied[numeric[0]]), numeric[0]
        if min(x) > 0 and max(x) / min(x) >= 100:  # noqa: PLR2004  two decades
            axes.set_xscale("log")
    else:
        x, label = [float(candidate) for candidate in data.candidates], "Candidate"
    known = [index for index, mean in enumerate(means) if math.isfinite(mean)]
    best = max(known, key=lambda index: means[index], default=None)
    found = ""
    if best is not None:
        found = f"best {means[best]:.4g}"
        found += "".join(f", {key.rpartition('__')[2]}={_short(values[best])}" for key, values in varied.items())
    _title(axes, shown[0], label, data.scoring or "Mean test score", found)
    axes.errorbar(
        x, means, yerr=deviations, fmt="o", markersize=4.5, color=colour(0), ecolor="#A9C9DE", elinewidth=1.2, zorder=2
    )
    if best is not None:
        axes.scatter([x[best]], [means[best]], s=60, color=colour(1), zorder=3)


def _bars(axes: Axes, features: Sequence[str], values: Sequence[Any], deviations: Sequence[Any] | None) -> None:
    shown = floats(values)[:MOST_BARS]
    places = range(len(shown))
    spread = None if deviations is None else _spread(shown, floats(deviations)[:MOST_BARS])
    axes.barh(
        places,
        shown,
        height=0.72,
        color=[colour(0) if value >= 0 else colour(1) for value in shown],
        xerr=spread,
        error_kw={"ecolor": INK, "elinewidth": 0.9, "alpha": 0.7},
    )
    axes.set_yticks(places, [written(name, 40) for name in features[:MOST_BARS]])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    if any(value < 0 for value in shown):
        axes.axvline(0, color=FAINT, linewidth=1)


def _spread(values: Sequence[float], deviations: Sequence[float]) -> list[list[float]]:
    """Return how far error bars reach down and up: not below zero where no value is."""
    floor = 0.0 if all(value >= 0 for value in values) else -math.inf
    return [[min(deviation, value - floor) for value, deviation in zip(values, deviations, strict=True)], [*deviations]]


def _title(axes: Axes, shown: Shown, x: str, y: str, more: str = "") -> None:
    subtitle = caption(shown.figure.name)
    prepare(axes, shown.run, f"{subtitle}, {more}" if more else subtitle, x, y)


def _left_out(features: int) -> str:
    return f"the first {MOST_BARS} of {features:,} features" if features > MOST_BARS else ""


def _count(count: float) -> str:
    return f"{count:,.0f}" if count == int(count) else f"{count:,.1f}"


def _percent(share: float, _: Any = None) -> str:
    return f"{100 * share:.0f} %"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
