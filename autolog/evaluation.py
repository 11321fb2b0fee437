"""Metrics and figures of a classifier or regressor from its predictions, under MLflow's names, with NumPy alone.

Each number is what the function of ``sklearn.metrics`` gives that MLflow calls, to rounding. They are computed here
because together they share one count of the classes and one sort for each class, which those functions repeat.
Where scikit-learn would raise, warn that a number is undefined, or return NaN, the number is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from autolog.curves import (
    LEAST_POINTS,
    MOST_POINTS,
    Ranking,
    calibration_points,
    precision_recall_points,
    rank,
    roc_points,
)
from autolog.figure_kinds import Calibration, PrecisionRecall, PrecisionRecallCurve, Roc, RocCurve
from autolog.figures import Figure, confusion_matrix_figure, residuals_figure
from autolog.metric_arrays import (
    Array,
    Codes,
    as_column,
    as_numbers,
    as_scores,
    as_weights,
    encode_labels,
    has_weight,
)

MOST_CURVES: Final = 20
"""Of a problem with more classes, no curves are kept."""

MOST_RANKED: Final = 2_000_000
"""With more probabilities than this, the area under the ROC curve of more than two classes is not computed."""

_BINARY: Final = 2


@dataclass(frozen=True)
class Evaluation:
    """What was computed: metrics by name, and figures."""

    metrics: dict[str, float] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)


def evaluate_classifier(
    targets: Any,
    predicted: Any,
    classes: Sequence[Any] | Array,
    probabilities: Any = None,
    weights: Any = None,
    prefix: str = "training_",
    *,
    figures: bool = True,
) -> Evaluation:
    """Compute a classifier's metrics and figures.

    Precision, recall and F1 are the classes' means weighted by their support; the area under the ROC curve is, of more
    than two classes, that of each against each, weighted by their prevalence (Hand and Till, 2001), which scikit-learn
    defines without weights of rows only.

    Args:
        targets: shape (n,) or (n, 1): the labels: numbers, texts or truth values; labels that are not in ``classes``
            count as classes of their own, and then nothing is computed from the probabilities.
        predicted: shape (n,) or (n, 1).
        classes: shape (k,): the labels in the order of the columns of ``probabilities``.
        probabilities: shape (n, k), or of two classes (n,): the second one's probability; or None.
        weights: shape (n,), or None.
        prefix: what the names begin with.
        figures: whether to make figures too.

    Returns:
        Nothing for several outputs, for labels of other types, and without rows of any weight.
    """
    actual, guessed, labels = as_column(targets), as_column(predicted), as_column(classes)
    weighting = as_weights(weights)
    if actual is None or guessed is None or labels is None or len(actual) != len(guessed):
        return Evaluation()
    if weights is not None and (weighting is None or len(weighting) != len(actual)):
        return Evaluation()
    encoded = encode_labels(actual, guessed, labels)
    if encoded is None or not len(actual):
        return Evaluation()
    actual_codes, guessed_codes, names = encoded
    scores = as_scores(probabilities, len(actual), len(labels))
    if weighting is not None and not weighting.all():
        # As scikit-learn does for its curves: rows without weight are none.
        held = weighting != 0
        actual_codes, guessed_codes, weighting = actual_codes[held], guessed_codes[held], weighting[held]
        scores = scores[held] if scores is not None else None
    if not len(actual_codes) or not has_weight(weighting):
        return Evaluation()
    found = Evaluation()
    with np.errstate(all="ignore"):
        _add_counts(found, actual_codes, guessed_codes, len(names), weighting, prefix)
        if figures:
            found.figures.append(
                confusion_matrix_figure(names, actual_codes, guessed_codes, weighting, f"{prefix}confusion_matrix")
            )
        if scores is not None and actual_codes.max() < len(labels):
            _add_log_loss(found, actual_codes, scores, weighting, prefix)
            if weighting is None or weighting.min() > 0:
                _add_curves(found, actual_codes, scores, names, weighting, prefix, figures=figures)
                if figures:
                    _add_calibration(found, actual_codes, scores, names, weighting, prefix)
    return found


def evaluate_regressor(
    targets: Any, predicted: Any, weights: Any = None, prefix: str = "training_", *, figures: bool = True
) -> Evaluation:
    """Compute a regressor's metrics, and of one output the figure of its residuals.

    Of several outputs the metrics are the mean over the outputs, as scikit-learn's are by default.

    Args:
        targets: shape (n,) or (n, outputs).
        predicted: the same shape.
        weights: shape (n,), or None.
        prefix: what the names begin with.
        figures: whether to make the figure too.

    Returns:
        Nothing where something is not finite, or without rows of any weight.
    """
    actual, guessed = as_numbers(targets), as_numbers(predicted)
    weighting = as_weights(weights)
    if actual is None or guessed is None or actual.shape != guessed.shape or not actual.size:
        return Evaluation()
    if weights is not None and (weighting is None or len(weighting) != len(actual) or not has_weight(weighting)):
        return Evaluation()
    found = Evaluation()
    with np.errstate(all="ignore"):
        errors = actual - guessed
        squares = errors * errors
        mean_squares = np.average(squares, axis=0, weights=weighting)
        metrics = {
            "mean_squared_error": mean_squares.mean(),
            "mean_absolute_error": np.average(np.abs(errors), axis=0, weights=weighting).mean(),
            "root_mean_squared_error": np.sqrt(mean_squares).mean(),
        }
        if len(actual) > 1:
            metrics["r2_score"] = metrics["score"] = _r2(actual, squares, weighting)
    found.metrics.update({f"{prefix}{name}": float(value) for name, value in metrics.items() if np.isfinite(value)})
    if figures and actual.shape[1] == 1 and np.isfinite(np.abs(errors).max() * 2):
        found.figures.append(residuals_figure(actual[:, 0], guessed[:, 0], weighting, f"{prefix}residuals"))
    return found


# -- classifiers -------------------------------------------------------------------------------------------------------


def _add_counts(
    found: Evaluation, actual: Codes, guessed: Codes, size: int, weights: Array | None, prefix: str
) -> None:
    right = actual == guessed
    support = np.bincount(actual, weights, size)
    chosen = np.bincount(guessed, weights, size)
    hits = np.bincount(actual[right], None if weights is None else weights[right], size)
    total = support.sum()
    metrics = {
        "precision_score": np.dot(_ratio(hits, chosen), support) / total,
        "recall_score": np.dot(_ratio(hits, support), support) / total,
        "f1_score": np.dot(_ratio(2 * hits, support + chosen), support) / total,
        "accuracy_score": hits.sum() / total,
    }
    metrics["score"] = metrics["accuracy_score"]
    found.metrics.update({f"{prefix}{name}": float(value) for name, value in metrics.items() if np.isfinite(value)})


def _ratio(parts: Array, wholes: Array) -> Array:
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes != 0)


def _add_log_loss(found: Evaluation, actual: Codes, scores: Array, weights: Array | None, prefix: str) -> None:
    if scores.shape[1] < _BINARY or scores.min() < 0 or scores.max() > 1:
        return
    # Clipped as scikit-learn does, by what the type can tell from 1; added up in double precision.
    epsilon = np.finfo(scores.dtype).eps
    likelihood = scores[np.arange(len(actual)), actual].clip(epsilon, 1 - epsilon).astype(np.float64)
    found.metrics[f"{prefix}log_loss"] = float(np.average(-np.log(likelihood), weights=weights))


def _add_curves(
    found: Evaluation,
    actual: Codes,
    scores: Array,
    names: Sequence[str],
    weights: Array | None,
    prefix: str,
    *,
    figures: bool,
) -> None:
    size = scores.shape[1]
    support = np.bincount(actual, minlength=size)
    present = np.flatnonzero(support)
    if len(present) < _BINARY:
        return
    figures = figures and size <= MOST_CURVES
    if size == _BINARY:
        ranking = rank(scores[:, 1], actual == 1, weights)
        if ranking.auc is not None:
            found.metrics[f"{prefix}roc_auc"] = ranking.auc
        rankings = [(names[1], ranking)]
    else:
        is_ranked = weights is None and scores.size <= MOST_RANKED and _sums_to_one(scores)
        if not is_ranked and not figures:
            return
        above = np.zeros((size, size))
        rankings = []
        for index in present.tolist():
            ranking = rank(scores[:, index], actual == index, weights)
            if is_ranked:
                above[index] = _positives_above(ranking, actual, size)
            if figures:
                rankings.append((names[index], ranking))
        if is_ranked:
            found.metrics[f"{prefix}roc_auc"] = _one_against_one(above, support, present)
    if figures:
        most = max(MOST_POINTS // len(rankings), LEAST_POINTS)
        found.figures.append(_roc(rankings, most, f"{prefix}roc_curve"))
        found.figures.append(_precision_recall(rankings, most, f"{prefix}precision_recall_curve"))


def _positives_above(ranking: Ranking, actual: Codes, size: int) -> Array:
    """Return for each class the sum over its rows of the positives that have a higher score, and half of those tied."""
    tps = ranking.true_positives
    higher = tps.copy()
    higher[1:] += tps[:-1]
    sizes = np.diff(ranking.last, prepend=-1)
    return np.bincount(actual[ranking.order], np.repeat(higher / 2, sizes), size)


def _one_against_one(above: Array, support: Array, present: Codes) -> float:
    """Return the mean area under the ROC curves of all pairs of classes, each way, weighted by the pair's prevalence.

    D. J. Hand and R. J. Till, A Simple Generalisation of the Area Under the ROC Curve for Multiple Class
    Classification Problems, Machine Learning 45 (2001), with scikit-learn's weights.
    """
    counts = support[present].astype(np.float64)
    areas = above[np.ix_(present, present)] / np.outer(counts, counts)
    one, other = np.triu_indices(len(present), 1)
    return float(np.average((areas[one, other] + areas[other, one]) / 2, weights=counts[one] + counts[other]))


def _roc(rankings: Sequence[tuple[str, Ranking]], most: int, name: str) -> Figure:
    curves = [RocCurve(label, *roc_points(ranking, most), ranking.auc) for label, ranking in rankings]
    return Figure(kind="roc", name=name, data=Roc(curves))


def _precision_recall(rankings: Sequence[tuple[str, Ranking]], most: int, name: str) -> Figure:
    curves = [
        PrecisionRecallCurve(
            label,
            *precision_recall_points(ranking, most),
            ranking.average_precision,
            ranking.positives / (ranking.positives + ranking.negatives),
        )
        for label, ranking in rankings
    ]
    return Figure(kind="precision_recall", name=name, data=PrecisionRecall(curves))


def _add_calibration(
    found: Evaluation, actual: Codes, scores: Array, names: Sequence[str], weights: Array | None, prefix: str
) -> None:
    if scores.shape[1] < _BINARY or scores.min() < 0 or scores.max() > 1:
        return
    if scores.shape[1] == _BINARY:
        label: str | None = names[1]
        points = calibration_points(scores[:, 1], actual == 1, weights)
    else:
        label = None
        choice = scores.argmax(axis=1)
        points = calibration_points(scores[np.arange(len(actual)), choice], actual == choice, weights)
    found.figures.append(
        Figure(kind="calibration", name=f"{prefix}calibration_curve", data=Calibration(label, *points))
    )


def _sums_to_one(scores: Array) -> bool:
    # numpy.allclose, as scikit-learn calls it, without its cost.
    return bool((np.abs(1 - scores.sum(axis=1)) <= 1e-8 + 1e-5 * np.abs(scores.sum(axis=1))).all())


def _r2(actual: Array, squares: Array, weights: Array | None) -> Any:
    """Return the mean of the outputs' coefficients of determination, where a constant target gives 1 or 0."""
    centred = actual - np.average(actual, axis=0, weights=weights)
    column = 1.0 if weights is None else weights[:, np.newaxis]
    unexplained = (column * squares).sum(axis=0)
    variation = (column * (centred * centred)).sum(axis=0)
    fallback = np.where(unexplained == 0, 1.0, 0.0)
    fraction = np.divide(unexplained, variation, out=np.ones_like(variation), where=variation != 0)
    return np.where((variation != 0) & (unexplained != 0), 1 - fraction, fallback).mean()
