"""From rows of the tables to the records that a reader returns: each part of a page in one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Table, Text, cast, func, select

from autolog.backend import RunQuery
from autolog.backends.sql.schema import (
    datasets,
    experiments,
    input_tags,
    inputs,
    metric_summaries,
    params,
    tags,
)
from autolog.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    MetricSummary,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunStatus,
)

# How many ids one statement names; SQLite takes 32,766, PostgreSQL 65,535.
_IDS: Final = 10_000
# What makes one JSON object of many rows, by dialect. Fetching rows is what costs, and this fetches one for each run.
_OBJECT: Final = {"sqlite": "json_group_object", "postgresql": "json_object_agg", "mysql": "json_objectagg"}

_decode_texts = msgspec.json.Decoder(dict[str, str]).decode


def make_runs(connection: Connection, rows: Sequence[Row[Any]], query: RunQuery, artifact_root: str) -> list[Run]:
    """Return the runs of these rows of ``runs``, with the parts that the query asks for."""
    ids = [row.id for row in rows]
    places = _fetch_places(connection, rows, artifact_root)
    run_params = fetch_texts(connection, params, ids) if query.params else {}
    run_tags = fetch_texts(connection, tags, ids) if query.tags else {}
    summaries = _fetch_summaries(connection, ids) if query.metrics else {}
    run_inputs = _fetch_inputs(connection, ids) if query.inputs else {}
    return [
        Run(
            info=_make_info(row, *places[row.experiment]),
            data=RunData(
                params=run_params.get(row.id, {}),
                tags=run_tags.get(row.id, {}),
                summaries=summaries.get(row.id, {}),
            ),
            inputs=RunInputs(dataset_inputs=tuple(run_inputs.get(row.id, ()))),
        )
        for row in rows
    ]


def fetch_texts(connection: Connection, table: Table, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return the params or tags of these runs or experiments."""
    owner = table.primary_key.columns[0]
    objects = getattr(func, _OBJECT[connection.dialect.name])(table.c.key, table.c.value)
    statement = select(owner, cast(objects, Text)).group_by(owner)
    return {row: _decode_texts(texts) for row, texts in _for_each(connection, statement, owner, ids)}


def _fetch_places(connection: Connection, rows: Sequence[Row[Any]], artifact_root: str) -> dict[int, tuple[str, str]]:
    """Return the id of each of the runs' experiments, and what their artifact URIs begin with."""
    statement = select(experiments.c.id, experiments.c.experiment_id, experiments.c.artifact_location)
    found = _for_each(connection, statement, experiments.c.id, sorted({row.experiment for row in rows}))
    return {row: (experiment_id, location or artifact_root) for row, experiment_id, location in found}


def _make_info(row: Row[Any], experiment_id: str, artifact_root: str) -> RunInfo:
    return RunInfo(
        run_id=row.run_id,
        experiment_id=experiment_id,
        run_name=row.run_name,
        user_id=row.user_id,
        status=RunStatus(row.status),
        start_time=row.start_time,
        end_time=row.end_time,
        lifecycle_stage=LifecycleStage(row.lifecycle_stage),
        artifact_uri=artifact_root + row.artifact_path,
    )


def _fetch_summaries(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, MetricSummary]]:
    columns = metric_summaries.c
    statement = select(
        columns.run,
        columns.key,
        columns.value,
        columns.timestamp,
        columns.step,
        columns.min,
        columns.max,
        columns.count,
    )
    summaries: dict[int, dict[str, MetricSummary]] = defaultdict(dict)
    for run, key, value, timestamp, step, least, greatest, count in _for_each(connection, statement, columns.run, ids):
        summaries[run][key] = MetricSummary(value, timestamp, step, least, greatest, count)
    return summaries


def _fetch_inputs(connection: Connection, ids: Sequence[int]) -> dict[int, list[DatasetInput]]:
    statement = select(inputs.c.run, inputs.c.id, inputs.c.dataset).order_by(inputs.c.id)
    rows = list(_for_each(connection, statement, inputs.c.run, ids))
    if not rows:
        return {}
    used = _fetch_datasets(connection, sorted({dataset for _, _, dataset in rows}))
    input_columns = select(input_tags.c.input, input_tags.c.key, input_tags.c.value).order_by(input_tags.c.ordinal)
    tags_of: dict[int, list[InputTag]] = defaultdict(list)
    for row, key, value in _for_each(connection, input_columns, input_tags.c.input, [row for _, row, _ in rows]):
        tags_of[row].append(InputTag(key, value))
    found: dict[int, list[DatasetInput]] = defaultdict(list)
    for run, row, dataset in rows:
        found[run].append(DatasetInput(dataset=used[dataset], tags=tuple(tags_of[row])))
    return found


def _fetch_datasets(connection: Connection, ids: Sequence[int]) -> dict[int, Dataset]:
    columns = [datasets.c[name] for name in Dataset.__struct_fields__]
    found = _for_each(connection, select(datasets.c.id, *columns), datasets.c.id, ids)
    return {row: Dataset(**dict(zip(Dataset.__struct_fields__, fields, strict=True))) for row, *fields in found}


def _for_each(connection: Connection, statement: Any, column: ColumnElement[int], ids: Sequence[int]) -> Iterator[Any]:
    """Yield a statement's rows for the ids in a column, in as many statements as there are bounds to one's length."""
    for start in range(0, len(ids), _IDS):
        yield from connection.execute(statement.where(column.in_(ids[start : start + _IDS]))).all()
