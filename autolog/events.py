"""The facts that a process records: small, immutable, typed, encoded as MessagePack in a journal.

Metric points are not here: they are the one fact that is too frequent for an object,
and have a stream of fixed-size records of their own (see ``journal``).
Times are integers of milliseconds since the Unix epoch.
"""

from __future__ import annotations

from typing import Annotated, Union

import msgspec
from msgspec import Struct

from autolog.entities import DatasetInput, LifecycleStage, RunStatus


class Event(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Base of every fact."""


class ExperimentCreated(Event, frozen=True, kw_only=True):
    """An experiment is used; it is made if none has this name, and nothing happens if one has."""

    experiment_id: str
    name: str
    time: int
    artifact_location: str = ""
    tags: dict[str, str] = {}
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    last_update_time: int = 0


class ExperimentUpdated(Event, frozen=True, kw_only=True):
    """An experiment is renamed, deleted, restored or tagged; a tag whose value is None is removed."""

    experiment_id: str
    time: int
    name: str | None = None
    lifecycle_stage: LifecycleStage | None = None
    tags: dict[str, Union[str, None]] = {}


class RunCreated(Event, frozen=True, kw_only=True):
    """A run begins in the experiment of this name; a run with this id that exists already is left as it is."""

    run_id: str
    experiment_id: str
    experiment_name: str
    run_name: str
    start_time: int
    user_id: str = ""
    status: RunStatus = RunStatus.RUNNING
    tags: dict[str, str] = {}


class RunUpdated(Event, frozen=True, kw_only=True):
    """A run changes its status, end, name or lifecycle stage; what is None stays as it is.

    ``reopen`` takes the end time away again, for a run that is resumed.
    """

    run_id: str
    status: RunStatus | None = None
    end_time: int | None = None
    run_name: str | None = None
    lifecycle_stage: LifecycleStage | None = None
    reopen: bool = False


class ParamsLogged(Event, frozen=True, kw_only=True):
    """Params get values; the last value of a key is the one that counts."""

    run_id: str
    params: dict[str, str]


class TagsSet(Event, frozen=True, kw_only=True):
    """Tags get values; a tag whose value is None is removed."""

    run_id: str
    tags: dict[str, Union[str, None]]


class InputsLogged(Event, frozen=True, kw_only=True):
    """Data sets are used by a run; the same data set with the same tags counts once."""

    run_id: str
    inputs: tuple[DatasetInput, ...]


class ArtifactLogged(Event, frozen=True, kw_only=True):
    """A file belongs below the run's artifact folder at ``path``.

    Its content waits in the journal's stage under the name ``staged``, or, where it is small, is here.
    """

    run_id: str
    path: str
    staged: str = ""
    content: Union[bytes, None] = None


class SeriesDefined(Event, frozen=True, kw_only=True):
    """From here on ``series`` in the point stream means this metric of this run."""

    series: Annotated[int, msgspec.Meta(ge=1, lt=2**32)]
    run_id: str
    key: str


Fact = Union[
    ExperimentCreated,
    ExperimentUpdated,
    RunCreated,
    RunUpdated,
    ParamsLogged,
    TagsSet,
    InputsLogged,
    ArtifactLogged,
    SeriesDefined,
]

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Fact).decode
