"""Targets, predictions, probabilities and weights, whatever they came in, as arrays to compute metrics from."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from autolog.figures import written_name

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.intp]

_BINARY: Final = 2
_LABELS: Final = frozenset({str, int, float, bool, bytes, type(None)})


def encode_labels(actual: Array, guessed: Array, labels: Array) -> tuple[Codes, Codes, list[str]] | None:
    """Return both columns as indexes of labels, and the labels' names; labels that are not in ``labels`` come after."""
    arrays = (actual, guessed, labels)
    if all(array.dtype.kind in "biuf" for array in arrays):
        numeric = _places(actual, labels), _places(guessed, labels)
        if numeric[0] is not None and numeric[1] is not None:
            return numeric[0], numeric[1], [written_name(label) for label in labels.tolist()]
    lists = [array.tolist() for array in arrays]
    if not all(kind in _LABELS or issubclass(kind, np.generic) for values in lists for kind in set(map(type, values))):
        return None
    places: dict[Any, int] = {}
    for label in lists[2]:
        places.setdefault(label, len(places))
    if len(places) < len(labels):
        return None
    columns = []
    for values in lists[:2]:
        try:
            codes_of = [places[value] for value in values]
        except KeyError:
            codes_of = [places.setdefault(value, len(places)) for value in values]
        columns.append(np.array(codes_of, dtype=np.intp))
    return columns[0], columns[1], [written_name(label) for label in places]


def _places(values: Array, labels: Array) -> Codes | None:
    """Return the index in ``labels`` of each number; None where one is not there, or a label is there twice."""
    last = len(labels) - 1
    if last < 0 or not len(values):
        return None
    if labels.dtype.kind in "iu" and values.dtype.kind in "iu" and labels[0] == 0 and labels[last] == last:
        # Counted from 0, as most are.
        is_count = last == 0 or bool((labels[1:] - labels[:-1] == 1).all())
        if is_count and values.min() >= 0 and values.max() <= last:
            return values.astype(np.intp, copy=False)
    order = np.argsort(labels)
    ranked = labels[order]
    place = np.minimum(np.searchsorted(ranked, values), last)
    if not (ranked[place] == values).all() or not (ranked[1:] != ranked[:-1]).all():
        return None
    codes: Codes = order[place]
    return codes


def _array(values: Any) -> Array | None:
    try:
        return np.asarray(values)
    except ValueError:
        # Lists of different lengths, as several outputs have.
        return None


def as_column(values: Any) -> Array | None:
    """Return values of shape (n,) or (n, 1) as an array of shape (n,); None where they are of another."""
    array = _array(values)
    if array is not None and array.ndim == _BINARY and array.shape[1] == 1:
        array = array[:, 0]
    return array if array is not None and array.ndim == 1 else None


def as_numbers(values: Any) -> Array | None:
    """Return numbers as doubles of shape (n, outputs); None where they are not that, or not finite."""
    array = _array(values)
    if array is None or array.dtype.kind not in "biuf" or array.ndim not in {1, 2} or not array.size:
        return None
    numbers = array.astype(np.float64, copy=False)
    return numbers.reshape(len(numbers), -1) if np.isfinite(numbers).all() else None


def as_weights(values: Any) -> Array | None:
    """Return weights as doubles of shape (n,); None where there are none, or they are not that, or not finite."""
    if values is None:
        return None
    array = as_column(values)
    if array is None or array.dtype.kind not in "biuf":
        return None
    weights = array.astype(np.float64, copy=False)
    return weights if np.isfinite(weights).all() else None


def has_weight(weights: Array | None) -> bool:
    """Say whether weights, None for all alike, add up to something that can be divided by."""
    if weights is None:
        return True
    with np.errstate(over="ignore"):
        return 0 < float(weights.sum()) < np.inf


def as_scores(probabilities: Any, rows: int, size: int) -> Array | None:
    """Return probabilities as floats of shape (n, k); None where they are not that, or not finite."""
    if probabilities is None:
        return None
    scores = _array(probabilities)
    if scores is None or scores.dtype.kind not in "biuf":
        return None
    if scores.dtype.kind != "f" or scores.dtype.itemsize > np.dtype(np.float64).itemsize:
        scores = scores.astype(np.float64)
    if scores.ndim == 1:
        scores = scores[:, np.newaxis]
    if size == _BINARY and scores.ndim == _BINARY and scores.shape[1] == 1:
        scores = np.concatenate((1 - scores, scores), axis=1)
    return scores if scores.shape == (rows, size) and np.isfinite(scores).all() else None
