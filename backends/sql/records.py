"""From rows of the tables to the records that a reader returns: each part of a page in one statement."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, Row, Table, Text, any_, cast, func, literal, select

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

_STATUSES: Final = {status.value: status for status in RunStatus}
_STAGES: Final = {stage.value: stage for stage in LifecycleStage}
_NO_INPUTS: Final = RunInputs()
_NAN: Final = math.nan

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
            info=_make_info(row, places),
            data=RunData(
                params=run_params.get(row[0], {}), tags=run_tags.get(row[0], {}), summaries=summaries.get(row[0], {})
            ),
            inputs=RunInputs(dataset_inputs=tuple(run_inputs[row[0]])) if row[0] in run_inputs else _NO_INPUTS,
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


def _make_info(row: Sequence[Any], places: Mapping[int, tuple[str, str]]) -> RunInfo:
    # By place, in the order of the table's columns: an attribute of a row takes as long to find as all of this.
    _, run_id, experiment, name, user, status, start, end, stage, artifact_path, *_ = row
    experiment_id, artifact_root = places[experiment]
    return RunInfo(
        run_id=run_id,
        experiment_id=experiment_id,
        run_name=name,
        user_id=user,
        status=_STATUSES[status],
        start_time=start,
        end_time=end,
        lifecycle_stage=_STAGES[stage],
        artifact_uri=artifact_root + artifact_path,
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
        summaries[run][key] = MetricSummary(
            # NaN is NULL, and MariaDB sends text, which says "inf" where that is so.
            _NAN if value is None else float(value),
            timestamp,
            step,
            _NAN if least is None else float(least),
            _NAN if greatest is None else float(greatest),
            count,
        )
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
    """Yield a statement's rows for the ids in a column, in as many statements as there are bounds to one's length.

    They are the driver's own tuples: of a page's hundred thousands, SQLAlchemy's rows would cost twice as much.
    One after the other, because many at once would call the garbage collector again and again.
    """
    for start in range(0, len(ids), _IDS):
        result = connection.execute(statement.where(_among(column, ids[start : start + _IDS], connection)))
        cursor: Any = result.cursor
        yield from cursor
        result.close()


def _among(column: ColumnElement[int], ids: Sequence[int], connection: Connection) -> ColumnElement[bool]:
    """The condition that a column holds one of these ids; as one parameter where the database takes that."""
    match connection.dialect.name:
        case "sqlite":
            listed = func.json_each(json.dumps(ids)).table_valued("value")
            return column.in_(select(listed.c.value))
        case "postgresql":
            return column == any_(literal(ids, ARRAY(BigInteger)))
    return column.in_(ids)
