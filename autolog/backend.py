"""What a store must do: the Backend and Reader contracts, and the batch that passes between writer and backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from autolog.entities import Artifact, Experiment, Metric, Run, ViewType
from autolog.events import Fact

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

T = TypeVar("T")

# Nothing in a protocol bounds a page; this keeps one reply within what a person or a process can hold.
MAX_RESULTS = 50_000


class Position(NamedTuple):
    """How much of a journal has been used: a count of facts and a count of points since its beginning."""

    facts: int = 0
    points: int = 0


class Points(Struct, frozen=True):
    """The points of one metric in one batch, in the order in which they were logged.

    ``numbers`` (int64, ascending) are their places in the journal's point stream, ``steps`` (int64),
    ``timestamps`` (int64, milliseconds) and ``values`` (float64) their content; all have shape (n,).
    """

    run_id: str
    key: str
    numbers: NDArray[numpy.int64]
    steps: NDArray[numpy.int64]
    timestamps: NDArray[numpy.int64]
    values: NDArray[numpy.float64]

    def beyond(self, seen: int) -> Points:
        """Return those whose numbers are not below a count of points that have been seen."""
        first = int(self.numbers.searchsorted(seen))
        if first == 0:
            return self
        return Points(
            self.run_id,
            self.key,
            self.numbers[first:],
            self.steps[first:],
            self.timestamps[first:],
            self.values[first:],
        )


class Batch(Struct, frozen=True):
    """Consecutive records of one journal.

    ``facts`` carries every fact with its number in the journal's fact stream, ascending.
    ``end`` is the position in the journal after the batch.
    """

    journal: str
    end: Position
    facts: Sequence[tuple[int, Fact]] = ()
    points: Sequence[Points] = ()


class Backend(Protocol):
    """Stores what a journal holds. One thread at a time calls it.

    A backend raises ``BackendUnavailable`` for what may pass (the writer tries the same batch again, for ever)
    and another ``BackendError`` for what will not.
    """

    def write(self, batch: Batch) -> None:
        """Store a batch: on return all of it is in the store, and after a failure a second call completes it.

        Records are identified by (journal, number); one that the store has already seen is passed over,
        so that writing a batch twice, or an overlapping one, is harmless.
        Facts come before points; facts about a run or experiment that the store does not hold are passed over
        with a warning on the ``autolog`` logger.
        """

    def artifact_uri(self, run_id: str) -> str:
        """Return the folder of a run's artifacts as a URL that fsspec understands.

        Raises:
            NotFound: the store holds no such run.
        """
        ...

    def record_artifacts(self, run_id: str, artifacts: Sequence[Artifact]) -> None:
        """Note what has been stored below the run's artifact folder; a path that is noted again is replaced."""

    def remove_deleted(self, run_ids: Sequence[str] = (), experiment_ids: Sequence[str] = ()) -> None:
        """Remove runs for ever, and experiments with all of their runs; their artifacts' files are the caller's.

        Only what is deleted goes: a run that is itself, or is in an experiment that is, and an experiment that is.
        The others are left, and so is what is not there.
        What a journal says of a removed run later is passed over, as of any run that the store does not hold.
        Where this is cut off, the same call completes it.
        """

    def reopen(self) -> None:
        """Drop the handles that a fork has copied, without closing what the parent still uses."""

    def close(self) -> None:
        """Give every handle back."""


class Page(Struct, Generic[T], frozen=True):
    """One page of a search, and the token that asks for the next; None after the last."""

    items: Sequence[T]
    token: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class History(Struct, frozen=True):
    """The points of one metric of one run as arrays of shape (n,), ordered by step, then timestamp, then arrival."""

    key: str
    steps: NDArray[numpy.int64]
    timestamps: NDArray[numpy.int64]
    values: NDArray[numpy.float64]

    def __len__(self) -> int:
        return len(self.steps)

    def metrics(self) -> list[Metric]:
        """Return the points as Metric records."""
        return [
            Metric(self.key, value, timestamp, step)
            for step, timestamp, value in zip(
                self.steps.tolist(), self.timestamps.tolist(), self.values.tolist(), strict=True
            )
        ]


class RunQuery(Struct, frozen=True):
    """What a search of runs asks for.

    ``filter`` and ``order_by`` follow the grammar of ``search``; ``experiment_ids`` None means every experiment.
    The order is completed by ``start_time DESC, run_id`` where ``order_by`` is empty, and by ``run_id`` always.
    ``params``, ``tags`` and ``metrics`` False leave that part of every returned run empty, for speed.
    """

    experiment_ids: Sequence[str] | None = None
    filter: str = ""
    view: ViewType = ViewType.ACTIVE_ONLY
    order_by: Sequence[str] = ()
    max_results: int = 1000
    page_token: str | None = None
    params: bool = True
    tags: bool = True
    metrics: bool = True
    inputs: bool = True


class ExperimentQuery(Struct, frozen=True):
    """What a search of experiments asks for; the default order is ``creation_time DESC, experiment_id ASC``."""

    filter: str = ""
    view: ViewType = ViewType.ACTIVE_ONLY
    order_by: Sequence[str] = ()
    max_results: int = 1000
    page_token: str | None = None


class Reader(Protocol):
    """Reads a store. Safe to use from several threads; never writes, and never makes a store that is not there."""

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment. Raises NotFound."""
        ...

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of this exact name, deleted or not; None where there is none."""
        ...

    def search_experiments(self, query: ExperimentQuery) -> Page[Experiment]:
        """Return one page of the experiments that match. Raises InvalidFilter, InvalidParameter."""
        ...

    def get_run(self, run_id: str) -> Run:
        """Return a run, deleted or not. Raises NotFound."""
        ...

    def search_runs(self, query: RunQuery) -> Page[Run]:
        """Return one page of the runs that match. Raises InvalidFilter, InvalidParameter."""
        ...

    def count_runs(self, query: RunQuery) -> int:
        """Return how many runs match, whatever the page. Raises InvalidFilter."""
        ...

    def metric_history(self, run_id: str, key: str, max_points: int | None = None) -> History:
        """Return a metric's points; empty for a key that the run has not.

        ``max_points`` thins a longer history: the first and last point stay, and of every stretch between them
        the smallest and the largest value, so that a plot of it keeps its peaks.

        Raises:
            NotFound: the store holds no such run.
        """
        ...

    def artifacts(self, run_id: str) -> Sequence[Artifact]:
        """Return what is known to be stored for a run, ordered by path. Raises NotFound."""
        ...

    def close(self) -> None:
        """Give every handle back."""
