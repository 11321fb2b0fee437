"""Records as pandas DataFrames."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from autolog.artifact_store import ArtifactStore
from autolog.entities import Run
from autolog.errors import InvalidParameter, MissingDependency, NotFound

if TYPE_CHECKING:
    import pandas

    from autolog.run import ActiveRun

# The tag in which MLflow lists the tables of a run.
LOGGED_TAG: Final = "mlflow.loggedArtifacts"


def runs_to_frame(runs: Sequence[Run]) -> pandas.DataFrame:
    """Return runs as a DataFrame with MLflow's columns: a row a run, ``metrics.``, ``params.`` and ``tags.`` prefixed.

    Raises:
        MissingDependency: pandas is not installed.
    """
    pd = import_pandas()
    infos = [run.info for run in runs]
    columns: dict[str, Any] = {
        "run_id": [info.run_id for info in infos],
        "experiment_id": [info.experiment_id for info in infos],
        "status": [info.status.value for info in infos],
        "artifact_uri": [info.artifact_uri for info in infos],
        "start_time": pd.to_datetime([info.start_time for info in infos], unit="ms", utc=True),
        "end_time": pd.to_datetime([info.end_time for info in infos], unit="ms", utc=True),
    }
    summaries = [{key: each.value for key, each in run.data.summaries.items()} for run in runs]
    columns |= _spread("metrics", summaries, float("nan"))
    columns |= _spread("params", [run.data.params for run in runs], None)
    columns |= _spread("tags", [run.data.tags for run in runs], None)
    frame: pandas.DataFrame = pd.DataFrame(columns)
    return frame


def _spread(prefix: str, rows: Sequence[Mapping[str, Any]], missing: Any) -> dict[str, list[Any]]:
    """Return a column for each key that any of the rows has, with what a row without it gets."""
    # Runs that have the same keys, as those of one program do, are turned over together.
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        alike.setdefault(tuple(row), []).append(place)
    columns: dict[str, list[Any]] = {}
    for keys, places in alike.items():
        for key, values in zip(keys, zip(*(rows[place].values() for place in places), strict=True), strict=True):
            column = columns.setdefault(f"{prefix}.{key}", [])
            if len(places) == len(rows):
                column.extend(values)
                continue
            if not column:
                column.extend([missing] * len(rows))
            for place, value in zip(places, values, strict=True):
                column[place] = value
    return columns


def append_table(run: ActiveRun, data: Any, artifact_file: str) -> None:
    """Log a table, with the rows that an earlier call has logged under the same name before it."""
    pd = import_pandas()
    suffix = PurePosixPath(artifact_file).suffix
    if suffix not in {".json", ".parquet"}:
        raise InvalidParameter(f"a table's name ends in .json or .parquet, unlike {artifact_file!r}")
    frame = data if isinstance(data, pd.DataFrame) else _to_frame(pd, data)
    stored = run.read()
    if _has_table(stored, artifact_file):
        frame = pd.concat([_load(pd, stored, artifact_file), frame], ignore_index=True)
    else:
        logged = json.loads(stored.data.tags.get(LOGGED_TAG, "[]"))
        run.set_tag(LOGGED_TAG, json.dumps([*logged, {"path": artifact_file, "type": "table"}]))
    buffer = io.BytesIO()
    if suffix == ".json":
        buffer.write(frame.to_json(orient="split", index=False).encode())
    else:
        frame.to_parquet(buffer, index=False)
    run.log_content(artifact_file, buffer.getvalue())


def load_tables(runs: Sequence[Run], artifact_file: str, extra_columns: Sequence[str] = ()) -> pandas.DataFrame:
    """Return the tables that runs have logged under a name, one below the other.

    Args:
        runs: those that have no such table are passed over.
        artifact_file: the name.
        extra_columns: columns of ``runs_to_frame`` to put beside every row.

    Raises:
        NotFound: no run has such a table.
        InvalidParameter: an extra column is none of a run, or is the table's own.
    """
    pd = import_pandas()
    logged = [run for run in runs if _has_table(run, artifact_file)]
    if not logged:
        raise NotFound(f"none of {len(runs)} runs has a table {artifact_file!r}")
    about = runs_to_frame(logged)
    tables = []
    for place, run in enumerate(logged):
        table = _load(pd, run, artifact_file)
        for column in extra_columns:
            if column not in about.columns or column in table.columns:
                raise InvalidParameter(f"the extra column {column!r} is no column of search_runs, or the table's own")
            table[column] = about[column].iloc[place]
        tables.append(table)
    frame: pandas.DataFrame = pd.concat(tables, ignore_index=True)
    return frame


def import_pandas() -> Any:
    """Return pandas.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "pandas is needed for this: pip install 'autolog-ml[pandas]', or ask for output_format='list'"
        ) from error
    return pd


def _to_frame(pd: Any, data: Any) -> Any:
    if not isinstance(data, dict):
        raise InvalidParameter(f"a table is a dict of columns or a DataFrame, not a {type(data).__name__}")
    try:
        return pd.DataFrame(data)
    except ValueError:
        # Scalars make a table of one row.
        return pd.DataFrame({key: [value] for key, value in data.items()})


def _has_table(run: Run, artifact_file: str) -> bool:
    logged = json.loads(run.data.tags.get(LOGGED_TAG, "[]"))
    return any(entry.get("path") == artifact_file for entry in logged)


def _load(pd: Any, run: Run, artifact_file: str) -> Any:
    store = ArtifactStore(run.info.artifact_uri)
    with store.open(artifact_file) as file:
        content = file.read()
    if artifact_file.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    return pd.read_json(io.BytesIO(content), orient="split")
