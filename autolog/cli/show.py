"""``autolog show``: everything that is known of one run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from autolog.backend import History, Reader
from autolog.cli import text
from autolog.cli.columns import ID_LENGTH
from autolog.cli.lookup import did_you_mean, find_run, open_store
from autolog.cli.options import BackendOption, Format, FormatOption
from autolog.cli.output import STATUS_STYLES, Column, hint, print_csv, print_json, print_table, stdout, waiting
from autolog.cli.records import full_document
from autolog.cli.runs import experiment_names
from autolog.entities import Artifact, LifecycleStage, Run
from autolog.errors import InvalidParameter, NotFound
from autolog.export import HISTORY_FIELDS, history_rows

_SPARK_WIDTH = 24
# Twice as many points as characters: a thinned history has the low and the high of every stretch.
_SPARK_POINTS = 2 * _SPARK_WIDTH
_ROWS_OF_HISTORY = 40
_DIFF_ENDINGS = (".diff", ".patch")


class ShowCommand(TyperCommand):
    """A command whose ``--plot`` may stand without a value, and then lists what there is to draw."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a ``--plot`` without a value the value that lists."""
        completed: list[str] = []
        for index, argument in enumerate(args):
            completed.append(argument)
            following = args[index + 1 : index + 2]
            if argument == "--plot" and (not following or following[0].startswith("-")):
                completed.append("list")
        return super().parse_args(ctx, completed)


def show(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="A run's id, the first four or more characters of it, or: last. Several can be drawn together.",
        ),
    ],
    backend: BackendOption = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="KEY", help="Print this metric's whole history.", show_default=False),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot",
            metavar="[KIND]",
            help="Draw a figure: roc, pr, confusion, calibration, residuals, importance, learning-curve, metric:NAME … "
            "Without a kind, list what there is.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to draw into: .png, .svg or .pdf; by default a .png here, named like the figure.",
            show_default=False,
        ),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show everything about one run, or draw its figures."""
    if plot is None and len(runs) > 1:
        raise InvalidParameter(
            "one run is shown at a time; `autolog compare` puts runs side by side, --plot draws them"
        )
    if plot is None and target is not None:
        raise InvalidParameter("--output is the file that --plot KIND draws into; --plot alone lists what there is")
    if plot is not None and metric is not None:
        raise InvalidParameter(f"--metric prints and --plot draws; to draw the metric: --plot metric:{metric}")
    with open_store(backend) as reader:
        if plot is not None:
            from autolog.cli.plot import plot as plot_runs

            plot_runs(reader, [find_run(reader, run) for run in dict.fromkeys(runs)], plot, target, output)
            return
        found = find_run(reader, runs[0])
        if metric is not None:
            _show_history(reader, found, metric, output)
            return
        artifacts = list(reader.artifacts(found.info.run_id))
        experiments = experiment_names(reader)
        if output is Format.JSON:
            print_json(full_document(found, experiments, artifacts))
        elif output is Format.CSV:
            print_csv(["kind", "key", "value"], _long_rows(found, artifacts))
        else:
            _print_run(reader, found, experiments, artifacts)


def _show_history(reader: Reader, run: Run, key: str, output: Format) -> None:
    summary = run.data.summaries.get(key)
    if summary is None:
        close = did_you_mean(key, list(run.data.summaries))
        raise NotFound(f"run {run.info.run_id[:ID_LENGTH]} has no metric {key!r}{close}; `autolog show` lists them")
    thinned = _ROWS_OF_HISTORY if output is Format.TABLE else None
    history = reader.metric_history(run.info.run_id, key, thinned)
    rows = list(history_rows(run.info.run_id, history))
    if output is Format.JSON:
        print_json(rows)
    elif output is Format.CSV:
        print_csv(HISTORY_FIELDS, rows)
    else:
        _print_history(run, history)
        if len(history) < summary.count:
            hint(f"{len(history)} of {summary.count} points, the extremes among them; --format csv prints all")


def _print_history(run: Run, history: History) -> None:
    start = run.info.start_time
    values = history.values.tolist()
    stdout().print(Text(text.sparkline(values, stdout().width), style="cyan"))
    print_table(
        [
            Column("step", [str(step) for step in history.steps.tolist()], numeric=True),
            Column(
                "time" if start is None else "after",
                [
                    text.moment(time) if start is None else text.duration(time - start)
                    for time in history.timestamps.tolist()
                ],
                numeric=True,
            ),
            Column(history.key, text.numbers(values), numeric=True),
        ]
    )


def _long_rows(run: Run, artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    kinds: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("param", run.data.params),
        ("metric", run.data.metrics),
        ("tag", run.data.tags),
        ("artifact", {artifact.path: artifact.size for artifact in artifacts}),
    )
    return [{"kind": kind, "key": key, "value": value} for kind, items in kinds for key, value in sorted(items.items())]


def _print_run(reader: Reader, run: Run, experiments: Mapping[str, str], artifacts: Sequence[Artifact]) -> None:
    console = stdout()
    info = run.info
    title = Text.assemble(
        (text.line(info.run_name) or info.run_id, "bold"), "  ", (info.status.value, STATUS_STYLES[info.status])
    )
    if info.lifecycle_stage is LifecycleStage.DELETED:
        title.append("  deleted", "red")
    console.print(title)
    _print_pairs(console, _identity(run, experiments, artifacts), key_style="dim")
    _print_metrics(console, reader, run)
    if run.data.params:
        _heading(console, "Params", len(run.data.params))
        _print_pairs(console, sorted(run.data.params.items()))
    if run.inputs.dataset_inputs:
        _heading(console, "Data sets", len(run.inputs.dataset_inputs))
        _print_pairs(console, _datasets(run))
    if run.data.tags:
        _heading(console, "Tags", len(run.data.tags))
        _print_pairs(console, sorted(run.data.tags.items()))
    if artifacts:
        _heading(console, "Artifacts", len(artifacts))
        _print_pairs(console, [(artifact.path, text.size(artifact.size)) for artifact in artifacts])


def _identity(run: Run, experiments: Mapping[str, str], artifacts: Sequence[Artifact]) -> list[tuple[str, str]]:
    info, tags = run.info, run.data.tags
    pairs = [("run id", info.run_id), ("experiment", experiments.get(info.experiment_id, info.experiment_id))]
    if info.start_time is not None:
        now = int(time.time() * 1000)
        began = f"{text.moment(info.start_time)} ({text.age(info.start_time, now)})"
        if info.end_time is not None:
            began += f", took {text.duration(info.end_time - info.start_time)}"
        pairs.append(("started", began))
    if info.user_id:
        pairs.append(("user", info.user_id))
    if source := tags.get("mlflow.source.name"):
        pairs.append(("source", source))
    if parent := tags.get("mlflow.parentRunId"):
        pairs.append(("child of", parent))
    if commit := tags.get("mlflow.source.git.commit"):
        branch = tags.get("mlflow.source.git.branch")
        pairs.append(("commit", f"{commit} ({branch})" if branch else commit))
    diffs = [artifact.path for artifact in artifacts if artifact.path.endswith(_DIFF_ENDINGS)]
    return pairs + [("changes", f"autolog artifacts show {info.run_id[:ID_LENGTH]} {path}") for path in diffs]


def _print_metrics(console: Console, reader: Reader, run: Run) -> None:
    summaries = sorted(run.data.summaries.items())
    if not summaries:
        return
    _heading(console, "Metrics", len(summaries))
    with waiting("reading metrics"):
        sparks = [_spark(reader, run, key, summary.count) for key, summary in summaries]
    several = any(summary.count > 1 for _, summary in summaries)
    columns = [
        Column("", [f"  {text.line(key)}" for key, _ in summaries], limit=48),
        Column("last", [text.number(summary.value) for _, summary in summaries], numeric=True),
    ]
    if several:
        columns += [
            Column("min", [text.number(summary.min) for _, summary in summaries], numeric=True),
            Column("max", [text.number(summary.max) for _, summary in summaries], numeric=True),
            Column("points", [str(summary.count) for _, summary in summaries], numeric=True),
            Column("", sparks, limit=_SPARK_WIDTH),
        ]
    print_table(columns, console)


def _spark(reader: Reader, run: Run, key: str, count: int) -> str:
    if count < 2:  # noqa: PLR2004 - one point is no line
        return ""
    history = reader.metric_history(run.info.run_id, key, _SPARK_POINTS)
    return text.sparkline(history.values.tolist(), _SPARK_WIDTH)


def _datasets(run: Run) -> list[tuple[str, str]]:
    pairs = []
    for used in run.inputs.dataset_inputs:
        contexts = [tag.value for tag in used.tags if tag.key == "mlflow.data.context"]
        details = [f"digest {used.dataset.digest}", *contexts]
        pairs.append((used.dataset.name, ", ".join(details)))
    return pairs


def _heading(console: Console, title: str, count: int) -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), (f" {count}", "dim")))


def _print_pairs(console: Console, pairs: Sequence[tuple[str, str]], key_style: str = "") -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=48)
    table.add_column(overflow="fold")
    for key, value in pairs:
        table.add_row(Text(f"  {text.line(key)}", key_style), Text(text.line(value)))
    console.print(table)
