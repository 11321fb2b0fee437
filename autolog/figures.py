"""Figures as data: what a run keeps of a curve, a matrix or a ranking, to be drawn when somebody asks for it.

A figure is one small JSON document below ``figures/`` in the run's artifacts: its ``kind``, the ``version`` of that
kind, its ``name``, and its ``data``, whose fields are those of one of the classes of ``figure_kinds``.
Nothing here draws, and nothing here imports what draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from autolog.errors import StoreCorrupted
from autolog.figure_kinds import (
    KINDS,
    ConfusionMatrix,
    CrossValidation,
    FeatureImportance,
    LearningCurve,
    Number,
    PermutationImportance,
    Residuals,
    Search,
    ValidationCurve,
)

if TYPE_CHECKING:
    from autolog.run import ActiveRun

FOLDER: Final = "figures"
VERSION: Final = 1

MOST_CLASSES: Final = 100
"""A confusion matrix has so many rows; with more classes the rarest are counted together."""

MOST_ROWS: Final = 1_000
"""So many features, candidates or points a figure keeps."""

OTHERS: Final = "(others)"

# The bars of a histogram of residuals.
_BARS: Final = 40
# Characters of a label or a feature's name.
_LONGEST: Final = 200
# Beside the values themselves; forty bars could not be told apart in double precision in much less.
_NARROW: Final = 1e-9


class Figure(Struct, frozen=True, kw_only=True):
    """One figure: which kind it is, what it is called, and the numbers.

    Args:
        kind: a key of ``KINDS``.
        name: what its file is called, without the ending.
        data: an instance of the kind's class.
        version: of the kind; a reader refuses one that it does not know.
    """

    kind: str
    name: str
    data: Any
    version: int = VERSION


# -- making ------------------------------------------------------------------------------------------------------------


def confusion_matrix_figure(
    classes: Sequence[Any],
    actual: Any,
    predicted: Any,
    weights: Any = None,
    name: str = "confusion_matrix",
) -> Figure:
    """Count which class was taken for which.

    Args:
        classes: the labels, K of them.
        actual: shape (n,), integers: the index in ``classes`` of each row's class.
        predicted: shape (n,), the same of the prediction.
        weights: shape (n,), or None.
        name: of the figure.
    """
    labels = [written_name(label) for label in classes]
    if len(labels) > MOST_CLASSES:
        sizes = np.bincount(actual, weights, len(labels))
        kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_CLASSES - 1])
        place = np.full(len(labels), len(kept))
        place[kept] = np.arange(len(kept))
        actual, predicted = place[actual], place[predicted]
        labels = [*(labels[index] for index in kept.tolist()), OTHERS]
    size = len(labels)
    counts = np.bincount(actual * size + predicted, weights, size * size).reshape(size, size)
    return Figure(kind="confusion_matrix", name=name, data=ConfusionMatrix(labels, counts.tolist()))


def residuals_figure(targets: Any, predicted: Any, weights: Any = None, name: str = "residuals") -> Figure:
    """Make the figure of a regressor's residuals.

    Of more than 1,000 rows the 10 lowest and the 10 highest residuals are kept, and of the rest every so many.

    Args:
        targets: shape (n,), finite.
        predicted: shape (n,), finite.
        weights: shape (n,), or None; they count in the histogram.
        name: of the figure.
    """
    residuals = targets - predicted
    chosen: Any = slice(None)
    if len(residuals) > MOST_ROWS:
        extreme = MOST_ROWS // 100
        order = np.argpartition(residuals, (extreme, len(residuals) - extreme - 1))
        between = np.sort(order[extreme:-extreme])
        spaced = between[np.linspace(0, len(between) - 1, MOST_ROWS - 2 * extreme).astype(np.int64)]
        chosen = np.sort(np.concatenate((order[:extreme], spaced, order[-extreme:])))
    counts, edges = np.histogram(residuals, bins=_BARS, range=_span(residuals), weights=weights)
    data = Residuals(
        predicted[chosen].tolist(), residuals[chosen].tolist(), edges.tolist(), counts.tolist(), len(residuals)
    )
    return Figure(kind="residuals", name=name, data=data)


def feature_importance_figure(
    names: Sequence[Any],
    values: Any,
    type: str,  # noqa: A002  LightGBM's and XGBoost's word
    deviations: Any = None,
) -> Figure:
    """Make the figure of a model's own feature importances; the 1,000 greatest are kept.

    Args:
        names: of the features.
        values: shape (m,).
        type: what was measured: ``weight``, ``gain``, ``cover``, ``split``, ``impurity``, ``coefficient`` …
        deviations: shape (m,): of the values over the trees or classes, or None.
    """
    numbers = np.asarray(values, dtype=np.float64)
    order = _greatest(numbers)
    data = FeatureImportance(
        type,
        [written_name(names[index]) for index in order.tolist()],
        numbers[order].tolist(),
        len(numbers),
        None if deviations is None else np.asarray(deviations, dtype=np.float64)[order].tolist(),
    )
    return Figure(kind="feature_importance", name=f"feature_importance_{type}", data=data)


def permutation_importance_figure(
    names: Sequence[Any], importances: Any, scoring: str | None = None, name: str = "permutation_importance"
) -> Figure:
    """Make the figure of permutation importances; the 1,000 features with the greatest mean are kept.

    Args:
        names: of the features.
        importances: shape (m, repeats): by how much the score fell.
        scoring: the score's name.
        name: of the figure.
    """
    numbers = np.atleast_2d(np.asarray(importances, dtype=np.float64))
    means = numbers.mean(axis=1)
    order = _greatest(means)
    data = PermutationImportance(
        [written_name(names[index]) for index in order.tolist()],
        means[order].tolist(),
        numbers.std(axis=1)[order].tolist(),
        len(means),
        scoring,
    )
    return Figure(kind="permutation_importance", name=name, data=data)


def learning_curve_figure(
    sizes: Any, train_scores: Any, test_scores: Any, scoring: str | None = None, name: str = "learning_curve"
) -> Figure:
    """Make the figure of what ``sklearn.model_selection.learning_curve`` returns.

    Args:
        sizes: shape (s,): numbers of training rows.
        train_scores: shape (s, folds).
        test_scores: shape (s, folds).
        scoring: the score's name.
        name: of the figure.
    """
    data = LearningCurve(np.asarray(sizes).tolist(), _folds(train_scores), _folds(test_scores), scoring)
    return Figure(kind="learning_curve", name=name, data=data)


def validation_curve_figure(
    param: str,
    values: Sequence[Any],
    train_scores: Any,
    test_scores: Any,
    scoring: str | None = None,
    name: str = "validation_curve",
) -> Figure:
    """Make the figure of what ``sklearn.model_selection.validation_curve`` returns.

    Args:
        param: the name of the param that was varied.
        values: its values, v of them: numbers and texts; of anything else the class's name is kept.
        train_scores: shape (v, folds).
        test_scores: shape (v, folds).
        scoring: the score's name.
        name: of the figure.
    """
    data = ValidationCurve(
        param, [_plain(value) for value in values], _folds(train_scores), _folds(test_scores), scoring
    )
    return Figure(kind="validation_curve", name=name, data=data)


def cross_validation_figure(scores: Mapping[str, Any], name: str = "cross_validation") -> Figure:
    """Make the figure of the folds' scores.

    Args:
        scores: by the score's name: shape (folds,).
        name: of the figure.
    """
    data = CrossValidation({str(key): np.asarray(values, np.float64).tolist() for key, values in scores.items()})
    return Figure(kind="cross_validation", name=name, data=data)


def search_figure(
    params: Mapping[str, Sequence[Any]],
    means: Any,
    deviations: Any,
    scoring: str | None = None,
    name: str = "search_results",
) -> Figure:
    """Make the figure of a search; of more than 1,000 candidates the ones with the highest mean are kept.

    Args:
        params: by the param's name, without ``param_``: the value of each candidate; None where it has none.
        means: shape (c,): the mean test scores.
        deviations: shape (c,): their standard deviations over the folds.
        scoring: the score's name.
        name: of the figure.
    """
    scores = np.asarray(means, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")[:MOST_ROWS]
    order.sort()
    chosen = order.tolist()
    data = Search(
        {str(key): [_plain(values[index]) for index in chosen] for key, values in params.items()},
        scores[order].tolist(),
        np.asarray(deviations, dtype=np.float64)[order].tolist(),
        chosen,
        len(scores),
        scoring,
    )
    return Figure(kind="search", name=name, data=data)


# -- storing and reading -----------------------------------------------------------------------------------------------


def log_figures(run: ActiveRun, figures: Iterable[Figure]) -> None:
    """Log each figure as the artifact ``figures/<name>.json``."""
    for figure in figures:
        run.log_content(figure_path(figure.name), encode_figure(figure))


def figure_path(name: str) -> str:
    """Return where in a run's artifacts the figure of a name is; what cannot be part of a file's name becomes ``_``."""
    safe = "".join(character if character.isalnum() or character in "._-+ " else "_" for character in name)
    return f"{FOLDER}/{safe or '_'}.json"


def encode_figure(figure: Figure) -> bytes:
    """Return the JSON of a figure."""
    return _encode(figure)


def decode_figure(content: bytes) -> Figure:
    """Return the figure that some JSON describes.

    Raises:
        StoreCorrupted: it is not the JSON of a figure, or of a kind or version that this autolog does not know.
    """
    try:
        stored = _decode(content)
        known = KINDS.get(stored.kind)
        if known is None or stored.version != VERSION:
            raise StoreCorrupted(
                f"the figure {stored.name!r} is of the kind {stored.kind!r}, version {stored.version}, "
                "which this autolog does not know; a newer one may"
            )
        data = msgspec.json.decode(stored.data, type=known)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreCorrupted(f"the file is not that of a figure: {error}") from error
    return Figure(kind=stored.kind, name=stored.name, data=data, version=stored.version)


class _Stored(Struct):
    kind: str
    name: str
    data: msgspec.Raw
    version: int = VERSION


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Stored).decode


def _span(values: Any) -> tuple[float, float]:
    """Return what a histogram reaches over: of values that are all but the same, a little to both sides of them."""
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high))
    if high - low <= size * _NARROW:
        room = size * _NARROW or 1.0
        return low - room, high + room
    return low, high


def _greatest(values: Any) -> Any:
    """Return the indexes of the values that are kept, by size without sign, the greatest first and NaN last."""
    return np.argsort(-np.abs(values), kind="stable")[:MOST_ROWS]


def _folds(scores: Any) -> list[list[Number]]:
    rows: list[list[Number]] = np.atleast_2d(np.asarray(scores, dtype=np.float64)).tolist()
    return rows


def written_name(name: Any) -> str:
    """Return a name as a text that is not too long; of the user's own class that of the class."""
    plain = _plain(name)
    return (plain if isinstance(plain, str) else str(plain))[:_LONGEST]


def _plain(value: Any) -> float | str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in {int, float, str}:
        return value  # type: ignore[no-any-return]
    return str(value) if type(value) is bool else repr(value) if type(value) is bytes else type(value).__name__
