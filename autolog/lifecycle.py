"""How runs come to be, are found again, and end with the process that began them."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from autolog import tracking
from autolog.entities import LifecycleStage, RunStatus
from autolog.errors import BackendUnavailable, InvalidState, NotFound
from autolog.events import RunCreated, RunUpdated
from autolog.guard import guard
from autolog.names import invent_name
from autolog.run import PARENT_TAG, RUN_NAME_TAG, ActiveRun, active_run, current_user
from autolog.tracking import ExperimentName
from autolog.values import to_text, to_timestamp, validate_key, validate_run_id

if TYPE_CHECKING:
    from autolog.backend import Reader
    from autolog.entities import Run

# Told of every run that this process begins; the environment and the system metrics listen.
observers: Final[list[Callable[[ActiveRun], None]]] = []

# Says from outside which run a process goes on with.
RUN_ID_VARIABLE: Final = "AUTOLOG_RUN_ID"

# Longest wait, in seconds, for the launcher to have stored the run that it names.
LAUNCHER_PATIENCE: Final = 10.0

# Handles on runs that were named from outside, and the names that start_run() has used up.
_inherited: Final[list[ActiveRun]] = []
_taken: Final[set[str]] = set()

# The runs that this process is to end, and every run that it holds a handle on.
_open: Final[dict[str, ActiveRun]] = {}
_known: Final[weakref.WeakValueDictionary[str, ActiveRun]] = weakref.WeakValueDictionary()
_last: Final[list[ActiveRun]] = []


def begin_run(
    *,
    name: str | None = None,
    experiment: ExperimentName | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> ActiveRun:
    """Begin a new run, which ends with this process at the latest, without making it active.

    Args:
        name: the run's name; one is invented where it is not given.
        experiment: the experiment; the current one where it is not given.
        parent_run_id: makes the run a child.
        tags: its first tags.
        run_id: an id chosen by the caller.

    Raises:
        InvalidParameter: the id or a tag cannot be used.
    """
    run = _make_run(name, experiment, parent_run_id, tags, run_id, None)
    try:
        run.begin()
        _register(run)
    except BaseException as error:
        # Ctrl-C: nobody gets the run, and so nobody else could end it.
        run.end(RunStatus.FAILED, error)
        raise
    return run


def create_run(
    *,
    name: str | None = None,
    experiment: ExperimentName | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    start_time: int | None = None,
) -> ActiveRun:
    """Make a run that nothing but an explicit call ends. Arguments and errors are those of ``begin_run``.

    Args:
        name: as there.
        experiment: as there.
        parent_run_id: as there.
        tags: as there.
        run_id: as there.
        start_time: milliseconds since the epoch; now where it is not given.
    """
    run = _make_run(name, experiment, parent_run_id, tags, run_id, start_time)
    run.begin()
    _known[run.run_id] = run
    return run


def _make_run(
    name: str | None,
    experiment: ExperimentName | None,
    parent_run_id: str | None,
    tags: Mapping[str, Any] | None,
    run_id: str | None,
    start_time: int | None,
) -> ActiveRun:
    to = tracking.current()
    where = experiment or tracking.current_experiment()
    to.announce(where)
    started = time.time_ns() // 1_000_000 if start_time is None else int(to_timestamp(start_time))
    texts = {key: to_text(value) for key, value in to.settings.tags.items()}
    texts.update({validate_key("tag", key): to_text(value) for key, value in (tags or {}).items()})
    chosen = name or texts.get(RUN_NAME_TAG) or invent_name()
    texts[RUN_NAME_TAG] = chosen
    if parent_run_id is not None:
        texts[PARENT_TAG] = parent_run_id
    run = ActiveRun(
        validate_run_id(run_id) if run_id is not None else os.urandom(16).hex(),
        where,
        to,
        name=chosen,
        parent_run_id=parent_run_id,
        start_time=started,
    )
    run.created = RunCreated(
        run_id=run.run_id,
        experiment_id=where.experiment_id,
        experiment_name=where.name,
        run_name=chosen,
        start_time=started,
        user_id=current_user(),
        tags=texts,
    )
    return run


def record_child(
    parent: ActiveRun,
    *,
    name: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    metrics: Iterable[tuple[str, float, int]],
    start_time: int,
    end_time: int,
    status: RunStatus,
) -> str:
    """Record at once a run that is over: one part of many of what its parent did.

    Nothing is observed of it, and nobody holds a handle on it; thousands may be recorded in a second.

    Args:
        parent: the run that it is a child of.
        name: the run's name.
        tags: its tags.
        params: its params.
        metrics: names, values and steps; all points have the time of its end.
        start_time: milliseconds since the epoch.
        end_time: the same.
        status: how it ended.

    Returns:
        The run's id.
    """
    where = parent.experiment if parent.experiment.experiment_id else tracking.current_experiment()
    to = parent.tracking
    to.announce(where)
    run = ActiveRun(os.urandom(16).hex(), where, to, name=name, parent_run_id=parent.run_id, start_time=start_time)
    created = RunCreated(
        run_id=run.run_id,
        experiment_id=where.experiment_id,
        experiment_name=where.name,
        run_name=name,
        start_time=start_time,
        user_id=parent.created.user_id if parent.created is not None else current_user(),
        # Not RUNNING for a moment: a process that is killed here would leave it to be closed by others.
        status=status,
        tags={**to.settings.tags, **tags, RUN_NAME_TAG: name, PARENT_TAG: parent.run_id},
    )
    to.recorder.record(created, owns_run=False)
    run.log_params(params)
    for key, value, step in metrics:
        run.log_metric(key, value, step, end_time)
    to.recorder.record(RunUpdated(run_id=run.run_id, status=status, end_time=end_time), owns_run=False)
    return run.run_id


def resume_run(run_id: str, patience: float = 0.0) -> ActiveRun:
    """Open a run that exists, to add to it; it is RUNNING again until it is ended.

    Args:
        run_id: the run's id.
        patience: seconds to wait for a run that another process has begun and perhaps not stored yet;
            where the store cannot be asked now, the run is taken to be there.

    Raises:
        NotFound: the store holds no such run.
        InvalidState: the run is deleted.
    """
    to = tracking.current()
    if run_id in _open and not _open[run_id].has_ended:
        return _open[run_id]
    try:
        stored = _await_run(to.reader(), validate_run_id(run_id), patience)
    except BackendUnavailable:
        inherited = inherited_run() if patience else None
        if inherited is None:
            raise
        # The launcher has begun it; that it goes on is recorded all the same.
        inherited.reopen()
        _register(inherited)
        return inherited
    if stored.info.lifecycle_stage is LifecycleStage.DELETED:
        raise InvalidState(f"the run {run_id} is deleted; restore it first: autolog.restore_run({run_id!r})")
    run = attach_run(stored)
    run.reopen()
    _register(run)
    return run


def reopen_run(run: ActiveRun) -> None:
    """Go on with a run that this process has ended; it is the caller's to end again."""
    run.reopen()
    _open[run.run_id] = _known[run.run_id] = run
    _last[:] = [run]


def _await_run(reader: Reader, run_id: str, patience: float) -> Run:
    deadline = time.monotonic() + patience
    while True:
        try:
            return reader.get_run(run_id)
        except NotFound:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


def attach_run(stored: Run) -> ActiveRun:
    """Return a handle on a run of the store, leaving its status as it is."""
    known = _known_run(stored.info.run_id)
    if known is not None:
        return known
    run = ActiveRun(
        stored.info.run_id,
        ExperimentName(stored.info.experiment_id, ""),
        tracking.current(),
        name=stored.info.run_name,
        parent_run_id=stored.data.tags.get(PARENT_TAG),
        start_time=stored.info.start_time,
    )
    run.status = stored.info.status
    _known[run.run_id] = run
    return run


def inherited_run() -> ActiveRun | None:
    """Return a handle on the run that AUTOLOG_RUN_ID names, which is its launcher's to end; None where none is named.

    The store is not asked: a hook must not wait.
    """
    run_id = os.environ.get(RUN_ID_VARIABLE)
    if not run_id:
        return None
    known = _known.get(run_id)
    if known is None:
        known = ActiveRun(validate_run_id(run_id), ExperimentName("", ""), tracking.current())
        _inherited.append(known)
        _known[run_id] = known
    return known


def join_run(run_id: str, created: RunCreated | None) -> ActiveRun:
    """Return a handle on a run that another process has begun, and ends.

    Args:
        run_id: the run's id.
        created: how it was begun, for what is added here may reach the store earlier; None where it is there by now.
    """
    experiment = ExperimentName(created.experiment_id, created.experiment_name) if created else ExperimentName("", "")
    run = ActiveRun(run_id, experiment, tracking.current())
    run.created = created
    # As in a forked child: it may add to the run, which is another's.
    run.begin_child()
    return run


def take_inherited_run_id() -> str | None:
    """Return the run id that AUTOLOG_RUN_ID names, the first time; None afterwards: later runs are new ones."""
    run_id = os.environ.get(RUN_ID_VARIABLE)
    if not run_id or run_id in _taken:
        return None
    _taken.add(run_id)
    return run_id


def find_run(run_id: str) -> ActiveRun:
    """Return a handle on a run by its id, asking the store only for one that this process has not seen.

    Raises:
        NotFound: the store holds no such run.
    """
    return _known_run(run_id) or attach_run(tracking.current().reader().get_run(run_id))


def last_active_run() -> ActiveRun | None:
    """Return the active run, or else the last that this process began; None where there is none."""
    return active_run() or (_last[-1] if _last else None)


def open_runs() -> list[ActiveRun]:
    """Return the runs that this process has begun and not ended."""
    for run in list(_open.values()):
        if run.has_ended:
            _open.pop(run.run_id, None)
    return list(_open.values())


def _known_run(run_id: str) -> ActiveRun | None:
    known = _known.get(run_id)
    # Two stores may hold a run of the same id: one is a copy of the other.
    return known if known is not None and known.tracking is tracking.current() else None


def _register(run: ActiveRun) -> None:
    open_runs()
    _open[run.run_id] = _known[run.run_id] = run
    _last[:] = [run]
    _end_with_spawned_process()
    for observer in observers:
        with guard("observing a run"):
            observer(run)


def _end_runs(error: BaseException | None = None) -> None:
    """End at exit what the program left open, by how it ended."""
    error = error or tracking.failure_of_the_script()
    if isinstance(error, SystemExit):
        # What runs a function in a process may turn its exception into an exit, as torch.multiprocessing does.
        error = None if error.code in (None, 0) else error.__context__ or error
    for run in reversed(open_runs()):
        with guard("ending a run at exit"):
            run.end(RunStatus.FINISHED if error is None else RunStatus.FAILED, error)


def _begin_child() -> None:
    _open.clear()
    # A process of multiprocessing's ends without running what atexit has; this runs once it has set itself up.
    processes = sys.modules.get("multiprocessing.util")
    if processes is not None:
        processes.register_after_fork(_known, _end_with_process)


def _end_with_spawned_process() -> None:
    """See to it that a process of multiprocessing's that is no fork ends its runs by how its function has ended."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is None or processes.parent_process() is None:
        return
    process = processes.current_process()
    if process not in _ending:
        _end_with_process(process)


# Of multiprocessing's processes, this one, once its end is seen to.
_ending: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def _end_with_process(_: object) -> None:
    from multiprocessing.process import current_process
    from multiprocessing.util import Finalize

    _ending.add(current_process())
    # Before the journal is closed, which has the priority 1.
    Finalize(None, lambda: _end_runs(sys.exc_info()[1]), exitpriority=2)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
atexit.register(_end_runs)
