"""The nouns that a reader returns: immutable records with MLflow's names and attributes.

Times are integers of milliseconds since the Unix epoch, as in MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from msgspec import Struct, field

DEFAULT_EXPERIMENT_ID: Final = "0"
DEFAULT_EXPERIMENT_NAME: Final = "Default"


class _PlainText(str, Enum):
    """An enumeration whose members print as the plain texts that MLflow has in their place."""

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, format_spec: str) -> str:
        return format(str(self.value), format_spec)


class RunStatus(_PlainText):
    """The states of a run, spelt as in MLflow's protocol."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def is_terminated(self) -> bool:
        """Whether no more is expected of a run in this state."""
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


class LifecycleStage(_PlainText):
    """Whether a person deleted the object; deleted ones can be restored."""

    ACTIVE = "active"
    DELETED = "deleted"


class ViewType(str, Enum):
    """Which lifecycle stages a search looks at."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"

    def includes(self, stage: LifecycleStage) -> bool:
        """Say whether an object in this stage is seen by the view."""
        return self is ViewType.ALL or (self is ViewType.ACTIVE_ONLY) == (stage is LifecycleStage.ACTIVE)


class Experiment(Struct, frozen=True, kw_only=True):
    """A named group of runs."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    creation_time: int = 0
    last_update_time: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)


class Metric(Struct, frozen=True, gc=False):
    """One point of a metric."""

    key: str
    value: float
    timestamp: int
    step: int


# Without the garbage collector's interest where a record holds texts and numbers alone: a search makes many at once.
class MetricSummary(Struct, frozen=True, gc=False):
    """What is kept of a whole metric: the latest point by (step, timestamp, value), the extremes, the count.

    ``min`` and ``max`` ignore NaN, and are NaN only where every value is.
    """

    value: float
    timestamp: int
    step: int
    min: float
    max: float
    count: int


class Dataset(Struct, frozen=True, kw_only=True):
    """A data set as MLflow describes one: ``schema`` and ``profile`` are JSON texts, ``source`` says where it is."""

    name: str
    digest: str
    source_type: str = "code"
    source: str = "{}"
    schema: str | None = None
    profile: str | None = None


class InputTag(Struct, frozen=True):
    """A tag on the use of a data set, such as ``mlflow.data.context`` = ``train``."""

    key: str
    value: str


class DatasetInput(Struct, frozen=True, kw_only=True):
    """The use of a data set by a run."""

    dataset: Dataset
    tags: tuple[InputTag, ...] = ()


class RunInputs(Struct, frozen=True, kw_only=True):
    """What went into a run."""

    dataset_inputs: tuple[DatasetInput, ...] = ()


class RunInfo(Struct, frozen=True, kw_only=True, gc=False):
    """A run's identity and state."""

    run_id: str
    experiment_id: str
    run_name: str = ""
    user_id: str = ""
    status: RunStatus = RunStatus.RUNNING
    start_time: int | None = None
    end_time: int | None = None
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    artifact_uri: str = ""

    @property
    def run_uuid(self) -> str:
        """The run's id under MLflow's older name."""
        return self.run_id


class RunData(Struct, frozen=True, kw_only=True):
    """A run's params, tags and metrics; ``metrics`` are the latest values, ``summaries`` the rest of what is kept."""

    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    summaries: Mapping[str, MetricSummary] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """The latest value of every metric."""
        return {key: summary.value for key, summary in self.summaries.items()}


class Run(Struct, frozen=True, kw_only=True):
    """A run as it stands in the store."""

    info: RunInfo
    data: RunData = field(default_factory=RunData)
    inputs: RunInputs = field(default_factory=RunInputs)


class Artifact(Struct, frozen=True, kw_only=True):
    """A stored file: its path below the run's artifact folder, its size in bytes and the SHA-256 of its content."""

    path: str
    size: int
    sha256: str


class FileInfo(Struct, frozen=True):
    """An entry of an artifact folder, with MLflow's attribute names; ``file_size`` is None for a folder."""

    path: str
    is_dir: bool
    file_size: int | None = None
