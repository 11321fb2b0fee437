"""``autolog artifacts``: the files of a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec
import typer

from autolog.cli import text
from autolog.cli.columns import ID_LENGTH
from autolog.cli.lookup import did_you_mean, find_run, open_store
from autolog.cli.options import BackendOption, Format, FormatOption, RunArgument
from autolog.cli.output import Column, hint, print_csv, print_json, print_table, progress
from autolog.entities import Artifact, Run
from autolog.errors import InvalidParameter, NotFound, StoreCorrupted

application = typer.Typer(no_args_is_help=True, help="List, print and download the files of a run.")

PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="A file or folder of the run, as `list` prints it.")]
_EVERYTHING = "."


@application.command("list")
def list_artifacts(
    run: RunArgument,
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="Only this folder.", show_default=False)] = _EVERYTHING,
    backend: BackendOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """List the files of a run, with size and checksum."""
    with open_store(backend) as reader:
        found = find_run(reader, run)
        artifacts = reader.artifacts(found.info.run_id)
    if artifacts or path != _EVERYTHING:
        artifacts = _below(found, artifacts, path)
    rows = msgspec.to_builtins(artifacts)
    if output is Format.JSON:
        print_json(rows)
    elif output is Format.CSV:
        print_csv(["path", "size", "sha256"], rows)
    elif not artifacts:
        hint(f"run {found.info.run_id[:ID_LENGTH]} has no artifacts")
    else:
        print_table(
            [
                Column("path", [text.line(artifact.path) for artifact in artifacts], limit=80),
                Column("size", [text.size(artifact.size) for artifact in artifacts], numeric=True),
                Column("sha256", [artifact.sha256[:12] for artifact in artifacts]),
            ]
        )


@application.command()
def show(run: RunArgument, path: PathArgument, backend: BackendOption = None) -> None:
    """Print a text file of a run."""
    from autolog.artifact_store import ArtifactStore

    with open_store(backend) as reader:
        found = find_run(reader, run)
        (artifact, *others) = _below(found, reader.artifacts(found.info.run_id), path)
    if others:
        raise InvalidParameter(f"{path!r} is a folder of {len(others) + 1} files; name one of them")
    with ArtifactStore(found.info.artifact_uri).open(artifact.path) as file:
        content = file.read()
    try:
        content.decode()
    except UnicodeDecodeError:
        raise InvalidParameter(f"{path!r} is not text; `autolog artifacts download` fetches it") from None
    sys.stdout.buffer.write(content)


@application.command()
def download(
    run: RunArgument,
    path: PathArgument,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DEST", help="Where to; by default the same name here.", show_default=False
        ),
    ] = None,
    backend: BackendOption = None,
) -> None:
    """Download a file or a whole folder (. is everything), and check it against its checksum."""
    from autolog.artifact_store import ArtifactStore
    from autolog.transfer import fetch_artifact

    with open_store(backend) as reader:
        found = find_run(reader, run)
        artifacts = _below(found, reader.artifacts(found.info.run_id), path)
    name = PurePosixPath(path).name or f"run-{found.info.run_id[:ID_LENGTH]}"
    if target is None:
        target = Path(name)
    elif target.is_dir():
        target /= name
    store = ArtifactStore(found.info.artifact_uri)
    with progress() as bar:
        task = bar.add_task("downloading files", total=len(artifacts))
        for artifact in artifacts:
            destination = _destination(target, artifact.path, path)
            destination.parent.mkdir(parents=True, exist_ok=True)
            fetch_artifact(store, artifact, destination)
            bar.advance(task)
    hint(f"{text.plural(len(artifacts), 'file')} in {target}" if len(artifacts) > 1 else f"written to {target}")


def _below(run: Run, artifacts: Sequence[Artifact], path: str) -> list[Artifact]:
    """Return the file of this path, or the files of this folder.

    Raises:
        NotFound: the run has neither.
    """
    wanted = PurePosixPath(path)
    found = [artifact for artifact in artifacts if PurePosixPath(artifact.path).is_relative_to(wanted)]
    if not found:
        close = did_you_mean(path, [artifact.path for artifact in artifacts])
        raise NotFound(
            f"run {run.info.run_id[:ID_LENGTH]} has no artifact {path!r}{close}; `autolog artifacts list` shows them"
        )
    return found


def _destination(target: Path, path: str, folder: str) -> Path:
    """Return where an artifact of a folder is written below the target; a store may not make us write elsewhere."""
    destination = target / PurePosixPath(path).relative_to(folder)
    if not destination.resolve().is_relative_to(target.resolve()):
        raise StoreCorrupted(f"the store lists an artifact {path!r}, which would be written outside of {target}")
    return destination
