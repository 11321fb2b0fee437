"""The files of a run, in a folder of any file system that fsspec knows: local, S3, GCS, Azure, memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

from autolog.entities import Artifact, FileInfo
from autolog.errors import BackendUnavailable, InvalidParameter, MissingDependency, NotFound
from autolog.values import to_text

_CHUNK: Final = 1 << 20
_PART: Final = re.compile(r"\.[0-9a-f]{32}\.part")


def validate_artifact_path(path: str) -> str:
    """Return an artifact's path if it is one: relative, with ``/`` between names, and inside of its folder.

    Nothing in it is decoded or resolved, so that what is checked is what is used;
    a byte of a file's name that is no UTF-8 becomes ?.

    Raises:
        InvalidParameter: it is absolute, names a drive, or has ``..``, an empty name, a backslash or a NUL.
    """
    names = path.split("/")
    if "\\" in path or "\0" in path or re.match("[A-Za-z]:", path) or any(name in ("", ".", "..") for name in names):
        raise InvalidParameter(
            f"{path!r} cannot be the path of an artifact; write names with / between them, such as plots/roc.png, "
            "without '..', '.', a backslash, a drive or a / at either end"
        )
    return to_text(path)


class ArtifactStore:
    """The artifact folder of one run.

    Args:
        uri: the folder as fsspec understands it: a path, ``s3://bucket/folder``, ``gs://…``, ``memory://…``.

    Raises:
        InvalidParameter: fsspec knows no such scheme.
        MissingDependency: the package for the scheme is not installed.
    """

    def __init__(self, uri: str) -> None:
        self._files, self._root = _open_folder(uri)
        self._is_local = isinstance(self._files, _LocalFiles)

    def put(self, source: Path | bytes, path: str) -> Artifact:
        """Store a file, in place of what is stored at the path; a reader sees all of it or none.

        Args:
            source: a local file, or the content itself.
            path: of the artifact.

        Raises:
            InvalidParameter: the path cannot be one of an artifact.
            BackendUnavailable: what has arrived is not as long as what was sent.
        """
        target = self._target(path)
        folder = posixpath.dirname(target)
        part = f"{folder}/.{uuid.uuid4().hex}.part"
        self._files.makedirs(folder, exist_ok=True)
        try:
            artifact = self._copy(source, part, path)
            self._rename(part, target)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(part)
            raise
        return artifact

    def list(self, path: str = "") -> Sequence[FileInfo]:
        """Return the files and folders directly in a folder, ordered by path; none where there is no such folder."""
        folder = self._target(path) if path else self._root
        self._files.invalidate_cache()
        try:
            entries: list[dict[str, Any]] = self._files.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for entry in entries:
            location = entry["name"].rstrip("/")
            name = posixpath.basename(location)
            # Listing a file, or an object store's marker of a folder, gives the thing itself.
            if location.strip("/") != folder.strip("/") and not _PART.fullmatch(name):
                is_folder = entry["type"] == "directory"
                size = None if is_folder else entry["size"]
                found.append(FileInfo(f"{path}/{name}" if path else name, is_folder, size))
        return sorted(found, key=lambda info: info.path)

    def open(self, path: str) -> IO[bytes]:
        """Open a stored file for reading.

        Raises:
            NotFound: there is none.
        """
        try:
            return cast("IO[bytes]", self._files.open(self._target(path), "rb"))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise _not_found(path) from error

    def download(self, path: str, destination: Path) -> Path:
        """Copy a stored file or folder to the same path below a local folder; return where it is.

        Args:
            path: of the artifact; empty for all of them.
            destination: a local folder, made where there is none.

        Raises:
            NotFound: nothing is stored at the path.
        """
        paths = self._find(path)
        for each in paths:
            local = destination / each
            local.parent.mkdir(parents=True, exist_ok=True)
            with self.open(each) as source, local.open("wb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
        return destination / path

    def delete(self, path: str) -> None:
        """Delete a stored file or folder.

        Raises:
            NotFound: nothing is stored at the path.
        """
        for each in self._find(path):
            self._files.rm_file(self._target(each))
        if self._is_local:
            # What may be left are empty folders, which an object store has not.
            shutil.rmtree(self._target(path), ignore_errors=True)

    def delete_all(self) -> None:
        """Delete whatever is stored in the folder; where there is nothing, that is fine."""
        if self._is_local:
            shutil.rmtree(self._root, ignore_errors=True)
        else:
            with contextlib.suppress(NotFound):
                for path in self._find(""):
                    self._files.rm_file(self._target(path))

    def _find(self, path: str) -> Sequence[str]:
        """Return the paths of all files at or below a path."""
        if path and self._files.isfile(self._target(path)):
            return [path]
        found: list[str] = []
        for info in self.list(path):
            found += self._find(info.path) if info.is_dir else [info.path]
        if not found and not (path and self._files.isdir(self._target(path))):
            raise _not_found(path)
        return found

    def _copy(self, content: Path | bytes, part: str, path: str) -> Artifact:
        digest = hashlib.sha256()
        size = 0
        opened = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        with opened as source, self._files.open(part, "wb") as sink:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                sink.write(chunk)
        arrived = self._files.info(part)["size"]
        if arrived != size:
            raise BackendUnavailable(f"of {size} bytes for the artifact {path!r}, {arrived} arrived")
        return Artifact(path=path, size=size, sha256=digest.hexdigest())

    def _rename(self, part: str, target: str) -> None:
        if self._is_local:
            os.replace(part, target)  # noqa: PTH105 - fsspec's paths are text
        else:
            # Not mv, which takes * and ? in a path for wildcards.
            self._files.cp_file(part, target)
            self._files.rm_file(part)

    def _target(self, path: str) -> str:
        return f"{self._root}/{validate_artifact_path(path)}"


def _open_folder(uri: str) -> tuple[Any, str]:
    local = uri.removeprefix("file://")
    if "://" not in local and "::" not in local:
        return _LocalFiles(), str(Path(local).absolute()).replace(os.sep, "/").rstrip("/")
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(uri)
    except ImportError as error:
        raise MissingDependency(f"{uri!r} needs another package: {error}") from error
    except ValueError as error:
        raise InvalidParameter(f"{uri!r} is no place for artifacts: {error}") from error
    return files, root.rstrip("/")


class _LocalFiles:
    """What is used of an fsspec file system, for local folders.

    Importing fsspec takes longer than importing all of autolog, and fails while the interpreter shuts down,
    which is when a short script's artifacts are stored.
    """

    open = staticmethod(open)
    isfile = staticmethod(os.path.isfile)
    isdir = staticmethod(os.path.isdir)
    rm_file = staticmethod(os.remove)

    def makedirs(self, path: str, *, exist_ok: bool) -> None:
        Path(path).mkdir(parents=True, exist_ok=exist_ok)

    def info(self, path: str) -> dict[str, Any]:
        return {"name": path, "size": Path(path).stat().st_size}

    def ls(self, path: str, *, detail: bool) -> list[dict[str, Any]]:  # noqa: ARG002  always with details here
        return [
            {
                "name": f"{path}/{entry.name}",
                "type": "directory" if entry.is_dir() else "file",
                "size": entry.stat().st_size,
            }
            for entry in os.scandir(path)
        ]

    def invalidate_cache(self) -> None:
        """Nothing is cached."""


def _not_found(path: str) -> NotFound:
    return NotFound(f"there is no artifact at {path!r}")
