"""Which metrics and params tell most about the runs of a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from autolog.cli import text
from autolog.cli.direction import Direction, guess_direction
from autolog.entities import Run

PARAM_LIMIT = 20
_KIND_TAG = "estimator_class"
_UNSET = "None"
_LEAST_SHARE = 0.25
# These say how a training is carried out, not what is trained.
_NOISE = frozenset({"verbose", "verbosity", "n_jobs"})


def telling_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the names of the metrics that tell the runs apart; those that tell most come first.

    As long as runs are left of which no metric is told, the one that most of them have is next. Then come the metrics
    that most runs have; of these the ones whose name says which way they are better, and that are not about the
    training data. What hardly any run has is left out, unless nothing else is told of it, and so is a metric whose
    values all stand in their rows under longer names: a classifier's score is its accuracy.
    """
    rows: dict[str, dict[int, float]] = {}
    for index, run in enumerate(runs):
        for name, value in run.data.metrics.items():
            rows.setdefault(name, {})[index] = value
    for name in sorted(rows, key=lambda name: (len(name), name)):
        if _is_repeated(name, rows):
            del rows[name]
    untold = set(range(len(runs)))
    ranked = []
    while rows:
        name = min(rows, key=lambda name: _metric_rank(name, rows[name], untold))
        values = rows.pop(name)
        unique = not untold.isdisjoint(values) and len(values) == 1
        if unique or _tells_apart(list(values.values()), len(runs)):
            ranked.append(name)
            untold.difference_update(values)
    return ranked


def _is_repeated(name: str, rows: Mapping[str, Mapping[int, float]]) -> bool:
    """Say whether each value of a metric stands in its row under another name as well, as far as it is printed."""
    return all(
        any(
            index in values and text.number(values[index]) == text.number(value)
            for other, values in rows.items()
            if other != name
        )
        for index, value in rows[name].items()
    )


def _metric_rank(name: str, values: Mapping[int, float], untold: set[int]) -> tuple[Any, ...]:
    direction = guess_direction(name)
    return (
        name.startswith("system/"),
        -len(untold.intersection(values)),
        -len(values),
        direction is None,
        name.startswith("train"),
        direction is not Direction.UP,
        name,
    )


def telling_params(runs: Sequence[Run]) -> list[str]:
    """Return the names of the params that tell the runs apart; those that most runs have come first, of these numbers.

    Such a param differs between runs of the same estimator, where those say what they train: what differs only from
    one estimator to another is mostly the default of each. Params that are too long for a cell are left out.
    """
    found: dict[str, list[str]] = {}
    by_kind: dict[str, dict[Hashable, set[str]]] = {}
    for run in runs:
        kind = run.data.tags.get(_KIND_TAG)
        for name, value in run.data.params.items():
            if value != _UNSET:
                found.setdefault(name, []).append(value)
                by_kind.setdefault(name, {}).setdefault(kind, set()).add(value)
    telling = [
        name
        for name, values in found.items()
        if _tells_apart(values, len(runs))
        and any(len(different) > 1 for different in by_kind[name].values())
        and max(map(len, values)) <= PARAM_LIMIT
        and name not in _NOISE
    ]
    return sorted(
        telling,
        key=lambda name: (-len(found[name]), not all(map(is_number, found[name])), -len(set(found[name])), name),
    )


def _tells_apart(values: Sequence[Hashable], count: int) -> bool:
    return count == 1 or (len(set(values)) > 1 and len(values) >= count * _LEAST_SHARE)


def is_number(cell: str) -> bool:
    """Say whether a param's text is a number, or that it is not set."""
    if cell in ("", _UNSET):
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
