"""Who predicted what: which run's model an array of predictions comes from, also where it was cut or derived.

A prediction is known again, in this order,

1. by identity, or by the memory that it shares with what the model returned: views and slices such as ``proba[:, 1]``,
   and pandas objects around the same memory;
2. as an attribute of a recorded model, such as a clusterer's ``labels_``;
3. by content, where it has as many rows: copies in another container or dtype, one column, and labels made of it,
   that is the largest column, or what is over 0.5 or over 0, under any names for the classes.

The content is compared in rows evenly spread over the prediction, all of them where it is small.
Whoever has the very predictions of a model has its metrics too, so that among several runs the latest is taken;
where only a part of the rows was compared, and several runs agree in it, none is.

Neither predictions nor data are kept alive. What is kept are rows of the latest predictions, 64 KiB of each.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from autolog.arrays import library, owner_of
from autolog.attribution import attributed_models, run_of_model
from autolog.callers import name_in, users_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autolog.run import ActiveRun

# How many predictions are known by their content, and what is kept of each.
REMEMBERED: Final = 32
_ROWS_KEPT: Final = 4096
_BYTES_KEPT: Final = 64 << 10
_OBJECTS_KEPT: Final = 512
# Fewer rows than this are alike by chance.
_LEAST_ROWS: Final = 8
_LEAST_SAMPLED: Final = 256
# Labels under other names are the same division into classes; so many rows for each class make that no accident.
_ROWS_PER_CLASS: Final = 10
_MOST_OUTPUTS: Final = 64
_MODELS_SEARCHED: Final = 64
_EVEN_ODDS: Final = 0.5
_DOUBLE: Final = 8

_NUMBERS: Final = "biuf"
_TEXTS: Final = "UO"
_SCALARS: Final = frozenset({int, float, str, bool})
_LABELS_OF_MODELS: Final = ("labels_", "row_labels_", "oob_prediction_", "oob_decision_function_")


class EvaluatedData:
    """Data that something was predicted or scored for: its name in the user's code, and a weak reference to it."""

    __slots__ = ("_reference", "key", "name")

    def __init__(self, data: Any, name: str | None) -> None:
        self.name: Final = name
        self.key: Final = id(data)
        self._reference: weakref.ref[Any] | None = None
        with suppress(TypeError):  # a list, say
            self._reference = weakref.ref(data)

    def get(self) -> Any:
        """Return the data; None where they are gone, or cannot be referred to weakly."""
        return None if self._reference is None else self._reference()

    def is_same(self, other: EvaluatedData) -> bool:
        """Say whether it is the same object, as far as that can be told of two that may be gone."""
        return self.key == other.key and self.get() is other.get()


@dataclass(eq=False)
class Prediction:
    """A prediction that a recorded model has made."""

    run: ActiveRun
    data: EvaluatedData
    rows: int = 0
    step: int = 1
    sample: NDArray[Any] | None = None
    # Digests of the sample, and of what is commonly made of it: found when they are first asked for,
    # for comparison with single precision, which all of them are then brought to, and with anything else.
    forms: dict[bool, frozenset[str]] = field(default_factory=dict, repr=False)


_turns: Final = [threading.RLock()]
# By the ids of the objects that own the memory; an entry goes with its object.
_owners: Final[dict[int, tuple[weakref.ref[Any], Prediction]]] = {}
_recent: Final[deque[Prediction]] = deque(maxlen=REMEMBERED)


def note_predictions(model: Any, data: Any, result: Any, frame: FrameType | None) -> None:
    """Note what a model has predicted, so that metrics of it can be attributed to the model's run.

    For whichever framework: call it after a prediction of the user's own, with what the user is about to be given.
    It reads a few thousand values at most, and keeps neither the model nor the data nor the result alive.

    Args:
        model: as it was given to ``attribute_model``; for one of no known run nothing is done.
        data: what it has predicted for.
        result: an array, a data frame, or a list of them, rows first; anything else is passed over.
        frame: where to look for the name that the user has for the data: the present frame will do.
    """
    run = run_of_model(model)
    if run is None or result is model or result is data:
        return
    caller = users_frame(frame)
    evaluated = EvaluatedData(data, None if caller is None else name_in(caller, data))
    # One array for each output, or one list of values.
    is_divided = type(result) in (list, tuple) and len(result) > 0 and hasattr(type(result[0]), "shape")
    for part in result[:_MOST_OUTPUTS] if is_divided else (result,):
        _note(run, evaluated, data, part)


def find_prediction(value: Any) -> Prediction | None:
    """Return the prediction that a value is, or was derived from; None where it is not known for one."""
    if not _owners and not _recent:
        return _find_labels_of_model(value)
    owner = owner_of(value)
    found = _owners.get(id(owner))
    if found is not None and found[0]() is owner:
        return found[1]
    return _find_labels_of_model(value) or _find_by_content(value)


def _note(run: ActiveRun, evaluated: EvaluatedData, data: Any, part: Any) -> None:
    owner = owner_of(part)
    if owner is owner_of(data):
        # A part of the data themselves: everything else that is made of them would count as predicted.
        return
    prediction = Prediction(run, evaluated)
    rows = _count_rows(part)
    if rows is not None and rows >= _LEAST_ROWS:
        step = _choose_step(part, rows)
        if rows // step >= min(rows, _LEAST_SAMPLED):
            prediction.rows, prediction.step, prediction.sample = rows, step, _take(part, step)
    key = id(owner)
    with _turns[0]:
        if prediction.sample is not None:
            _recent.append(prediction)
        try:
            reference = weakref.ref(owner, lambda _: _owners.pop(key, None))
        except TypeError:
            return
        _owners[key] = (reference, prediction)


def _find_labels_of_model(value: Any) -> Prediction | None:
    """Return a clusterer's labels, or the like, as its prediction for data that nobody knows."""
    owner = owner_of(value)
    for model, run in islice(attributed_models(), _MODELS_SEARCHED):
        kept = getattr(model, "__dict__", {})
        for name in _LABELS_OF_MODELS:
            if (labels := kept.get(name)) is not None and owner_of(labels) is owner:
                return Prediction(run, EvaluatedData(None, None))
    return None


# -- content -----------------------------------------------------------------------------------------------------------


def _count_rows(value: Any) -> int | None:
    """Return how many rows there are in what can be compared by content; None for anything else."""
    if type(value) in (list, tuple):
        return len(value)
    if library(value) not in {"numpy", "pandas", "polars"}:
        return None
    shape = getattr(value, "shape", None)
    return shape[0] if isinstance(shape, tuple) and len(shape) in (1, 2) else None


def _choose_step(value: Any, rows: int) -> int:
    """Return which of a prediction's rows are kept: every so-many-th."""
    shape: tuple[int, ...] = getattr(value, "shape", (rows,))
    width = shape[-1] if len(shape) > 1 else 1
    kept = min(_ROWS_KEPT, max(_BYTES_KEPT // (8 * max(width, 1)), 1))
    if getattr(getattr(value, "dtype", None), "kind", "f") not in _NUMBERS:
        kept = min(kept, _OBJECTS_KEPT)
    return -(-rows // kept)


def _take(value: Any, step: int) -> NDArray[Any] | None:
    """Return a copy of every so-many-th row; None where the values are not plain numbers or texts."""
    import numpy

    part: NDArray[Any] | None
    if issubclass(type(value), numpy.ndarray):
        part = numpy.array(numpy.ndarray.view(value, numpy.ndarray)[::step])
    elif type(value) in (list, tuple):
        part = _array_of_list(value[::step])
    elif library(value) == "pandas":
        part = numpy.array(value.iloc[::step].to_numpy())
    else:
        part = numpy.array(value.gather_every(step).to_numpy())
    if part is None or part.size > _BYTES_KEPT:
        return None
    if part.dtype.kind == "O" and not _SCALARS.issuperset(map(type, part.ravel().tolist())):
        return None
    if part.dtype.kind not in _NUMBERS + _TEXTS:
        return None
    return part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part  # noqa: PLR2004  columns


def _array_of_list(values: Any) -> NDArray[Any] | None:
    import numpy

    if _SCALARS.issuperset(map(type, values)):
        return numpy.array(values) if len(set(map(type, values))) == 1 else None
    widths = {len(row) if type(row) in (list, tuple) else -1 for row in values}
    if len(widths) != 1 or widths == {-1}:
        return None
    return numpy.array(values) if all({float, int}.issuperset(map(type, row)) for row in values) else None


def _find_by_content(value: Any) -> Prediction | None:
    rows = _count_rows(value)
    if rows is None or rows < _LEAST_ROWS:
        return None
    with _turns[0]:
        candidates = [one for one in reversed(_recent) if one.rows == rows]
    taken: dict[int, _Content | None] = {}
    found: Prediction | None = None
    for one in candidates:
        if one.step not in taken:
            taken[one.step] = _read_content(value, one.step)
        content = taken[one.step]
        if content is None or not content.is_of(one):
            continue
        if one.step == 1:
            return found or one
        if found is not None and found.run is not one.run:
            return None
        found = found or one
    return found


def _read_content(value: Any, step: int) -> _Content | None:
    sample = _take(value, step)
    # What is the same in every row says nothing of where it comes from.
    return None if sample is None or (sample == sample[0]).all() else _Content(sample)


class _Content:
    """Digests of the rows of a value, to be looked for among those of predictions."""

    def __init__(self, sample: NDArray[Any]) -> None:
        self._is_narrow: Final = sample.dtype.kind == "f" and sample.dtype.itemsize < _DOUBLE
        self._digest: Final = _digest(sample)
        self._division = self._names = ""
        if sample.ndim == 1 and (sample.dtype.kind != "f" or _are_whole(sample)):
            self._division, self._names = _digest_division(sample), _digest_names(sample)

    def is_of(self, prediction: Prediction) -> bool:
        """Say whether these are a prediction's values, one column of them, or labels made of them."""
        if (forms := prediction.forms.get(self._is_narrow)) is None:
            forms = prediction.forms[self._is_narrow] = _find_forms(prediction.sample, narrow=self._is_narrow)
        # Under the same names and not equal, classes have been swapped: those are no predictions of the model.
        return self._digest in forms or (self._division in forms and self._names not in forms)


def _find_forms(kept: NDArray[Any] | None, *, narrow: bool) -> frozenset[str]:
    """Return the digests of what a prediction is commonly made into."""
    if kept is None:
        return frozenset()
    if narrow and kept.dtype.kind == "f":
        kept = kept.astype("f4")
    labels = list(_labels(kept))
    values = [kept, *(kept.T if kept.ndim == 2 else ()), *labels]  # noqa: PLR2004  columns
    return frozenset(filter(None, (*map(_digest, values), *map(_digest_division, labels), *map(_digest_names, labels))))


def _digest(values: NDArray[Any]) -> str:
    """Return a digest that is the same for equal numbers of any type, and for equal texts; nothing for a mixture."""
    import xxhash

    if values.dtype.kind not in _NUMBERS:
        items = values.ravel().tolist()
        if all(type(item) is str for item in items):
            return xxhash.xxh3_128_hexdigest("\x1f".join(items).encode(errors="surrogatepass"))
        if any(type(item) is str for item in items):
            return ""
    # Minus zero becomes zero.
    numbers = values.astype("f8") + 0.0
    return xxhash.xxh3_128_hexdigest(numbers.tobytes(), seed=numbers.ndim)


def _digest_division(labels: NDArray[Any]) -> str:
    """Return a digest of which rows are of one class, under whatever name.

    There is none where the classes are too many for a coincidence to be out of the question.
    """
    import numpy
    import xxhash

    _, first, inverse = numpy.unique(labels, return_index=True, return_inverse=True)
    if not 1 < len(first) <= len(labels) // _ROWS_PER_CLASS:
        return ""
    # A class is named by the first row of it.
    return "division " + xxhash.xxh3_128_hexdigest(first[inverse].astype("i8").tobytes())


def _digest_names(labels: NDArray[Any]) -> str:
    """Return a digest of which classes there are."""
    import numpy

    return f"names {_digest(numpy.unique(labels))}"


def _are_whole(numbers: NDArray[Any]) -> bool:
    import numpy

    with numpy.errstate(invalid="ignore"):
        return bool((numbers == numpy.floor(numbers)).all())


def _labels(kept: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield what labels are commonly made of a prediction."""
    if kept.ndim == 2:  # noqa: PLR2004  a column for each class
        yield kept.argmax(axis=1)
        if kept.shape[1] == 2 and kept.dtype.kind == "f":  # noqa: PLR2004  as above
            yield kept[:, 1] > _EVEN_ODDS
            yield kept[:, 1] >= _EVEN_ODDS
    elif kept.dtype.kind == "f" and not _are_whole(kept):
        yield kept > _EVEN_ODDS
        yield kept >= _EVEN_ODDS
        yield kept > 0
    else:
        yield kept


def _begin_child() -> None:
    # Another thread may have had its turn at the fork.
    _turns[0] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
