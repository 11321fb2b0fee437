"""Which metrics and params tell most about the runs of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

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

    As long as runs are left of which nothing tells how good they are, the metric that tells it of most of them is
    next: one whose name says which way it is better. Then come the metrics that most runs have; of these the ones
    that say so and are not about the training data. What hardly any run has is left out, and so is a metric whose
    values all stand in their rows under longer names: a classifier's score is its accuracy.
    """
    values: dict[str, dict[int, float]] = {}
    for index, run in enumerate(runs):
        for name, value in run.data.metrics.items():
            values.setdefault(name, {})[index] = value
    _drop_repeated(values, len(runs))
    telling = {name: found.keys() for name, found in values.items() if len(found) == 1 or len(set(found.values())) > 1}
    rank = {name: (*_metric_rank(name), name) for name in telling}
    good = [name for name in telling if guess_direction(name) is not None]
    untold = set(range(len(runs)))
    ranked: list[str] = []
    while told := {name: len(untold & telling[name]) for name in good if untold & telling[name]}:
        best = min(told, key=lambda name: (rank[name][0], -told[name], -len(telling[name]), rank[name]))
        ranked.append(best)
        untold -= telling[best]
    others = [name for name in telling if name not in ranked and len(telling[name]) >= len(runs) * _LEAST_SHARE]
    return ranked + sorted(others, key=lambda name: (rank[name][0], -len(telling[name]), rank[name]))


def _drop_repeated(values: dict[str, dict[int, float]], count: int) -> None:
    """Drop each metric whose values, as they are printed, all stand in their rows under longer names as well."""
    printed = {
        name: {index: text.number(value) for index, value in found.items()}
        for name, found in values.items()
        # That the best of a search or of an early stop is another value too is an accident.
        if not name.startswith("best_")
    }
    rows: list[Counter[str]] = [Counter() for _ in range(count)]
    for found in printed.values():
        for index, cell in found.items():
            rows[index][cell] += 1
    for name in sorted(printed, key=lambda name: (len(name), name)):
        if all(rows[index][cell] > 1 for index, cell in printed[name].items()):
            del values[name]
            for index, cell in printed[name].items():
                rows[index][cell] -= 1


def _metric_rank(name: str) -> tuple[bool, ...]:
    """Return a key that orders metrics by what their names say."""
    direction = guess_direction(name)
    is_beside_the_point = name.startswith("system/") or name.endswith("_time")
    return is_beside_the_point, direction is None, name.startswith("train"), direction is not Direction.UP


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
        if len(values) >= len(runs) * _LEAST_SHARE
        and any(len(different) > 1 for different in by_kind[name].values())
        and max(map(len, values)) <= PARAM_LIMIT
        and name not in _NOISE
    ]
    return sorted(
        telling,
        key=lambda name: (-len(found[name]), not all(map(is_number, found[name])), -len(set(found[name])), name),
    )


def is_number(cell: str) -> bool:
    """Say whether a param's text is a number, or that it is not set."""
    if cell in ("", _UNSET):
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
