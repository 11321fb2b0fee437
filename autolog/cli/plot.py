"""``autolog show --plot``: which figures a run has, and drawing them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from autolog.artifact_store import ArtifactStore
from autolog.backend import Reader
from autolog.cli import text
from autolog.cli.columns import ID_LENGTH
from autolog.cli.lookup import did_you_mean
from autolog.cli.options import Format
from autolog.cli.output import Column, hint, print_csv, print_json, print_table
from autolog.entities import Artifact, Run
from autolog.errors import InvalidParameter, NotFound, StoreCorrupted
from autolog.figure_kinds import KINDS
from autolog.figures import FOLDER, Figure, decode_figure

_METRIC: Final = "metric:"
# As wide as any drawing.
_POINTS: Final = 2_000

SHORT_NAMES: Final = {
    "confusion": "confusion_matrix",
    "pr": "precision_recall",
    "importance": "feature_importance",
    "permutation": "permutation_importance",
    "cv": "cross_validation",
}


@dataclass(frozen=True)
class _Stored:
    """A figure of a run, and where it is kept."""

    run: Run
    path: str
    figure: Figure


def plot(reader: Reader, runs: Sequence[Run], wanted: str, target: Path | None, output: Format) -> None:
    """Draw figures of some runs into a file, or print which there are, or what they hold.

    Args:
        reader: of the store.
        runs: at least one.
        wanted: a kind, a figure's name, ``metric:`` and a metric's name, or ``list``.
        target: the file; by default named like the figure, in this folder.
        output: JSON prints the figures' data in place of drawing them, unless a file is named.

    Raises:
        NotFound: a run has no such figure.
        InvalidParameter: there is no such kind, or the file's name ends in no format that can be drawn.
    """
    if wanted == "list":
        _list(reader, runs, output)
        return
    if wanted.startswith(_METRIC):
        chosen = [_history(reader, run, wanted.removeprefix(_METRIC)) for run in runs]
    else:
        chosen = [each for run in runs for each in _choose(run, _stored(reader, run), wanted)]
    if target is None and output is Format.JSON:
        print_json(
            [{"run_id": each.run.info.run_id, **msgspec.to_builtins(each.figure)} for each in chosen],
        )
        return
    if output is Format.CSV:
        raise InvalidParameter("a figure is drawn, or printed as JSON; --format csv prints the list of them")
    from autolog.plots import draw
    from autolog.plots_subjects import Shown

    if target is None:
        names = {each.figure.name for each in chosen}
        name = chosen[0].figure.name if len(names) == 1 else chosen[0].figure.kind
        target = Path(f"{name.replace('/', '_')}.png")
    draw([Shown(_name(each.run, runs), each.figure) for each in chosen], target)
    hint(f"written to {target}")


def _list(reader: Reader, runs: Sequence[Run], output: Format) -> None:
    rows = [
        {
            "run_id": run.info.run_id,
            "plot": _METRIC + each.figure.data.key if each.figure.kind == "metric" else _shortest(each.figure.kind),
            "name": each.figure.name,
            "path": each.path,
        }
        for run in runs
        for each in [*_stored(reader, run, told=True), *_histories(run)]
    ]
    if output is Format.JSON:
        print_json(rows)
    elif output is Format.CSV:
        print_csv(["run_id", "plot", "name", "path"], rows)
    elif not rows:
        hint("there is nothing to draw: no figure, and no metric of more than one point")
    else:
        columns = [Column("--plot", [text.line(row["plot"]) for row in rows], limit=60)]
        columns.append(Column("figure", [text.line(row["name"]) for row in rows], limit=60))
        if len(runs) > 1:
            columns.insert(0, Column("run", [row["run_id"][:ID_LENGTH] for row in rows]))
        print_table(columns)
        hint(f"autolog show {runs[0].info.run_id[:ID_LENGTH]} --plot {rows[0]['plot']} -o figure.png   draws it")


def _stored(reader: Reader, run: Run, *, told: bool = False) -> list[_Stored]:
    """Return the figures that a run has stored; ``told`` says of each other file there why it is none."""
    artifacts = [
        artifact
        for artifact in reader.artifacts(run.info.run_id)
        if artifact.path.startswith(f"{FOLDER}/") and artifact.path.endswith(".json")
    ]
    if not artifacts:
        return []
    store = ArtifactStore(run.info.artifact_uri)
    found = []
    for artifact in sorted(artifacts, key=lambda artifact: artifact.path):
        content = _read(store, artifact)
        try:
            found.append(_Stored(run, artifact.path, decode_figure(content)))
        except StoreCorrupted as error:
            # Somebody's own file, perhaps, or one of a newer autolog: the others can be drawn.
            if told:
                hint(f"{artifact.path} is passed over: {error}")
    return found


def _read(store: ArtifactStore, artifact: Artifact) -> bytes:
    with store.open(artifact.path) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise StoreCorrupted(f"the artifact {artifact.path!r} is not what was stored: its checksum has changed")
    return content


def _choose(run: Run, stored: Sequence[_Stored], wanted: str) -> list[_Stored]:
    """Return a run's figures of a kind, or the one of a name."""
    word = wanted.replace("-", "_")
    kind = SHORT_NAMES.get(word, word)
    found = [each for each in stored if wanted in {each.figure.name, each.path}] or [
        each for each in stored if each.figure.kind == kind
    ]
    if found:
        return found
    here = f"run {run.info.run_id[:ID_LENGTH]} has no figure {wanted!r}"
    has = sorted({_shortest(each.figure.kind) for each in stored})
    if kind in KINDS:
        raise NotFound(f"{here}; it has {', '.join(has) if has else 'none that is stored'}")
    known = [*(_shortest(each) for each in KINDS), *(each.figure.name for each in stored)]
    if wanted in run.data.summaries:
        raise InvalidParameter(f"{here}, but a metric of that name: --plot {_METRIC}{wanted}")
    raise InvalidParameter(
        f"{here}, and there is no such kind{did_you_mean(wanted, known)}; "
        f"kinds are {', '.join(_shortest(each) for each in KINDS)} and {_METRIC}NAME"
    )


def _histories(run: Run) -> list[_Stored]:
    """Return the metrics that have a curve, without their points."""
    from autolog.plots_subjects import Metric

    return [
        _Stored(run, "", Figure(kind="metric", name=key, data=Metric(key, [], [])))
        for key, summary in sorted(run.data.summaries.items())
        if summary.count > 1
    ]


def _history(reader: Reader, run: Run, key: str) -> _Stored:
    from autolog.plots_subjects import Metric

    if key not in run.data.summaries:
        close = did_you_mean(key, list(run.data.summaries))
        raise NotFound(f"run {run.info.run_id[:ID_LENGTH]} has no metric {key!r}{close}; `autolog show` lists them")
    history = reader.metric_history(run.info.run_id, key, _POINTS)
    data = Metric(key, history.steps.tolist(), history.values.tolist())
    if not any(map(math.isfinite, data.values)):
        raise InvalidParameter(f"the metric {key!r} of run {run.info.run_id[:ID_LENGTH]} has no finite value to draw")
    return _Stored(run, "", Figure(kind="metric", name=key, data=data))


def _shortest(kind: str) -> str:
    """Return the word that names a kind on the command line."""
    short = {long: word for word, long in SHORT_NAMES.items()}
    return short.get(kind, kind.replace("_", "-"))


def _name(run: Run, runs: Sequence[Run]) -> str:
    """Return what a drawing calls a run: its name, with the beginning of its id where another has the same."""
    name = run.info.run_name or run.info.run_id[:ID_LENGTH]
    same = sum(other.info.run_name == run.info.run_name for other in runs)
    return name if same == 1 else f"{name} {run.info.run_id[:ID_LENGTH]}"
