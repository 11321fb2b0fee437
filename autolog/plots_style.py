"""How drawings look: colours, titles, axes, legends, and how names and numbers are written in them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with any colour vision can tell apart, without their yellow; then some more.
COLOURS: Final = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D4A9C", "#8C564B", "#7F7F7F", "#1B3A57"),
    *("#4B6A00", "#B03060", "#17A589", "#C0A16B", "#A569BD", "#2E8B57", "#FF7F50", "#6C7A89", "#9ACD32", "#000000"),
)
INK: Final = "#222222"
FAINT: Final = "#8A8A8A"
GRID: Final = "#E6E6E6"

LINE: Final = 1.7

_MOST_CHARACTERS: Final = 32
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MOST_IN_LEGEND: Final = 10
BESIDE: Final = "beside"


def written(text: str, limit: int = _MOST_CHARACTERS) -> str:
    """Return a name as it can be drawn: on one line, cut in its middle, and never taken for a formula."""
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))
    if len(line) > limit:
        half = (limit - 1) // 2
        line = f"{line[: limit - 1 - half]}…{line[-half:]}"
    # A legend leaves out what begins with an underscore.
    return ("\N{HAIR SPACE}" + line if line.startswith("_") else line).replace("$", r"\$")


def share(value: float | None) -> str:
    """Return a number from 0 to 1 with three digits, which are 1.000 only where it is 1."""
    if value is None or not math.isfinite(value):
        return "unknown"
    return "> 0.999" if 0.9995 <= value < 1 else f"{value:.3f}"  # noqa: PLR2004  what would be rounded to 1


def caption(name: str) -> str:
    """Return a figure's name as a person writes it."""
    words = name.replace("_", " ").replace("precision recall", "precision-recall")
    return " ".join("ROC" if word == "roc" else word for word in words.split(" "))


def floats(values: Iterable[float | None]) -> list[float]:
    """Return numbers with NaN for what is null, which leaves a gap in a line."""
    return [math.nan if value is None else float(value) for value in values]


def colour(index: int) -> str:
    """Return a colour; they begin anew after twenty."""
    return COLOURS[index % len(COLOURS)]


def prepare(axes: Axes, title: str, subtitle: str, x: str, y: str) -> None:
    """Give axes their titles and labels, and leave only what helps reading."""
    axes.set_title(written(title, 60), loc="left", fontsize=12, fontweight="bold", color=INK, pad=22)
    axes.annotate(
        written(subtitle, 90),
        (0, 1),
        xytext=(0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
        color=FAINT,
        va="bottom",
    )
    axes.set_xlabel(written(x, 60), fontsize=10, color=INK)
    axes.set_ylabel(written(y, 60), fontsize=10, color=INK)
    axes.tick_params(labelsize=9, colors=INK, length=3)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)


def unit_square(axes: Axes) -> None:
    """Show both axes from 0 to 1, with room for a line on the edge."""
    axes.set_xlim(-0.015, 1.015)
    axes.set_ylim(-0.015, 1.015)
    axes.set_aspect("equal")


def legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str], place: Any = "best") -> None:
    """Put a legend into the axes, or beside them where it is long."""
    if not handles:
        return
    if len(handles) > MOST_IN_LEGEND or place == BESIDE:
        axes.legend(handles, labels, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return
    shown = axes.legend(handles, labels, fontsize=8.5, loc=place, framealpha=0.9, edgecolor=GRID)
    shown.set_zorder(5)
