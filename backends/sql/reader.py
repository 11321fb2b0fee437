"""Reading a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, func, literal, select

from autolog.backend import ExperimentQuery, History, Page, RunQuery
from autolog.backends.conventions import experiment_not_found, run_not_found
from autolog.backends.sql.filters import EXPERIMENTS, Condition, IsWide, compile_filter, never, runs_subject
from autolog.backends.sql.ordering import Searched, next_rows, place_of
from autolog.backends.sql.point_rows import fetch_points
from autolog.backends.sql.records import fetch_texts, make_runs
from autolog.backends.sql.schema import artifacts, digest, experiment_tags, experiments, metric_summaries, runs
from autolog.backends.sql.store import Store
from autolog.backends.sql.stretches import fetch_thinned
from autolog.entities import Artifact, Experiment, LifecycleStage, Run, ViewType
from autolog.history import make_history
from autolog.search import (
    Entity,
    Expression,
    OrderKey,
    OrderValue,
    check_max_results,
    decode_token,
    encode_token,
    fingerprint,
    parse_experiment_filter,
    parse_experiment_order,
    parse_run_filter,
    parse_run_order,
)

# What as many rows fit: to gather all of them takes longer than to look each up until a page is full.
_WIDE: Final = 4000


class SqlReader:
    """Reads a store in a database; one that is not there reads as empty.

    Args:
        url: as for ``SqlBackend``.

    Raises:
        InvalidParameter: the URL cannot be used.
        MissingDependency: the database's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._store = Store(url, writable=False)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """See ``autolog.backend.Reader``."""
        with self._store.transaction() as connection:
            found = _find_experiments(connection, experiments.c.experiment_id == experiment_id)
        if not found:
            raise experiment_not_found(self._store.name, experiment_id)
        return found[0]

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """See ``autolog.backend.Reader``."""
        with self._store.transaction() as connection:
            found = _find_experiments(connection, experiments.c.name_digest == digest(name))
        return found[0] if found else None

    def search_experiments(self, query: ExperimentQuery) -> Page[Experiment]:
        """See ``autolog.backend.Reader``."""
        expression, order = parse_experiment_filter(query.filter), parse_experiment_order(query.order_by)
        after = _place(query, order)
        with self._store.transaction() as connection:
            where = and_(
                _in_view(experiments, query.view),
                compile_filter(expression, EXPERIMENTS, connection.dialect.name),
            )
            found = next_rows(connection, EXPERIMENTS, Searched(where, where), order, after, query.max_results + 1)
            page = found[: query.max_results]
            return Page(_make_experiments(connection, page), _token(query, order, page, found))

    def get_run(self, run_id: str) -> Run:
        """See ``autolog.backend.Reader``."""
        with self._store.transaction() as connection:
            row = self._find_run(connection, run_id)
            return make_runs(connection, [row], RunQuery(), self._store.artifact_root)[0]

    def search_runs(self, query: RunQuery) -> Page[Run]:
        """See ``autolog.backend.Reader``."""
        expression, order = parse_run_filter(query.filter), parse_run_order(query.order_by)
        after = _place(query, order)
        with self._store.transaction() as connection:
            root = self._store.artifact_root
            at_once = _searched_runs(connection, query, expression, root)
            # The servers have statistics, and choose for themselves.
            stepwise = at_once
            if connection.dialect.name == "sqlite":
                by_key = order[0].field.entity is not Entity.ATTRIBUTE
                stepwise = _searched_runs(connection, query, expression, root, _wide_in(connection), by_key=by_key)
            searched = Searched(stepwise, at_once)
            found = next_rows(connection, runs_subject(root), searched, order, after, query.max_results + 1)
            page = found[: query.max_results]
            return Page(make_runs(connection, page, query, root), _token(query, order, page, found))

    def count_runs(self, query: RunQuery) -> int:
        """See ``autolog.backend.Reader``."""
        expression = parse_run_filter(query.filter)
        with self._store.transaction() as connection:
            where = _searched_runs(connection, query, expression, self._store.artifact_root)
            return connection.execute(select(func.count()).select_from(runs).where(where)).scalar_one()

    def metric_history(self, run_id: str, key: str, max_points: int | None = None) -> History:
        """See ``autolog.backend.Reader``."""
        columns = metric_summaries.c
        statement = select(columns.id, columns.count).where(columns.key_digest == digest(key))
        with self._store.transaction() as connection:
            row = self._find_run(connection, run_id)
            found = connection.execute(statement.where(columns.run == row.id)).one_or_none()
            series, count = found or (0, 0)
            if max_points is not None and (thinned := fetch_thinned(connection, series, count, max_points)):
                return History(key, *thinned)
            points = fetch_points(connection, series, 0, count)
        return make_history(key, *points, max_points)

    def artifacts(self, run_id: str) -> Sequence[Artifact]:
        """See ``autolog.backend.Reader``."""
        columns = artifacts.c
        with self._store.transaction() as connection:
            row = self._find_run(connection, run_id)
            statement = select(columns.path, columns.size, columns.sha256).where(columns.run == row.id)
            found = connection.execute(statement.order_by(columns.path)).all()
        return [Artifact(path=path, size=size, sha256=sha256) for path, size, sha256 in found]

    def close(self) -> None:
        """See ``autolog.backend.Reader``."""
        self._store.close()

    def _find_run(self, connection: Connection, run_id: str) -> Row[Any]:
        row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
        if row is None:
            raise run_not_found(self._store.name, run_id)
        return row


def _place(query: RunQuery | ExperimentQuery, order: Sequence[OrderKey]) -> Sequence[OrderValue] | None:
    """Check a query's page, and return the order values that it begins after."""
    check_max_results(query.max_results)
    return decode_token(query.page_token, fingerprint(query), order) if query.page_token else None


def _token(
    query: RunQuery | ExperimentQuery, order: Sequence[OrderKey], page: Sequence[Row[Any]], found: Sequence[Row[Any]]
) -> str | None:
    """Return the token of the next page, where more was found than the page has room for."""
    return encode_token(place_of(page[-1], order), fingerprint(query)) if len(found) > len(page) else None


def _in_view(table: Table, view: ViewType) -> Condition:
    return table.c.lifecycle_stage.in_([stage.value for stage in LifecycleStage if view.includes(stage)])


def _searched_runs(
    connection: Connection,
    query: RunQuery,
    expression: Expression | None,
    artifact_root: str,
    is_wide: IsWide = never,
    *,
    by_key: bool = False,
) -> Condition:
    """The condition that a run is one that the query asks for; ``by_key`` if the order is that of another table."""
    where = and_(
        _in_view(runs, query.view),
        compile_filter(expression, runs_subject(artifact_root), connection.dialect.name, is_wide),
    )
    if query.experiment_ids is None:
        return where
    named = select(experiments.c.id).where(experiments.c.experiment_id.in_(query.experiment_ids))
    column: ColumnElement[int] = runs.c.experiment
    rows = connection.execute(named).scalars().all()
    here = column.in_(rows)
    if by_key and is_wide(here):
        # An expression has no index, so that SQLite does not walk through all of the experiment.
        here = (column + 0).in_(rows)
    return and_(here, where)


def _wide_in(connection: Connection) -> IsWide:
    """Return a function that says whether a condition on one table finds many of its rows, without counting all."""

    def is_wide(found: Condition) -> bool:
        some = select(literal(1)).where(found).limit(_WIDE).subquery()
        return connection.execute(select(func.count()).select_from(some)).scalar_one() == _WIDE

    return is_wide


def _find_experiments(connection: Connection, condition: Condition) -> list[Experiment]:
    return _make_experiments(connection, connection.execute(select(experiments).where(condition)).all())


def _make_experiments(connection: Connection, rows: Sequence[Row[Any]]) -> list[Experiment]:
    found = fetch_texts(connection, experiment_tags, [row.id for row in rows])
    return [
        Experiment(
            experiment_id=row.experiment_id,
            name=row.name,
            artifact_location=row.artifact_location,
            lifecycle_stage=LifecycleStage(row.lifecycle_stage),
            creation_time=row.creation_time,
            last_update_time=row.last_update_time,
            tags=found.get(row.id, {}),
        )
        for row in rows
    ]
