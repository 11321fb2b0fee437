"""Where things are in a store's folder, and what its JSON files say."""

from __future__ import annotations

import hashlib
import math
import os
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
from msgspec import Struct, field

from autolog.entities import Artifact, DatasetInput, LifecycleStage, MetricSummary, RunStatus
from autolog.errors import InvalidParameter, StoreCorrupted, StoreTooNew

FORMAT: Final = 1

STORE_FILE: Final = "store.json"
EXPERIMENT_FILE: Final = "experiment.json"
RUN_FILE: Final = "run.json"
ARTIFACTS_FOLDER: Final = "artifacts"

_MAX_SLUG: Final = 40

S = TypeVar("S", bound=Struct)


class StoreFile(Struct):
    """``store.json``."""

    format: int


class ExperimentFile(Struct, kw_only=True):
    """``experiment.json``; ``journals`` says how many facts of each journal that updated it have been used."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    creation_time: int = 0
    last_update_time: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    journals: dict[str, int] = field(default_factory=dict)


class JournalMark(Struct):
    """How much of a journal is in a file, and how many bytes of the metrics file beside it count."""

    id: str
    facts: int = 0
    points: int = 0
    metrics_bytes: int = 0


class RunFile(Struct, kw_only=True, omit_defaults=True):
    """``run.json``, or of another journal ``run.JOURNAL.json`` with what that journal changed.

    ``times`` says when something was changed (``status``, ``params.KEY``, ``tags.KEY`` …), in milliseconds:
    where several journals write to a run, the later change is the one that counts.
    A tag that is None there has been removed.
    """

    run_id: str
    experiment_id: str | None = None
    run_name: str | None = None
    user_id: str | None = None
    status: RunStatus | None = None
    start_time: int | None = None
    end_time: int | None = None
    lifecycle_stage: LifecycleStage | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    inputs: list[DatasetInput] = field(default_factory=list)
    metrics: dict[str, MetricSummary] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    times: dict[str, int] = field(default_factory=dict)
    journal: JournalMark


def store_folder(url: str) -> Path:
    """Return the folder that a URL such as ``file:./runs`` or ``file:///data/runs``, or a plain path, stands for.

    Raises:
        InvalidParameter: the URL names another machine.
    """
    scheme, separator, path = url.partition(":")
    if not separator or scheme.lower() != "file":
        path = url
    elif path.startswith("//"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise InvalidParameter(f"{url!r} names the machine {parts.netloc!r}; write file:///PATH or file:PATH")
        path = url2pathname(parts.path)
    if not path:
        raise InvalidParameter(f"{url!r} names no folder; write file:PATH, as in file:./autolog-runs")
    # Absolute, so that the store stays where it is when the program changes its working folder.
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - Path.resolve follows links


def experiment_folder_name(name: str, experiment_id: str) -> str:
    """Return the name of an experiment's folder: readable, and the same whoever makes it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-.")[:_MAX_SLUG].rstrip("-.")
    return f"{slug or 'experiment'}-{id_folder_name(experiment_id)}"


def id_folder_name(identifier: str) -> str:
    """Return an id as the name of a folder.

    One that another file system might reject, or take for the same as another id, gets its digest added.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", identifier):
        return identifier
    slug = re.sub(r"[^a-z0-9_-]+", "-", identifier.lower())[:_MAX_SLUG].strip("-")
    return f"{slug}-{hashlib.sha256(identifier.encode()).hexdigest()[:16]}".lstrip("-")


def run_file_name(journal: str) -> str:
    """Return the name of the file in which a journal that did not begin the run keeps its changes."""
    return f"run.{journal}.json"


def metrics_file_name(run_file: str) -> str:
    """Return the name of the metrics file that belongs to a run file."""
    return f"metrics{run_file.removeprefix('run').removesuffix('.json')}.csv"


def is_run_file(name: str) -> bool:
    """Say whether a file in a run's folder is its ``run.json`` or that of another journal."""
    return name.startswith("run.") and name.endswith(".json")


def encode(content: Struct) -> bytes:
    """Return the text of a file."""
    if isinstance(content, RunFile):
        metrics: Any = {key: _encodable(summary) for key, summary in content.metrics.items()}
        content = msgspec.structs.replace(content, metrics=metrics)
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _encodable(summary: MetricSummary) -> MetricSummary | dict[str, object]:
    if math.isfinite(summary.value) and math.isfinite(summary.min) and math.isfinite(summary.max):
        return summary
    # JSON has no such numbers; text is what the decoder takes for them.
    return {name: _number(value) for name, value in msgspec.structs.asdict(summary).items()}


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def decode(path: Path, content: bytes, kind: type[S]) -> S:
    """Return what the text of a file says.

    Raises:
        StoreCorrupted: it is not what such a file holds.
    """
    try:
        decoded: S = _decoder(kind).decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreCorrupted(
            f"{path} is damaged ({error}); restore it from a copy, or move it away to go on without it"
        ) from error
    return decoded


@cache
def _decoder(kind: type[Struct]) -> msgspec.json.Decoder[Any]:
    # Not strict, so that "NaN" and "Infinity" become numbers.
    return msgspec.json.Decoder(kind, strict=False)


def check_format(path: Path, content: bytes) -> None:
    """Check ``store.json``.

    Raises:
        StoreCorrupted: it cannot be read.
        StoreTooNew: a newer autolog wrote it.
    """
    version = decode(path, content, StoreFile).format
    if version > FORMAT:
        raise StoreTooNew(
            f"the store {path.parent} was made by a newer autolog: its files have format {version}, "
            f"and this one knows those up to {FORMAT}; upgrade autolog"
        )
