"""What two tools have kept of the same script: counts, and the names that one has and the other lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# A script's facts as its subject reports them: ``runs`` and ``added``.
Facts = Mapping[str, Any]

COUNTS: Final = ("runs", "of them children", "params", "metrics", "points", "artifacts", "data sets", "models")
_KINDS: Final = ("params", "metrics", "tags", "artifacts")


@dataclass(frozen=True)
class Reason:
    """Why autolog keeps something of MLflow's under another name or not at all.

    ``instead`` gives the name, of the same kind, that has to be there for the reason to hold.
    """

    kind: str
    name: re.Pattern[str]
    text: str
    instead: Callable[[str], str] | None = None


REASONS: Final = (
    Reason(
        "artifacts",
        re.compile(r"(?P<stem>[^/]+)\.png"),
        "as data, drawn on demand: `autolog show RUN --plot`",
        lambda name: f"figures/{name.removesuffix('.png')}.json",
    ),
    Reason(
        "artifacts",
        re.compile(r"estimator\.html"),
        "the same structure as data",
        lambda _: "estimator.json",
    ),
    Reason(
        "artifacts",
        re.compile(r"feature_importance_\w+\.json"),
        "in the form that all figures have",
        lambda name: f"figures/{name}",
    ),
    Reason("params", re.compile("custom_metric"), "it was not given"),
)
# Why a metric has another last value than MLflow's.
_VALUES: Final = (
    (
        re.compile("best_iteration|stopped_iteration"),
        "MLflow counts LightGBM's rounds from one, and XGBoost's from nought",
    ),
    (
        re.compile(r"(train|valid)-\w+"),
        "after early stopping MLflow logs the best round's values once more, as the last",
    ),
)


@dataclass(frozen=True)
class Gap:
    """A name of MLflow's that autolog lacks; without a reason it is a fault."""

    kind: str
    name: str
    reason: str | None = None
    instead: str | None = None


def count(facts: Facts) -> dict[str, int]:
    """Return how much of everything there is; params and metrics by their different names."""
    runs = facts["runs"]
    return {
        "runs": len(runs),
        "of them children": sum(run["child"] for run in runs),
        "params": len(names_of(facts, "params")),
        "metrics": len(names_of(facts, "metrics")),
        "points": sum(run["points"] for run in runs),
        "artifacts": sum(len(run["artifacts"]) for run in runs),
        "data sets": sum(len(run["datasets"]) for run in runs),
        "models": sum(run["models"] for run in runs),
    }


def names_of(facts: Facts, kind: str) -> set[str]:
    """Return the names of one kind in all runs; of tags, those that are about the training and not the run."""
    names = {name for run in facts["runs"] for name in run[kind]}
    return {name for name in names if not name.startswith(("mlflow.", "autolog."))} if kind == "tags" else names


def find_gaps(ours: Facts, theirs: Facts) -> Iterator[Gap]:
    """Yield every name of MLflow's that autolog lacks."""
    for kind in _KINDS:
        mine = names_of(ours, kind)
        for name in sorted(names_of(theirs, kind) - mine):
            yield next(_explain(kind, name, mine), Gap(kind, name))


def find_extras(ours: Facts, theirs: Facts) -> dict[str, list[str]]:
    """Return by kind the names of autolog's that MLflow lacks."""
    return {kind: sorted(names_of(ours, kind) - names_of(theirs, kind)) for kind in _KINDS}


def find_disagreements(ours: Facts, theirs: Facts) -> list[tuple[str, float, float, str | None]]:
    """Return the metrics of the scripts' own runs with one name and two last values: autolog's, MLflow's, and why."""
    mine, others = (
        {name: value for run in facts["runs"] if not run["child"] for name, value in run["metrics"].items()}
        for facts in (ours, theirs)
    )
    return [
        (name, mine[name], others[name], next((why for pattern, why in _VALUES if pattern.fullmatch(name)), None))
        for name in sorted(mine.keys() & others.keys())
        if not _is_close(mine[name], others[name]) and not name.endswith("_time")
    ]


def _explain(kind: str, name: str, mine: set[str]) -> Iterator[Gap]:
    for reason in REASONS:
        if reason.kind == kind and reason.name.fullmatch(name):
            instead = reason.instead(name) if reason.instead else None
            if instead is None or instead in mine:
                yield Gap(kind, name, reason.text, instead)


def _is_close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(abs(one), abs(other), 1e-12)
