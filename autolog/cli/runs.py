"""``autolog runs`` and ``autolog experiments``: what the store holds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, Any

import msgspec
import typer

from autolog.backend import ExperimentQuery, Reader, RunQuery
from autolog.cli import text
from autolog.cli.columns import identity_columns, metric_column, named_columns, param_column
from autolog.cli.lookup import PARENT_TAG, find_experiments, open_store, top_level
from autolog.cli.options import BackendOption, ExperimentsOption, FilterOption, Format, FormatOption
from autolog.cli.output import GAP, Column, hint, print_csv, print_json, print_table, stdout, waiting
from autolog.cli.records import run_document
from autolog.cli.telling import telling_metrics, telling_params
from autolog.entities import Experiment, LifecycleStage, Run, RunStatus, ViewType
from autolog.export import run_fields, run_row
from autolog.pages import every_experiment, every_run

# However narrow the table is, these are there.
_ALWAYS = ("run", "name", "status")
_UNREMARKABLE = RunStatus.FINISHED.value
# These are told only where they differ between the rows.
_WHERE_DIFFERENT = ("experiment", "data")


def runs(
    *,
    backend: BackendOption = None,
    experiment: ExperimentsOption = None,
    filter_: FilterOption = "",
    order_by: Annotated[
        list[str] | None,
        typer.Option("--order-by", metavar="FIELD [ASC|DESC]", help="As in: 'metrics.loss ASC'.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many runs at most.")] = 20,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="NAMES", help="As in: run,name,metrics.loss,params.C.", show_default=False),
    ] = None,
    children: Annotated[bool, typer.Option("--children", help="Show child runs below their parents.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted runs instead.")] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """List runs, with what tells them apart.

    The newest come first, unless --order-by says otherwise. The table shows the metrics and params that differ
    between these runs, as many as fit, and their status unless all are FINISHED; name the columns with --columns to
    choose them. A run with children, such as a search, says how many it has.
    """
    with open_store(backend) as reader:
        query = RunQuery(
            experiment_ids=find_experiments(reader, experiment),
            filter=top_level(filter_),
            view=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
            order_by=tuple(order_by or ()),
            max_results=limit,
        )
        with waiting("reading runs"):
            page = reader.search_runs(query)
            families = _families(reader, page.items, query.view, whole=children) if page.items else {}
        found = [member for run in page for member in (run, *(families.get(run.info.run_id, ()) if children else ()))]
        experiments = experiment_names(reader)
        if output is Format.JSON:
            print_json([run_document(run, experiments) for run in found])
        elif output is Format.CSV:
            rows = [run_row(run) for run in found]
            print_csv(run_fields({key for row in rows for key in row}), rows)
        elif not found:
            hint("no runs here" + (" that match" if filter_ or experiment else "; `autolog demo` makes some"))
        else:
            counts = {} if children else {run_id: len(members) for run_id, members in families.items()}
            print_runs(found, experiments, counts=counts, names=columns.split(",") if columns else None)
            if page.token is not None:
                with waiting("counting runs"):
                    total = reader.count_runs(query)
                hint(f"{len(page)} of {total} runs; --limit {total} shows all")


def experiment_names(reader: Reader) -> dict[str, str]:
    """Return the name of every experiment by its id."""
    query = ExperimentQuery(view=ViewType.ALL)
    return {experiment.experiment_id: experiment.name for experiment in every_experiment(reader, query)}


def _families(reader: Reader, parents: Sequence[Run], view: ViewType, *, whole: bool) -> dict[str, list[Run]]:
    """Return the children of runs by their parent's id, the oldest first; without params and metrics unless whole."""
    ids = ", ".join(f"'{run.info.run_id}'" for run in parents)
    query = RunQuery(
        filter=f"tags.`{PARENT_TAG}` IN ({ids})",
        view=view,
        order_by=("start_time ASC",),
        params=whole,
        metrics=whole,
        inputs=whole,
    )
    families: dict[str, list[Run]] = {}
    for child in every_run(reader, query):
        families.setdefault(child.data.tags[PARENT_TAG], []).append(child)
    return families


def print_runs(
    found: Sequence[Run],
    experiments: Mapping[str, str],
    *,
    counts: Mapping[str, int] | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Print runs as a table that fits the terminal.

    Args:
        found: the runs, each parent before its children.
        experiments: the names of the experiments by id.
        counts: how many children of a run are not shown.
        names: the columns to show; by default the ones that tell most, as many as fit.
    """
    console = stdout()
    identity = identity_columns(found, experiments, console.width)
    identity["name"] = dataclasses.replace(
        identity["name"], cells=[_display_name(run, found, counts or {}) for run in found]
    )
    if names is not None:
        print_table(named_columns(found, identity, names))
        return
    for name in _WHERE_DIFFERENT:
        if len(set(identity[name].cells)) == 1:
            del identity[name]
    if set(identity["status"].cells) == {_UNREMARKABLE}:
        del identity["status"]
    metrics = [metric_column(found, name) for name in telling_metrics(found)]
    params = [param_column(found, name) for name in telling_params(found)]
    ordered = [*identity.values(), *metrics, *params]
    always = [identity[name] for name in _ALWAYS if name in identity]
    chosen = {id(column) for column in always}
    room = console.width - sum(column.width for column in always)
    for column in _by_worth(identity, metrics, params):
        # The last column of a table needs no gap behind it.
        if column.width <= room + GAP:
            chosen.add(id(column))
            room -= column.width
    print_table([column for column in ordered if id(column) in chosen], console)


def _by_worth(identity: Mapping[str, Column], metrics: Sequence[Column], params: Sequence[Column]) -> list[Column]:
    """Return the columns that may be left out, in the order in which they get room; metrics and params take turns."""
    values = [column for pair in zip_longest(metrics, params) for column in pair if column is not None]
    context = [identity[name] for name in _WHERE_DIFFERENT if name in identity]
    return [*values[:1], *context, *values[1:2], identity["started"], identity["duration"], *values[2:]]


def _display_name(run: Run, found: Sequence[Run], counts: Mapping[str, int]) -> str:
    shown = {other.info.run_id for other in found}
    name = text.line(run.info.run_name)
    if run.data.tags.get(PARENT_TAG) in shown:
        return f"└ {name}"
    hidden = counts.get(run.info.run_id, 0)
    return f"{name} +{hidden}" if hidden else name


def experiments(
    *,
    backend: BackendOption = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted experiments instead.")] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """List experiments."""
    with open_store(backend) as reader, waiting("counting runs"):
        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        rows = [_experiment_row(reader, found) for found in every_experiment(reader, ExperimentQuery(view=view))]
    if output is Format.JSON:
        print_json(rows)
    elif output is Format.CSV:
        print_csv(["experiment_id", "name", "lifecycle_stage", "runs", "creation_time", "last_run_time"], rows)
    elif not rows:
        hint("no experiments here; `autolog demo` makes one")
    else:
        now = int(time.time() * 1000)
        print_table(
            [
                Column("name", [text.line(row["name"]) for row in rows]),
                Column("id", [row["experiment_id"] for row in rows]),
                Column("runs", [str(row["runs"]) for row in rows], numeric=True),
                Column(
                    "last run",
                    ["" if row["last_run_time"] is None else text.age(row["last_run_time"], now) for row in rows],
                    numeric=True,
                ),
            ]
        )


def _experiment_row(reader: Reader, found: Experiment) -> dict[str, Any]:
    view = ViewType.ACTIVE_ONLY if found.lifecycle_stage is LifecycleStage.ACTIVE else ViewType.ALL
    query = RunQuery(experiment_ids=[found.experiment_id], view=view)
    newest = reader.search_runs(
        msgspec.structs.replace(query, max_results=1, params=False, tags=False, metrics=False, inputs=False)
    )
    return {
        "experiment_id": found.experiment_id,
        "name": found.name,
        "lifecycle_stage": found.lifecycle_stage.value,
        "creation_time": found.creation_time,
        "tags": dict(found.tags),
        "runs": reader.count_runs(query),
        "last_run_time": next((run.info.start_time for run in newest), None),
    }
