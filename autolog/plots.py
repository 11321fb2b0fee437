"""Drawing figures, when somebody asks for it: the only modules that import matplotlib are this one and its kind.

Nothing here touches matplotlib's global state: no pyplot, no setting is changed, and what is drawn is closed
with the objects that hold it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autolog.errors import InvalidParameter, MissingDependency, StoreCorrupted
from autolog.figures import Figure
from autolog.plots_style import MOST_IN_LEGEND
from autolog.plots_subjects import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES: Final = (".png", ".svg", ".pdf")

MOST_PANELS: Final = 9
"""So many drawings one file holds side by side."""

# Drawn into one pair of axes: curves of several runs, or of several figures of one.
_TOGETHER: Final = frozenset({"roc", "precision_recall", "calibration", "learning_curve", "validation_curve", "metric"})

_WIDTH: Final = 6.4
_HEIGHT: Final = 4.8
_DOTS_PER_INCH: Final = 150


def draw(shown: Sequence[Shown], target: Path) -> None:
    """Draw figures of one kind into a file: curves together where that can be read, anything else side by side.

    Args:
        shown: at least one figure; all of one kind.
        target: the file, ending in ``.png``, ``.svg`` or ``.pdf``.

    Raises:
        InvalidParameter: the file's name ends in something else, or there are too many figures.
        MissingDependency: matplotlib is not installed.
        StoreCorrupted: a figure's data do not fit together.
        OSError: the file cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidParameter(f"{str(target)!r} ends in no format that can be drawn: {', '.join(SUFFIXES)}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ModuleNotFoundError as error:
        raise MissingDependency("the package 'matplotlib' is needed to draw: pip install autolog-ml[plot]") from error
    panels = _arrange(shown)
    if len(panels) > MOST_PANELS:
        raise InvalidParameter(f"{len(panels)} figures are too many for one file; name fewer runs, or one figure")
    columns = math.ceil(math.sqrt(len(panels)))
    rows = math.ceil(len(panels) / columns)
    sizes = [_size(panel) for panel in panels]
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, compress=True)
    canvas = Canvas(figsize=(width * columns, height * rows), dpi=_DOTS_PER_INCH, layout=layout)
    FigureCanvasAgg(canvas)
    with warnings.catch_warnings():
        # A name may have letters that the font lacks: they are boxes then.
        warnings.simplefilter("ignore")
        for index, panel in enumerate(panels):
            axes = canvas.add_subplot(rows, columns, index + 1)
            _paint(axes, panel)
        # Without a date in it the file is the same each time.
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
        canvas.savefig(target, format=suffix[1:], metadata=metadata, facecolor="white")


def _paint(axes: Axes, panel: Sequence[Shown]) -> None:
    try:
        _painters()[panel[0].figure.kind](axes, panel)
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        # Columns of different lengths, say, in a file that another hand has changed.
        raise StoreCorrupted(f"the figure {panel[0].figure.name!r} cannot be drawn from its data: {error}") from error


Painter = Callable[["Axes", Sequence[Shown]], None]


def _painters() -> Mapping[str, Painter]:
    from autolog import plots_curves, plots_tables

    return {
        "confusion_matrix": plots_tables.confusion_matrix,
        "roc": plots_curves.roc,
        "precision_recall": plots_curves.precision_recall,
        "calibration": plots_curves.calibration,
        "residuals": plots_tables.residuals,
        "feature_importance": plots_tables.feature_importance,
        "permutation_importance": plots_tables.permutation_importance,
        "learning_curve": plots_curves.learning_curve,
        "validation_curve": plots_curves.validation_curve,
        "cross_validation": plots_tables.cross_validation,
        "search": plots_tables.search,
        "metric": plots_curves.metric,
    }


def _arrange(shown: Sequence[Shown]) -> list[list[Shown]]:
    """Return what is drawn into each pair of axes."""
    figures = [each.figure for each in shown]
    together = figures[0].kind in _TOGETHER and all(_is_single(figure) for figure in figures)
    if figures[0].kind == "validation_curve":
        together = together and len({figure.data.param for figure in figures}) == 1
    return [list(shown)] if together else [[each] for each in shown]


def _is_single(figure: Figure) -> bool:
    return len(getattr(figure.data, "curves", ())) <= 1


def _size(panel: Sequence[Shown]) -> tuple[float, float]:
    """Return width and height in inches: matrices and rankings grow with what is in them."""
    figure = panel[0].figure
    data: Any = figure.data
    if figure.kind == "confusion_matrix":
        side = min(max(4.6, 2.4 + 0.36 * len(data.classes)), 13.0)
        return side + 1.0, side
    if figure.kind in {"feature_importance", "permutation_importance"}:
        from autolog.plots_tables import MOST_BARS

        return _WIDTH + 0.6, max(2.4, 1.2 + 0.24 * min(len(data.features), MOST_BARS))
    if figure.kind in {"roc", "precision_recall", "calibration"}:
        # Square, and wider for a legend at the side.
        lines = max(len(getattr(data, "curves", ())), len(panel))
        beside = lines > MOST_IN_LEGEND or (figure.kind == "calibration" and lines > 1)
        return _HEIGHT + (2.1 if beside else 0.1), _HEIGHT + 0.3
    return _WIDTH, _HEIGHT
