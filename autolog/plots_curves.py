"""Drawing curves: ROC, precision and recall, calibration, learning and validation curves, metrics over steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from autolog.plots_style import (
    BESIDE,
    FAINT,
    LINE,
    caption,
    colour,
    floats,
    legend,
    prepare,
    share,
    unit_square,
    written,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autolog.plots_subjects import Shown

_SEVERAL: Final = 2
# More points than this are a line without marks.
_MARKED: Final = 40


def roc(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw true against false positives, with guessing as the diagonal and the areas in the legend."""
    prepare(axes, *_titles(shown), "False positive rate", "True positive rate")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    handles: list[Any] = []
    labels: list[str] = []
    for label, curve in _curves(shown):
        (line,) = axes.plot(
            floats(curve.false_positive_rate),
            floats(curve.true_positive_rate),
            color=colour(len(handles)),
            linewidth=LINE,
            solid_joinstyle="miter",
        )
        handles.append(line)
        labels.append(f"{label}  AUC {share(curve.auc)}")
    unit_square(axes)
    legend(axes, handles, labels, "lower right")


def precision_recall(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw precision against recall in steps, with what guessing has and the average precisions in the legend."""
    prepare(axes, *_titles(shown), "Recall", "Precision")
    handles: list[Any] = []
    labels: list[str] = []
    for label, curve in _curves(shown):
        shade = colour(len(handles))
        recall, precision = floats(curve.recall), floats(curve.precision)
        # Precision at a recall is that of the threshold which reaches it.
        (line,) = axes.step([0.0, *recall], [precision[0], *precision], where="pre", color=shade, linewidth=LINE)
        handles.append(line)
        labels.append(f"{label}  AP {share(curve.average_precision)}")
    guesses = {share(curve.positive_share): curve.positive_share for _, curve in _curves(shown)}
    for guess in guesses.values() if len(guesses) == 1 else ():
        if guess is not None:
            axes.axhline(guess, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    unit_square(axes)
    legend(axes, handles, labels, "lower left")


def calibration(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw the share that came true over the predicted probability; the larger a mark, the more rows it is of."""
    subtitle = _titles(shown)
    label = shown[0].figure.data.label
    of = "of the predicted class" if label is None else f"of {label}"
    prepare(axes, *subtitle, f"Predicted probability {of}", "Share that came true")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    handles: list[Any] = []
    labels: list[str] = []
    for each, name in zip(shown, _names(shown), strict=True):
        data = each.figure.data
        x, y = floats(data.predicted), floats(data.observed)
        shade = colour(len(handles))
        (line,) = axes.plot(x, y, color=shade, linewidth=1.2, alpha=0.6)
        most = max(data.count, default=0) or 1
        sizes = [16 + 130 * count / most for count in data.count]
        axes.scatter(x, y, s=sizes, color=shade, alpha=0.9, linewidths=0, clip_on=False, zorder=3)
        handles.append(line)
        labels.append(name)
    unit_square(axes)
    if len(shown) >= _SEVERAL:
        legend(axes, handles, labels, BESIDE)


def learning_curve(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw mean and spread of the folds' scores over the number of training rows."""
    scoring = shown[0].figure.data.scoring or "Score"
    prepare(axes, *_titles(shown), "Training rows", scoring)
    _draw_scores(axes, shown, [floats(each.figure.data.sizes) for each in shown])


def validation_curve(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw mean and spread of the folds' scores over the values of a param."""
    first = shown[0].figure.data
    prepare(axes, *_titles(shown), first.param, first.scoring or "Score")
    values = [each.figure.data.values for each in shown]
    if all(isinstance(value, (int, float)) for each in values for value in each):
        places = [floats(each) for each in values]
        if _spans_decades([x for each in places for x in each]):
            axes.set_xscale("log")
    else:
        known = list(dict.fromkeys(str(value) for each in values for value in each))
        places = [[float(known.index(str(value))) for value in each] for each in values]
        axes.set_xticks(range(len(known)), [written(value, 16) for value in known])
    _draw_scores(axes, shown, places)


def metric(axes: Axes, shown: Sequence[Shown]) -> None:
    """Draw the history of a metric over its steps, or over its points where the steps say nothing."""
    histories = [each.figure.data for each in shown]
    stepless = all(len(set(history.steps)) <= 1 for history in histories)
    prepare(axes, *_titles(shown), "Point" if stepless else "Step", histories[0].key)
    handles = []
    for index, history in enumerate(histories):
        x = list(range(len(history.values))) if stepless else list(history.steps)
        y = [value if math.isfinite(value) else math.nan for value in history.values]
        mark = "o" if len(y) <= _MARKED else ""
        (line,) = axes.plot(x, y, color=colour(index), linewidth=LINE, marker=mark, markersize=4)
        handles.append(line)
    if len(shown) >= _SEVERAL:
        legend(axes, handles, _names(shown))


def _draw_scores(axes: Axes, shown: Sequence[Shown], places: Sequence[Sequence[float]]) -> None:
    handles: list[Any] = []
    labels: list[str] = []
    names = _names(shown)
    for index, each in enumerate(shown):
        data = each.figure.data
        pairs = (("training", data.train_scores, (0, (4, 2))), ("validation", data.test_scores, "solid"))
        for number_, (part, scores, style) in enumerate(pairs):
            shade = colour(index if len(shown) >= _SEVERAL else 1 - number_)
            means, deviations = _sums(scores)
            (line,) = axes.plot(
                places[index], means, color=shade, linewidth=LINE, linestyle=style, marker="o", markersize=4
            )
            low = [mean - deviation for mean, deviation in zip(means, deviations, strict=True)]
            high = [mean + deviation for mean, deviation in zip(means, deviations, strict=True)]
            if len(shown) < _SEVERAL or part == "validation":
                axes.fill_between(places[index], low, high, color=shade, alpha=0.14, linewidth=0)
            handles.append(line)
            labels.append(f"{names[index]}, {part}" if len(shown) >= _SEVERAL else part.capitalize())
    legend(axes, handles, labels)


def _sums(scores: Sequence[Sequence[float | None]]) -> tuple[list[float], list[float]]:
    means, deviations = [], []
    for folds in scores:
        known = [score for score in floats(folds) if math.isfinite(score)]
        mean = sum(known) / len(known) if known else math.nan
        means.append(mean)
        deviations.append(math.sqrt(sum((score - mean) ** 2 for score in known) / len(known)) if known else math.nan)
    return means, deviations


def _spans_decades(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) >= 100  # noqa: PLR2004  two decades


def _curves(shown: Sequence[Shown]) -> list[tuple[str, Any]]:
    """Return every curve with what the legend calls it: of one figure its class, of several the run."""
    names = _names(shown)
    return [
        (name if len(shown) >= _SEVERAL else written(curve.label), curve)
        for name, each in zip(names, shown, strict=True)
        for curve in each.figure.data.curves
    ]


def _names(shown: Sequence[Shown]) -> list[str]:
    """Return what sets the figures apart: the run, the figure, or both."""
    runs, figures = {each.run for each in shown}, {each.figure.name for each in shown}
    if len(figures) == 1:
        return [written(each.run) for each in shown]
    if len(runs) == 1:
        return [written(each.figure.name) for each in shown]
    return [written(f"{each.run}, {each.figure.name}", 48) for each in shown]


def _titles(shown: Sequence[Shown]) -> tuple[str, str]:
    """Return title and subtitle: the run, or how many, and what is drawn."""
    runs = list(dict.fromkeys(each.run for each in shown))
    figures = list(dict.fromkeys(each.figure.name for each in shown))
    title = runs[0] if len(runs) == 1 else f"{len(shown)} runs"
    return title, caption(figures[0] if len(figures) == 1 else shown[0].figure.kind)
