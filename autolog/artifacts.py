"""Reading the files of runs back: MLflow's ``mlflow.artifacts``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autolog import tracking
from autolog.api.runs import get_run
from autolog.config import resolve_backend
from autolog.entities import FileInfo
from autolog.errors import InvalidParameter, MissingDependency

if TYPE_CHECKING:
    from autolog.artifact_store import ArtifactStore


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """Return the files and folders directly in an artifact folder.

    Args:
        artifact_uri: the folder: ``runs:/<run id>/<path>`` or a URL; give this or ``run_id``.
        run_id: the run whose folder it is.
        artifact_path: a folder below it.
        tracking_uri: another store than the current one.

    Raises:
        InvalidParameter: neither or both of URI and id are given.
        NotFound: there is no run with the id.
    """
    with _using(tracking_uri):
        folder, path = _locate(artifact_uri, run_id, artifact_path)
        return list(_store(folder).list(path))


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Copy an artifact, or a folder of them, to the local disk, and return where it is.

    Args:
        artifact_uri: as ``list_artifacts`` takes it.
        run_id: the same.
        artifact_path: the same.
        dst_path: a folder, made where there is none; a new temporary one where it is not given.
        tracking_uri: another store than the current one.

    Raises:
        InvalidParameter: neither or both of URI and id are given.
        NotFound: there is no such run or artifact.
    """
    import tempfile

    with _using(tracking_uri):
        folder, path = _locate(artifact_uri, run_id, artifact_path)
        destination = Path(tempfile.mkdtemp(prefix="autolog-")) if dst_path is None else Path(dst_path)
        return str(_store(folder).download(path, destination).resolve())


def load_text(artifact_uri: str) -> str:
    """Return an artifact's text. Raises NotFound."""
    return _read(artifact_uri).decode()


def load_dict(artifact_uri: str) -> Any:
    """Return what an artifact holds as JSON. Raises NotFound, and InvalidParameter where it is no JSON."""
    try:
        import json

        return json.loads(_read(artifact_uri))
    except ValueError as error:
        raise InvalidParameter(f"the artifact {artifact_uri!r} is no JSON: {error}") from error


def load_image(artifact_uri: str) -> Any:
    """Return an artifact as a PIL image. Raises NotFound, and MissingDependency where Pillow is not installed."""
    import io

    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingDependency("the package 'pillow' is needed to load an image: pip install pillow") from error
    return Image.open(io.BytesIO(_read(artifact_uri)))


def _read(artifact_uri: str) -> bytes:
    folder, path = _locate(artifact_uri, None, None)
    with _store(folder).open(path) as file:
        return file.read()


def _locate(uri: str | None, run_id: str | None, path: str | None) -> tuple[str, str]:
    """Return an artifact folder and a path in it."""
    if (uri is None) == (run_id is None):
        raise InvalidParameter("give either artifact_uri or run_id to name artifacts")
    if run_id is not None:
        return get_run(run_id).info.artifact_uri, path or ""
    text = str(uri).rstrip("/")
    if text.startswith("runs:/"):
        run_id, _, inside = text.removeprefix("runs:").lstrip("/").partition("/")
        return get_run(run_id).info.artifact_uri, "/".join(part for part in (inside, path) if part)
    folder, _, name = text.rpartition("/")
    return folder, "/".join(part for part in (name, path) if part)


@contextlib.contextmanager
def _using(tracking_uri: str | None) -> Iterator[None]:
    if tracking_uri is None:
        yield
    else:
        with tracking.using(resolve_backend(tracking_uri)):
            yield


def _store(folder: str) -> ArtifactStore:
    from autolog.artifact_store import ArtifactStore

    return ArtifactStore(folder)
