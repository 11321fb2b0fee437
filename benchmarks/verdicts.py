"""What the figures say: ratios between contenders, targets met and missed, and where autolog is behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contenders import parse_contender, place_of
from measures import Group, Measure, find_group, in_order
from summary import Summary

# contender -> measure -> summary, of one group
ByContender = dict[str, dict[str, Summary]]


@dataclass(frozen=True)
class Verdict:
    """A target and what came of it."""

    group: Group
    measure: Measure
    contender: str
    target: float
    measured: float

    @property
    def met(self) -> bool:
        return self.measured >= self.target if self.measure.unit == "share" else self.measured <= self.target


@dataclass(frozen=True)
class Lag:
    """A measure in which a peer is the cheaper."""

    group: Group
    measure: Measure
    peer: str
    rival: str
    ratio: float


def find_verdicts(results: dict[str, Any]) -> Iterator[Verdict]:
    """Yield every target whose measure has been taken."""
    for group, measured in _groups(results):
        for measure in group.measures:
            for contender, target in measure.targets.items():
                if summary := measured.get(contender, {}).get(measure.name):
                    yield Verdict(group, measure, contender, target, summary["median"])


def find_lags(results: dict[str, Any]) -> Iterator[Lag]:
    """Yield every measure of every peer in which it is ahead of autolog."""
    for group, measured in _groups(results):
        for measure in group.measures:
            for contender in sorted(measured, key=place_of):
                found = find_ratio(measured, measure, contender)
                if found and found[1] < 1:
                    yield Lag(group, measure, contender, *found)


def find_ratio(measured: ByContender, measure: Measure, contender: str) -> tuple[str, float] | None:
    """Return autolog's contender with the closest kind of store, and how many times its median a peer's is."""
    theirs = measured[contender].get(measure.name)
    if not measure.compared or theirs is None or theirs["median"] <= 0:
        return None
    ours = sorted((name for name in measured if parse_contender(name).tool == "autolog"), key=place_of)
    for rival in parse_contender(contender).rivals:
        for name in ours:
            summary = measured[name].get(measure.name)
            if (name == rival or name.startswith(f"{rival}-")) and summary and summary["median"] > 0:
                return name, theirs["median"] / summary["median"]
    return None


def _groups(results: dict[str, Any]) -> Iterator[tuple[Group, ByContender]]:
    for name in in_order(list(results["groups"])):
        yield find_group(name), results["groups"][name]
