"""Writing a store: a batch is one transaction, in which the position of its journal is moved too."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Connection, select, update

from autolog.backend import Batch, Position
from autolog.backends.conventions import run_not_found
from autolog.backends.sql.experiment_facts import create_experiment, lock_experiments, update_experiment
from autolog.backends.sql.points import append_points
from autolog.backends.sql.removal import remove_deleted
from autolog.backends.sql.run_facts import RunRows, apply_run_facts, lock_runs
from autolog.backends.sql.schema import artifacts, digest, experiments, journals, runs
from autolog.backends.sql.store import Store
from autolog.backends.sql.upsert import upsert
from autolog.entities import Artifact
from autolog.events import ExperimentCreated, ExperimentUpdated, Fact

logger = logging.getLogger("autolog")


class SqlBackend:
    """Writes a store in a database; it is made, or upgraded, by the first batch.

    Args:
        url: ``sqlite:///runs.db``, ``postgresql://user:password@host/database``, ``mysql://…`` or ``mariadb://…``.
            In its query, ``artifact_root`` says where the artifacts of a new store go
            (else AUTOLOG_ARTIFACT_ROOT, else a folder beside the SQLite file or in the working folder),
            and ``timeout`` how many seconds SQLite waits for another process.

    Raises:
        InvalidParameter: the URL cannot be used.
        MissingDependency: the database's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._store = Store(url, writable=True)

    def write(self, batch: Batch) -> None:
        """See ``autolog.backend.Backend``."""
        for run_id in sorted(self._store.run(lambda connection: _write(connection, batch))):
            logger.warning("what was recorded for run %s is passed over: the store has no such run", run_id)

    def artifact_uri(self, run_id: str) -> str:
        """See ``autolog.backend.Backend``."""
        statement = (
            select(experiments.c.artifact_location, runs.c.artifact_path)
            .join(runs, runs.c.experiment == experiments.c.id)
            .where(runs.c.run_id == run_id)
        )
        with self._store.transaction() as connection:
            found = connection.execute(statement).one_or_none()
        if found is None:
            raise run_not_found(self._store.name, run_id)
        location, path = found
        return f"{location or self._store.artifact_root}{path}"

    def record_artifacts(self, run_id: str, artifacts: Sequence[Artifact]) -> None:
        """See ``autolog.backend.Backend``."""

        def record(connection: Connection) -> None:
            rows = lock_runs(connection, [run_id])
            if run_id not in rows:
                raise run_not_found(self._store.name, run_id)
            _record_artifacts(connection, rows[run_id], artifacts)

        self._store.run(record)

    def remove_deleted(self, run_ids: Sequence[str] = (), experiment_ids: Sequence[str] = ()) -> None:
        """See ``autolog.backend.Backend``."""
        remove_deleted(self._store, run_ids, experiment_ids)

    def reopen(self) -> None:
        """See ``autolog.backend.Backend``."""
        self._store.reopen()

    def close(self) -> None:
        """See ``autolog.backend.Backend``."""
        self._store.close()


def _write(connection: Connection, batch: Batch) -> set[str]:
    """Write what is new of a batch; return the ids of runs that it speaks of and the store does not have.

    Every lock is taken in an order that all writers share, so that no two wait for each other: the journal, which is
    one writer's own; experiments; runs; what is below them, by key.
    """
    seen = _lock_journal(connection, batch.journal)
    facts = [fact for number, fact in batch.facts if number >= seen.facts]
    points = [new for each in batch.points if (new := each.beyond(seen.points)).numbers.size]
    about = [fact.run_id for fact in facts if not isinstance(fact, (ExperimentCreated, ExperimentUpdated))]
    mentioned = {*about, *(each.run_id for each in points)}
    lock_experiments(connection, facts)
    rows = lock_runs(connection, mentioned)
    _apply_facts(connection, facts, rows)
    append_points(connection, [(rows[each.run_id], each) for each in points if each.run_id in rows])
    _move_journal(connection, batch.journal, Position(*map(max, seen, batch.end)))
    return mentioned - rows.keys()


def _lock_journal(connection: Connection, journal: str) -> Position:
    """Return how much of a journal the store holds, and keep others from writing from it until the transaction ends."""
    statement = select(journals.c.facts, journals.c.points).where(journals.c.journal_id == journal).with_for_update()
    found = connection.execute(statement).one_or_none()
    if found is None:
        upsert(connection, journals, [{"journal_id": journal, "facts": 0, "points": 0}])
        found = connection.execute(statement).one()
    return Position(*found)


def _move_journal(connection: Connection, journal: str, position: Position) -> None:
    connection.execute(update(journals).where(journals.c.journal_id == journal).values(position._asdict()))


def _apply_facts(connection: Connection, facts: Sequence[Fact], rows: RunRows) -> None:
    """Apply facts in their order: those about experiments one by one, those about runs between them together."""
    for is_experiment, group in groupby(facts, lambda fact: isinstance(fact, (ExperimentCreated, ExperimentUpdated))):
        if not is_experiment:
            apply_run_facts(connection, group, rows)
            continue
        for fact in group:
            match fact:
                case ExperimentCreated():
                    create_experiment(connection, fact)
                case ExperimentUpdated():
                    update_experiment(connection, fact)


def _record_artifacts(connection: Connection, run: int, stored: Sequence[Artifact]) -> None:
    rows = [
        {"run": run, "path_digest": digest(each.path), "path": each.path, "size": each.size, "sha256": each.sha256}
        for each in stored
    ]
    upsert(
        connection,
        artifacts,
        sorted(rows, key=lambda row: row["path_digest"]),
        key=("run", "path_digest"),
        update=("path", "size", "sha256"),
    )
