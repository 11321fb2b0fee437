"""What an Optuna study has come to: the table of its trials, the space that they were drawn from, the best of them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from autolog.integrations.sklearn_searches import write_table
from autolog.run import ActiveRun


class Told(NamedTuple):
    """A trial that has ended: Optuna's word for how, and its times in seconds since the epoch."""

    number: int
    run_id: str
    state: str
    values: tuple[float, ...]
    params: dict[str, Any]
    attributes: dict[str, Any]
    began: float
    ended: float


class Best(NamedTuple):
    """The best trial that is known of a study with one objective."""

    number: int
    value: float
    params: dict[str, Any]


def find_best(study: Any) -> Best | None:
    """Return the best trial of a study with one objective; None where none has come to a value yet."""
    try:
        trial = study.best_trial
    except ValueError:
        return None
    return Best(trial.number, trial.value, trial.params)


def log_trials(run: ActiveRun, trials: Sequence[Told], names: Sequence[str]) -> None:
    """Store trials as a table, ``trials.csv``, with columns as in Optuna's ``trials_dataframe`` and the trials' runs.

    Args:
        run: of the study.
        trials: in the order in which they ended.
        names: of the objectives' values.
    """
    ordered = sorted(trials)
    columns: dict[str, list[Any]] = {"number": [one.number for one in ordered]}
    for place, name in enumerate(names):
        columns[name] = [one.values[place] if place < len(one.values) else None for one in ordered]
    columns["datetime_start"] = [_format(one.began) for one in ordered]
    columns["datetime_complete"] = [_format(one.ended) for one in ordered]
    columns["duration"] = [round(one.ended - one.began, 6) for one in ordered]
    for prefix, found in (
        ("params_", [one.params for one in ordered]),
        ("user_attrs_", [one.attributes for one in ordered]),
    ):
        for key in dict.fromkeys(key for one in found for key in one):
            columns[f"{prefix}{key}"] = [one.get(key) for one in found]
    columns["state"] = [one.state for one in ordered]
    columns["run_id"] = [one.run_id for one in ordered]
    run.log_content("trials.csv", write_table(columns).encode(errors="replace"))


def log_search_space(run: ActiveRun, distributions: Mapping[str, Any]) -> None:
    """Store what params were drawn from, as ``search_space.json``: by name, Optuna's own description."""
    from optuna.distributions import distribution_to_json

    space = {name: json.loads(distribution_to_json(one)) for name, one in distributions.items()}
    run.log_content("search_space.json", json.dumps(space, indent=1).encode(errors="replace"))


def _format(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="milliseconds")  # noqa: DTZ006  Optuna's are local
