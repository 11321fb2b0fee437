"""Applying facts about runs, gathered first, so that each table is written once and in an order that all share."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, select, tuple_, update

from autolog.backends.sql.experiment_facts import create_experiment
from autolog.backends.sql.schema import datasets, digest, experiments, input_tags, inputs, params, runs, tags
from autolog.backends.sql.upsert import set_texts, upsert
from autolog.entities import Dataset, DatasetInput, LifecycleStage
from autolog.events import (
    ExperimentCreated,
    Fact,
    InputsLogged,
    ParamsLogged,
    RunCreated,
    RunUpdated,
    TagsSet,
)

logger = logging.getLogger("autolog")

# How many ids one statement names.
_IDS: Final = 1000

# The rows of runs, by their ids.
RunRows = dict[str, int]


def lock_runs(connection: Connection, run_ids: Iterable[str]) -> RunRows:
    """Return the rows of those runs that are there, locked until the end of the transaction.

    Whoever writes below a run locks it first, and all lock in the same order, so that no two wait for each other.
    """
    rows: RunRows = {}
    wanted = sorted(run_ids)
    for start in range(0, len(wanted), _IDS):
        chosen = runs.c.run_id.in_(wanted[start : start + _IDS])
        statement = select(runs.c.run_id, runs.c.id).where(chosen).order_by(runs.c.run_id).with_for_update()
        # MariaDB locks rows as it finds them, and in a small table might look for them in another order.
        statement = statement.with_hint(runs, "FORCE INDEX (run_id)", "mysql")
        rows.update((row.run_id, row.id) for row in connection.execute(statement))
    return rows


def apply_run_facts(connection: Connection, facts: Iterable[Fact], rows: RunRows) -> None:
    """Apply facts about runs; those about a run that the store does not hold are passed over.

    Args:
        connection: within a transaction.
        facts: the facts, in their order.
        rows: the rows of the runs that they are about, locked; those that are made are added.
    """
    created: dict[str, RunCreated] = {}
    changes: dict[str, dict[str, Any]] = defaultdict(dict)
    run_params: dict[tuple[str, str], str | None] = {}
    run_tags: dict[tuple[str, str], str | None] = {}
    used: list[tuple[str, DatasetInput]] = []
    for fact in facts:
        match fact:
            case RunCreated(run_id=run_id) if run_id not in rows and run_id not in created:
                created[run_id] = fact
                run_tags.update({(run_id, key): value for key, value in fact.tags.items()})
            case RunUpdated(run_id=run_id):
                changes[run_id] |= _changes(fact)
            case ParamsLogged(run_id=run_id, params=texts):
                run_params.update({(run_id, key): value for key, value in texts.items()})
            case TagsSet(run_id=run_id, tags=marks):
                run_tags.update({(run_id, key): value for key, value in marks.items()})
            case InputsLogged(run_id=run_id, inputs=logged):
                used += [(run_id, each) for each in logged]
    _create_runs(connection, created, rows)
    for run_id, values in sorted(changes.items()):
        if run_id in rows and values:
            connection.execute(update(runs).where(runs.c.id == rows[run_id]).values(values))
    for table, by_run in ((params, run_params), (tags, run_tags)):
        set_texts(
            connection,
            table,
            {(rows[run_id], key): value for (run_id, key), value in by_run.items() if run_id in rows},
        )
    _add_inputs(connection, [(rows[run_id], each) for run_id, each in used if run_id in rows])


def _changes(fact: RunUpdated) -> dict[str, Any]:
    values: dict[str, Any] = {"end_time": None} if fact.reopen else {}
    if fact.end_time is not None:
        values["end_time"] = fact.end_time
    if fact.run_name is not None:
        values["run_name"] = fact.run_name
    if fact.status is not None:
        values["status"] = fact.status.value
    if fact.lifecycle_stage is not None:
        values["lifecycle_stage"] = fact.lifecycle_stage.value
    return values


def _create_runs(connection: Connection, facts: Mapping[str, RunCreated], rows: RunRows) -> None:
    found = _find_experiments(connection, facts.values())
    for fact in facts.values():
        if digest(fact.experiment_name) not in found:
            # Somebody has renamed the experiment, or removed it, since this process began to use it.
            create_experiment(
                connection,
                ExperimentCreated(experiment_id=fact.experiment_id, name=fact.experiment_name, time=fact.start_time),
            )
            found = _find_experiments(connection, facts.values())
    values = []
    for run_id, fact in sorted(facts.items()):
        experiment = found[digest(fact.experiment_name)]
        values.append(
            {
                "run_id": run_id,
                "experiment": experiment.id,
                "run_name": fact.run_name,
                "user_id": fact.user_id,
                "status": fact.status.value,
                "start_time": fact.start_time,
                "lifecycle_stage": LifecycleStage.ACTIVE.value,
                "artifact_path": _artifact_path(run_id, experiment),
            }
        )
    upsert(connection, runs, values)
    rows.update(lock_runs(connection, facts.keys()))


def _find_experiments(connection: Connection, facts: Iterable[RunCreated]) -> dict[int, Row[Any]]:
    """Return the experiments that the runs begin in, by the digests of their names."""
    digests = sorted({digest(fact.experiment_name) for fact in facts})
    columns = experiments.c
    statement = select(columns.name_digest, columns.id, columns.experiment_id, columns.artifact_location)
    found: dict[int, Row[Any]] = {}
    for start in range(0, len(digests), _IDS):
        chosen = columns.name_digest.in_(digests[start : start + _IDS])
        found.update({row.name_digest: row for row in connection.execute(statement.where(chosen))})
    return found


def _artifact_path(run_id: str, experiment: Row[Any]) -> str:
    """Return what is added to the experiment's location, or to the store's root, to find a run's artifacts."""
    if experiment.artifact_location:
        slash = "" if experiment.artifact_location.endswith("/") else "/"
        return f"{slash}{_as_folder(run_id)}/artifacts"
    return f"/{_as_folder(experiment.experiment_id)}/{_as_folder(run_id)}/artifacts"


def _as_folder(identifier: str) -> str:
    """Return an id as the name of one folder, so that none leads out of the root."""
    name = quote(identifier, safe=" ")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _add_inputs(connection: Connection, used: Sequence[tuple[int, DatasetInput]]) -> None:
    if not used:
        return
    known = _add_datasets(connection, {_content_digest(each.dataset): each.dataset for _, each in used})
    places = {(run, known[_content_digest(each.dataset)], _tags_digest(each)): each.tags for run, each in used}
    names = ("run", "dataset", "tags_digest")
    # In the order in which they were logged, which is that of their ids.
    upsert(connection, inputs, [dict(zip(names, place, strict=True)) for place in places])
    place_columns = [inputs.c[name] for name in names]
    rows = {}
    for start in range(0, len(places), _IDS):
        chosen = tuple_(*place_columns).in_(list(places)[start : start + _IDS])
        for row, *place in connection.execute(select(inputs.c.id, *place_columns).where(chosen)):
            rows[tuple(place)] = row
    upsert(
        connection,
        input_tags,
        [
            {"input": rows[place], "ordinal": ordinal, "key": tag.key, "value": tag.value}
            for place, each in places.items()
            for ordinal, tag in enumerate(each)
        ],
    )


def _add_datasets(connection: Connection, wanted: Mapping[int, Dataset]) -> dict[int, int]:
    """Keep each data set once; return their rows by the digests of their content."""
    rows = _find_datasets(connection, wanted)
    # Only what is not there is inserted: MariaDB would lock the others, which many runs use at once.
    missing = sorted(wanted.keys() - rows.keys())
    if missing:
        values = [
            {"content_digest": content, **{name: getattr(wanted[content], name) for name in Dataset.__struct_fields__}}
            for content in missing
        ]
        upsert(connection, datasets, values)
        rows |= _find_datasets(connection, missing)
    return rows


def _find_datasets(connection: Connection, content_digests: Iterable[int]) -> dict[int, int]:
    rows: dict[int, int] = {}
    digests = sorted(content_digests)
    for start in range(0, len(digests), _IDS):
        chosen = datasets.c.content_digest.in_(digests[start : start + _IDS])
        statement = select(datasets.c.content_digest, datasets.c.id).where(chosen)
        rows.update((row.content_digest, row.id) for row in connection.execute(statement))
    return rows


def _content_digest(dataset: Dataset) -> int:
    return digest(*(getattr(dataset, name) for name in dataset.__struct_fields__))


def _tags_digest(used: DatasetInput) -> int:
    return digest(*(text for tag in used.tags for text in (tag.key, tag.value)))
