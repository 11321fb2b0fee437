"""Applying facts about experiments; there are few, so each has its own statements."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select, update

from autolog.backends.conventions import derive_experiment_id
from autolog.backends.sql.schema import digest, experiment_tags, experiments, settings
from autolog.backends.sql.upsert import set_texts, upsert
from autolog.events import ExperimentCreated, ExperimentUpdated, Fact, RunCreated

logger = logging.getLogger("autolog")


def lock_experiments(connection: Connection, facts: Iterable[Fact]) -> None:
    """Keep others from making and changing experiments until the transaction ends, where these facts do that.

    They are found by their names, of which one batch may have several, in any order: hence one lock for all.
    """
    names = set()
    changes = False
    for fact in facts:
        match fact:
            case ExperimentCreated(name=name) | RunCreated(experiment_name=name):
                names.add(name)
            case ExperimentUpdated():
                changes = True
    if connection.dialect.name != "sqlite" and (changes or any(_find(connection, name=name) is None for name in names)):
        # A row that every store has, and that nobody writes to.
        connection.execute(select(settings.c.name).with_for_update())


def create_experiment(connection: Connection, fact: ExperimentCreated) -> None:
    """Make an experiment, unless there is one with this name."""
    if _find(connection, name=fact.name) is not None:
        return
    experiment_id = fact.experiment_id
    if _find(connection, experiment_id=experiment_id) is not None:
        experiment_id = derive_experiment_id(experiment_id, fact.name)
    values = {
        "experiment_id": experiment_id,
        "name_digest": digest(fact.name),
        "name": fact.name,
        "artifact_location": fact.artifact_location,
        "lifecycle_stage": fact.lifecycle_stage.value,
        "creation_time": fact.time,
        "last_update_time": fact.last_update_time or fact.time,
    }
    upsert(connection, experiments, [values])
    if (made := _find(connection, name=fact.name)) is not None:
        set_texts(connection, experiment_tags, {(made.id, key): value for key, value in fact.tags.items()})


def update_experiment(connection: Connection, fact: ExperimentUpdated) -> None:
    """Change an experiment; one that is not there is passed over, and so is a name that another one has."""
    row = _find(connection, experiment_id=fact.experiment_id)
    if row is None:
        logger.warning(
            "an update of experiment %s is passed over: the store has no such experiment", fact.experiment_id
        )
        return
    changes: dict[str, Any] = {"last_update_time": max(row.last_update_time, fact.time)}
    if fact.lifecycle_stage is not None:
        changes["lifecycle_stage"] = fact.lifecycle_stage.value
    if fact.name is not None:
        namesake = _find(connection, name=fact.name)
        if namesake is None:
            changes |= {"name": fact.name, "name_digest": digest(fact.name)}
        elif namesake.id != row.id:
            logger.warning("experiment %r keeps its name: there is another named %r", row.name, fact.name)
    connection.execute(update(experiments).where(experiments.c.id == row.id).values(changes))
    set_texts(connection, experiment_tags, {(row.id, key): value for key, value in fact.tags.items()})


def _find(connection: Connection, *, name: str | None = None, experiment_id: str | None = None) -> Row[Any] | None:
    chosen = experiments.c.experiment_id == experiment_id if name is None else experiments.c.name_digest == digest(name)
    return connection.execute(select(experiments).where(chosen)).one_or_none()
