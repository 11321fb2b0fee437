"""Curves of ranked predictions, and how they are thinned: ROC, precision against recall, calibration.

The rule of thinning: points on a straight line between their neighbours go first, which loses nothing.
Where more than 1,000 are left (fewer for each where a figure has several curves), the curve is divided into pieces of
equal length, and each keeps the point it begins with and the one that is farthest from its chord.
So the curve is kept where it turns, and no point that is left out is farther from one that stays than a piece is long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Union

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Column = list[Union[float, None]]

MOST_POINTS: Final = 1_000
"""So many points the curves of a figure have together; but each may have ``LEAST_POINTS``."""

LEAST_POINTS: Final = 200

BINS: Final = 10

# Digits after the point of rates and thresholds: finer than a screen shows.
_DIGITS: Final = 6


@dataclass(frozen=True)
class Ranking:
    """How many positives and negatives lie at or above each distinct score, from the highest score to the lowest.

    ``order`` sorts the rows so; ``last`` is the place in that order of the last row of each distinct score.
    """

    order: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]
    scores: Floats
    true_positives: Floats
    false_positives: Floats

    @property
    def positives(self) -> float:
        """All positives, or their weight."""
        return float(self.true_positives[-1])

    @property
    def negatives(self) -> float:
        """All negatives, or their weight."""
        return float(self.false_positives[-1])

    @property
    def auc(self) -> float | None:
        """The area under the ROC curve by the trapezoidal rule; None where one of the classes is missing."""
        area = self.positives * self.negatives
        if not area > 0:
            return None
        tps, fps = self.true_positives, self.false_positives
        # Twice the area: the first trapezoid begins at (0, 0).
        twice = fps[0] * tps[0] + np.dot(fps[1:] - fps[:-1], tps[1:] + tps[:-1])
        return float(twice) / (2 * area)

    @property
    def average_precision(self) -> float | None:
        """The mean of the precisions at each threshold, weighted by the gain in recall."""
        if not self.positives > 0:
            return None
        tps = self.true_positives
        gains = np.empty_like(tps)
        gains[0] = tps[0]
        np.subtract(tps[1:], tps[:-1], out=gains[1:])
        return max(0.0, float(np.dot(gains, _precision(tps, self.false_positives)))) / self.positives


def rank(scores: Floats, positive: npt.NDArray[np.bool_], weights: Floats | None = None) -> Ranking:
    """Sort rows by their score once.

    Args:
        scores: shape (n,), n > 0, without NaN.
        positive: shape (n,).
        weights: shape (n,), not negative, or None.
    """
    order = np.argsort(scores)[::-1]
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    truth = positive[order]
    if weights is None:
        true_positives = np.cumsum(truth, dtype=np.float64)[last]
        false_positives = last + 1 - true_positives
    else:
        sorted_weights = weights[order]
        true_positives = np.cumsum(np.where(truth, sorted_weights, 0.0))[last]
        false_positives = np.cumsum(np.where(truth, 0.0, sorted_weights))[last]
    return Ranking(order, last, ranked[last], true_positives, false_positives)


def roc_points(ranking: Ranking, most: int = MOST_POINTS) -> tuple[Column, Column, Column]:
    """Return false positive rate, true positive rate and threshold of a thinned ROC curve, from (0, 0) to (1, 1)."""
    tps, fps = ranking.true_positives, ranking.false_positives
    x = np.empty(len(fps) + 1)
    y = np.empty(len(fps) + 1)
    x[0] = y[0] = 0.0
    np.divide(fps, ranking.negatives, out=x[1:])
    np.divide(tps, ranking.positives, out=y[1:])
    kept = _corners(np.append(0.0, fps), np.append(0.0, tps))
    kept = kept[_thin(x[kept], y[kept], most)]
    thresholds = _rounded(ranking.scores[kept[1:] - 1])
    return _rounded(x[kept]), _rounded(y[kept]), [None, *thresholds]


def precision_recall_points(ranking: Ranking, most: int = MOST_POINTS) -> tuple[Column, Column, Column]:
    """Return recall, precision and threshold of a thinned precision-recall curve, from the highest threshold."""
    tps, fps = ranking.true_positives, ranking.false_positives
    x = tps / ranking.positives
    y = _precision(tps, fps)
    # Between two thresholds that add no positive the curve is a vertical line.
    changes = tps[1:] != tps[:-1]
    turns = np.ones(len(tps), dtype=np.bool_)
    turns[1:-1] = changes[:-1] | changes[1:]
    kept = np.flatnonzero(turns)
    kept = kept[_thin(x[kept], y[kept], most)]
    thresholds = _rounded(ranking.scores[kept])
    return _rounded(x[kept]), _rounded(y[kept]), thresholds


def calibration_points(
    probabilities: Floats, came_true: npt.NDArray[np.bool_], weights: Floats | None = None
) -> tuple[Column, Column, list[float]]:
    """Return mean probability, share that came true, and count (or weight) of every bin that holds something.

    The ten bins are of equal width and hold their upper edge, as those of ``sklearn.calibration.calibration_curve`` do.

    Args:
        probabilities: shape (n,), from 0 to 1.
        came_true: shape (n,).
        weights: shape (n,), or None.
    """
    bins = np.searchsorted(_INNER_EDGES, probabilities)
    counts = np.bincount(bins, weights, BINS)
    shares = probabilities if weights is None else probabilities * weights
    hits = came_true if weights is None else came_true * weights
    held = counts > 0
    kept = counts[held]
    predicted = np.bincount(bins, shares, BINS)[held] / kept
    observed = np.bincount(bins, hits, BINS)[held] / kept
    return _rounded(predicted), _rounded(observed), kept.tolist()


_INNER_EDGES: Final = np.linspace(0.0, 1.0, BINS + 1)[1:-1]


def _precision(true_positives: Floats, false_positives: Floats) -> Floats:
    predicted = true_positives + false_positives
    precision: Floats = np.divide(true_positives, predicted, out=np.zeros_like(predicted), where=predicted > 0)
    return precision


def _corners(x: Floats, y: Floats) -> npt.NDArray[np.intp]:
    """Return the indexes of the points at which a curve turns, its ends among them."""
    moves = np.ones(len(x), dtype=np.bool_)
    moves[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    points = np.flatnonzero(moves)
    across, up = np.diff(x[points]), np.diff(y[points])
    turns = np.ones(len(points), dtype=np.bool_)
    turns[1:-1] = across[:-1] * up[1:] != across[1:] * up[:-1]
    corners: npt.NDArray[np.intp] = points[turns]
    return corners


def _thin(x: Floats, y: Floats, most: int) -> Any:
    """Return the indexes of at most so many points of a curve, by the rule above."""
    count = len(x)
    if count <= most:
        return slice(None)
    lengths = np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))
    pieces = most // 2 - 1
    ends = np.searchsorted(lengths, np.linspace(0.0, lengths[-1], pieces + 1)[1:-1], side="right") + 1
    starts = np.unique(np.append(0, ends[ends < count - 1]))
    stops = np.append(starts[1:], count - 1)
    sizes = np.diff(np.append(starts, count))
    piece = np.repeat(np.arange(len(starts)), sizes)
    across, up = (x[stops] - x[starts])[piece], (y[stops] - y[starts])[piece]
    distances = np.abs(across * (y - y[starts][piece]) - up * (x - x[starts][piece]))
    farthest = np.flatnonzero(distances == np.maximum.reduceat(distances, starts)[piece])
    _, first = np.unique(piece[farthest], return_index=True)
    return np.unique(np.concatenate((starts, farthest[first], [count - 1])))


def _rounded(values: Floats) -> Column:
    numbers: Column = np.round(np.asarray(values, dtype=np.float64), _DIGITS).tolist()
    return numbers
