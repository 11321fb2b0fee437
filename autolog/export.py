"""Runs and metric histories as flat rows, under the column names of MLflow's data frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from autolog.backend import History, Reader, RunQuery
from autolog.entities import Run
from autolog.pages import every_run

RUN_FIELDS: Final = ("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time")
HISTORY_FIELDS: Final = ("run_id", "key", "step", "timestamp", "value")
_PAGE = 500


def run_row(run: Run) -> dict[str, Any]:
    """Return a run as one flat row; times are texts as pandas prints them."""
    info = run.info
    return {
        "run_id": info.run_id,
        "experiment_id": info.experiment_id,
        "status": info.status.value,
        "artifact_uri": info.artifact_uri,
        "start_time": _time(info.start_time),
        "end_time": _time(info.end_time),
        **{f"metrics.{key}": value for key, value in run.data.metrics.items()},
        **{f"params.{key}": value for key, value in run.data.params.items()},
        **{f"tags.{key}": value for key, value in run.data.tags.items()},
    }


def run_fields(keys: set[str]) -> list[str]:
    """Return the columns of a table whose rows have these keys: identity, metrics, params, tags."""
    return [*RUN_FIELDS, *sorted(keys.difference(RUN_FIELDS))]


def export_fields(reader: Reader, experiment_ids: Sequence[str] | None) -> list[str]:
    """Return the columns that the rows of ``export_runs`` have together."""
    keys: set[str] = set()
    for row in export_runs(reader, experiment_ids):
        keys.update(row)
    return run_fields(keys)


def export_runs(reader: Reader, experiment_ids: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Yield every run that is not deleted as a row; None means all experiments."""
    query = RunQuery(experiment_ids=experiment_ids, max_results=_PAGE, inputs=False)
    yield from map(run_row, every_run(reader, query))


def export_histories(reader: Reader, experiment_ids: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Yield every point of every metric of every run that is not deleted."""
    query = RunQuery(experiment_ids=experiment_ids, max_results=_PAGE, params=False, tags=False, inputs=False)
    for run in every_run(reader, query):
        for key in sorted(run.data.summaries):
            yield from history_rows(run.info.run_id, reader.metric_history(run.info.run_id, key))


def history_rows(run_id: str, history: History) -> Iterator[dict[str, Any]]:
    """Yield the points of a metric as rows."""
    for metric in history.metrics():
        yield {
            "run_id": run_id,
            "key": metric.key,
            "step": metric.step,
            "timestamp": _time(metric.timestamp),
            "value": metric.value,
        }


def _time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(sep=" ", timespec="milliseconds")
