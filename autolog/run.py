"""Runs as a program holds them: begun, logged to, ended; and which one is active here."""

from __future__ import annotations

import contextlib
import getpass
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from autolog.entities import DatasetInput, LifecycleStage, RunData, RunInfo, RunInputs, RunStatus
from autolog.errors import InvalidParameter
from autolog.events import ArtifactLogged, Fact, InputsLogged, ParamsLogged, RunCreated, RunUpdated, TagsSet
from autolog.guard import guard
from autolog.journal import Journal, JournalClosed
from autolog.segments import POINT_MARK, pack_point
from autolog.tracking import ExperimentName, Tracking
from autolog.values import to_metric_value, to_step, to_text, to_timestamp, validate_key

if TYPE_CHECKING:
    from autolog.entities import Run

PARENT_TAG: Final = "mlflow.parentRunId"
NOTE_TAG: Final = "mlflow.note.content"
RUN_NAME_TAG: Final = "mlflow.runName"
EXCEPTION_TAG: Final = "autolog.exception"
# When the run was deleted, in milliseconds: a tag, so that it is the same in every kind of store.
DELETION_TIME_TAG: Final = "autolog.deleted"

# Seconds.
_INTRODUCE_AGAIN: Final = 1.0

# Bytes. Up to here a file's content goes into the journal: to make a file for it takes some ten times as long.
_MOST_CARRIED: Final = 1 << 15

_pack = pack_point
_MARK = POINT_MARK
_now = time.time

active_runs: ContextVar[tuple[ActiveRun, ...]] = ContextVar("autolog_active_runs", default=())


class ActiveRun:
    """A run that this process writes to. As a context manager it is active inside, and ended at the end.

    Every logging method appends to the journal and returns; none waits for a store.
    Safe to use from several threads.

    Args:
        run_id: the run's id.
        experiment: the experiment it belongs to.
        to: where it is recorded.
        name: the run's name.
        parent_run_id: the run that this one is a child of.
        start_time: in milliseconds since the epoch.
    """

    def __init__(
        self,
        run_id: str,
        experiment: ExperimentName,
        to: Tracking,
        *,
        name: str = "",
        parent_run_id: str | None = None,
        start_time: int | None = None,
    ) -> None:
        self.run_id: Final = run_id
        self.experiment: Final = experiment
        self.created: RunCreated | None = None
        self.name = name
        self.parent_run_id: Final = parent_run_id
        self.start_time = start_time
        self.status = RunStatus.RUNNING
        self.params: dict[str, str] = {}
        self._has_training = False
        # Whether a hook has begun it, of which the code that is being trained knows nothing.
        self.is_of_a_hook = False
        # Whether it was begun by a step of a loop that nobody can see the end of, and waits for what ends it.
        self.is_of_a_loop = False
        self.finishers: list[Callable[[], object]] = []
        """What is called, once, when the run ends: the last chance to log to it."""
        self._ended = False
        self._is_introduced = True
        self._introduce_at = 0.0
        self._turn = threading.RLock()
        self.tracking: Final = to
        self._recorder = to.recorder
        self._series: dict[str, int] = {}
        self._journal: Journal | None = self._recorder.journal
        self._recorder.watch_fork(self)

    # -- logging ---------------------------------------------------------------------------------------------------

    def log_metric(self, key: str, value: float, step: int | None = None, timestamp: int | None = None) -> None:
        """Log one point of a metric.

        Args:
            key: the metric's name.
            value: a number, or what converts to one by ``float``; NaN and ±inf are kept.
            step: an integer; 0 where it is not given, as in MLflow.
            timestamp: milliseconds since the epoch; now where it is not given.

        Raises:
            InvalidParameter: the value is not a number, the step not an integer, or the key not a name.
        """
        try:
            seconds = _now() if timestamp is None else to_timestamp(timestamp) / 1000
            if step is None:
                step = 0
            # The journal is looked up before the series, as ``_open_journal`` changes them the other way round.
            self._journal.write_point(  # type: ignore[union-attr]  # None is what the except is for
                _pack(self._series[key], _MARK, step, seconds, value) * 2
            )
        except Exception:  # noqa: BLE001  a new key, an odd type, a full segment: all ordinary, all told apart below
            self._log_metric_carefully(key, value, step, timestamp)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None, timestamp: int | None = None) -> None:
        """Log one point of each of several metrics, all at the same step and time. Raises as ``log_metric`` does."""
        moment = time.time_ns() // 1_000_000 if timestamp is None else to_timestamp(timestamp)
        place = 0 if step is None else step
        for key, value in metrics.items():
            try:
                self._journal.write_point(  # type: ignore[union-attr]  # as above
                    _pack(self._series[key], _MARK, place, moment / 1000, value) * 2
                )
            except Exception:  # noqa: BLE001  as above
                self._log_metric_carefully(key, value, step, moment)

    def log_series(self, key: str, points: Sequence[tuple[int, float, float]]) -> None:
        """Log several points of a metric at once, at a fraction of what each costs by itself.

        Args:
            key: the metric's name.
            points: steps, times in seconds since the epoch, and values, all of these very types.
        """
        try:
            # As in ``log_metric``.
            write = self._journal.write_point  # type: ignore[union-attr]
            series = self._series[key]
            write(b"".join([_pack(series, _MARK, step, seconds, value) * 2 for step, seconds, value in points]))
        except Exception:  # noqa: BLE001  as above
            for step, seconds, value in points:
                self._log_metric_carefully(key, value, step, seconds * 1000)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params; of a key that is logged again the last value counts."""
        texts = {validate_key("param", key): to_text(value) for key, value in params.items()}
        if texts:
            self.params.update(texts)
            self._record(ParamsLogged(run_id=self.run_id, params=texts))

    def log_param(self, key: str, value: Any) -> Any:
        """Log one param, and return its value."""
        self.log_params({key: value})
        return value

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags."""
        texts: dict[str, str | None] = {validate_key("tag", key): to_text(value) for key, value in tags.items()}
        if texts:
            self._record(TagsSet(run_id=self.run_id, tags=texts))
            if (name := texts.get(RUN_NAME_TAG)) is not None:
                self.rename(name)

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.set_tags({key: value})

    def delete_tag(self, key: str) -> None:
        """Take a tag away."""
        self._record(TagsSet(run_id=self.run_id, tags={key: None}))

    def log_inputs(self, inputs: Sequence[DatasetInput]) -> None:
        """Log the use of data sets."""
        if inputs:
            self._record(InputsLogged(run_id=self.run_id, inputs=tuple(inputs)))

    def log_file(self, path: str, fill: Callable[[Path], None]) -> None:
        """Log an artifact whose content a function writes.

        Args:
            path: below the run's artifact folder, POSIX style.
            fill: is called once, now, with the file to write.

        Raises:
            InvalidParameter: the path would leave the artifact folder.
        """
        from autolog.artifact_store import validate_artifact_path

        valid = validate_artifact_path(path)
        self._introduce()
        self._recorder.record_file(lambda staged: ArtifactLogged(run_id=self.run_id, path=valid, staged=staged), fill)

    def log_content(self, path: str, content: bytes) -> None:
        """Log an artifact from its bytes. Raises as ``log_file`` does."""
        if len(content) > _MOST_CARRIED:
            self.log_file(path, lambda file: _write_bytes(file, content))
            return
        from autolog.artifact_store import validate_artifact_path

        self._record(ArtifactLogged(run_id=self.run_id, path=validate_artifact_path(path), content=content))

    def claim_training(self) -> bool:
        """Say whether the caller's training is the first of this run, and so may record into it."""
        with self._turn:
            first, self._has_training = not self._has_training, True
        return first

    def rename(self, name: str) -> None:
        """Give the run another name."""
        self.name = name
        self._record(RunUpdated(run_id=self.run_id, run_name=name))

    # -- life ------------------------------------------------------------------------------------------------------

    def end(
        self,
        status: RunStatus | str = RunStatus.FINISHED,
        error: BaseException | None = None,
        end_time: int | None = None,
    ) -> None:
        """End the run; a run that has ended already keeps its status.

        Args:
            status: how it ended.
            error: the exception that ended it, kept as a tag and, with its traceback, as ``exception.txt``.
            end_time: milliseconds since the epoch; now where it is not given.
        """
        final = to_status(status)
        with self._turn:
            if self._ended:
                return
            self._ended = True
        while self.finishers:
            with guard("finishing a run"):
                self.finishers.pop()()
        self.status = final
        ended = RunUpdated(run_id=self.run_id, status=final, end_time=end_time or time.time_ns() // 1_000_000)
        try:
            if error is not None:
                with guard("recording an exception"):
                    self._record_exception(error)
            self._record(ended)
        except BaseException:
            # Ctrl-C, perhaps before it was recorded; to say it twice does no harm.
            self._record(ended)
            raise

    def reopen(self) -> None:
        """Go on with the run: it is RUNNING again, and this process is to end it."""
        with self._turn:
            self._ended = False
        self.status = RunStatus.RUNNING
        self._record(RunUpdated(run_id=self.run_id, status=RunStatus.RUNNING, reopen=True))

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended, or is another process's to end."""
        return self._ended

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deactivate(self)
        if isinstance(error, SystemExit) and error.code in (None, 0):
            error = None
        self.end(RunStatus.FINISHED if error is None else RunStatus.FAILED, error)

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def info(self) -> RunInfo:
        """What this process knows of the run's identity; the artifact folder is asked of the store when it is read."""
        return _LiveInfo(
            run_id=self.run_id,
            experiment_id=self.experiment.experiment_id,
            run_name=self.name,
            user_id=current_user(),
            status=self.status,
            start_time=self.start_time,
            lifecycle_stage=LifecycleStage.ACTIVE,
            tracking=self.tracking,
        )

    @property
    def data(self) -> RunData:
        """The params, metrics and tags as they stand in the store now."""
        return self.read().data

    @property
    def inputs(self) -> RunInputs:
        """The data sets as they stand in the store now."""
        return self.read().inputs

    def read(self) -> Run:
        """Return the run as it stands in the store, with everything logged before the call."""
        return self.tracking.reader().get_run(self.run_id)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the run's store holds everything logged so far; return whether it does, within the timeout."""
        return self.tracking.recorder.flush(timeout)

    def __repr__(self) -> str:
        return f"<ActiveRun {self.run_id} {self.name!r} {self.status.value}>"

    # -- inside ----------------------------------------------------------------------------------------------------

    def begin_child(self) -> None:
        """In a forked child: write to the child's journal from now on."""
        self._is_introduced = self.created is None
        self._journal = None
        self._series.clear()
        # Another thread may have held it at the fork.
        self._turn = threading.RLock()
        # The child may add to the run, but the run is the parent's to end, and its plain names are the parent's to use:
        # several children that train at once would overwrite each other's.
        self._ended = True
        self.finishers.clear()
        self._has_training = True

    def begin(self) -> None:
        """Record that the run exists; where this is interrupted, or there is no room, the next record does it."""
        self._is_introduced = False
        if self.created is not None:
            self._is_introduced = self._recorder.record(self.created)

    def _record(self, fact: Fact) -> None:
        self._introduce()
        self._recorder.record(fact)

    def _introduce(self) -> None:
        """Say in a journal other than the first which run this is, since the first may reach the store later.

        There is another in a forked child, and after the process has closed the first at its end.
        """
        if self._journal is not None and self._journal.closed:
            self._is_introduced = False
            self._journal = None
            self._introduce_at = 0.0
        if not self._is_introduced and self.created is not None and time.monotonic() >= self._introduce_at:
            # While there is no room on disk, not with every record.
            self._introduce_at = time.monotonic() + _INTRODUCE_AGAIN
            self.tracking.announce(self.experiment)
            self._is_introduced = self._recorder.record(self.created, owns_run=not self._ended)

    def _log_metric_carefully(self, key: str, value: Any, step: Any, timestamp: Any) -> None:
        validate_key("metric", key)
        number = to_metric_value(key, value)
        place = to_step(key, step)
        seconds = to_timestamp(timestamp) / 1000 if timestamp is not None else _now()
        while (journal := self._open_journal()) is not None:
            # Another thread may close it at any moment; the point then goes into the next one.
            with contextlib.suppress(JournalClosed):
                series = self._series_of(key, journal)
                if series is not None:
                    journal.append_point(_pack(series, _MARK, place, seconds, number) * 2)
                return
        self._recorder.drop()

    def _open_journal(self) -> Journal | None:
        journal = self._journal
        if journal is None or journal.closed:
            self._introduce()
            with self._turn:
                self._series = {}
                journal = self._journal = self._recorder.journal
        return journal

    def _series_of(self, key: str, journal: Journal) -> int | None:
        """Return the number of a metric in the journal; None where there is no room for what it would mean."""
        series = self._series.get(key)
        if series is None:
            self._introduce()
            if not self._is_introduced:
                # There is no room to say which run it is.
                self._recorder.drop()
                return None
            with self._turn:
                if self._journal is not journal:
                    raise JournalClosed
                series = self._series.get(key)
                if series is None:
                    series = journal.define_series(self.run_id, validate_key("metric", key))
                    if series is not None:
                        self._series[key] = series
        return series

    def _record_exception(self, error: BaseException) -> None:
        from autolog.redaction import redact_text

        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        line = "".join(traceback.format_exception_only(type(error), error)).strip()
        self.set_tag(EXCEPTION_TAG, redact_text(line))
        self.log_content("exception.txt", redact_text(text).encode(errors="replace"))


class _LiveInfo(RunInfo, frozen=True, kw_only=True):
    """RunInfo whose artifact folder is found out only when somebody wants it."""

    tracking: Tracking

    def __getattribute__(self, name: str) -> Any:
        if name == "artifact_uri":
            return self.tracking.reader().get_run(self.run_id).info.artifact_uri
        return super().__getattribute__(name)


def active_run() -> ActiveRun | None:
    """Return the innermost run that is active in this thread or task; None where none is."""
    stack = active_runs.get()
    if stack and stack[-1].is_of_a_loop:
        # A loop may end where this thread or task cannot be told of it.
        return next((run for run in reversed(stack) if not (run.is_of_a_loop and run.has_ended)), None)
    return stack[-1] if stack else None


def enclosing_run() -> ActiveRun | None:
    """Return the innermost active run that something can be said to be inside of: no loop's, which has no inside."""
    return next((run for run in reversed(active_runs.get()) if not run.is_of_a_loop), None)


def activate(run: ActiveRun) -> None:
    """Make a run the active one of this thread or task."""
    active_runs.set((*active_runs.get(), run))


def deactivate(run: ActiveRun) -> None:
    """Make a run, and what was made active inside it, active no longer."""
    stack = active_runs.get()
    if run in stack:
        active_runs.set(stack[: stack.index(run)])


def to_status(status: RunStatus | str) -> RunStatus:
    """Return a run status from its name.

    Raises:
        InvalidParameter: there is no such status.
    """
    try:
        return RunStatus(status)
    except ValueError:
        known = ", ".join(member.value for member in RunStatus)
        raise InvalidParameter(f"{status!r} is no run status; use one of {known}") from None


def current_user() -> str:
    """Return the name of the user who runs this process; empty where there is none."""
    try:
        return to_text(getpass.getuser())
    except Exception:  # noqa: BLE001  a container's user may have no name, and Python versions differ in the error
        return ""


def _write_bytes(path: Path, content: bytes) -> None:
    # Not by way of Python's file objects, which take three times as long as the file itself.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
    finally:
        os.close(descriptor)
