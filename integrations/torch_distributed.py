"""Trainings of several processes: rank 0 records, and the others add their use of the machine to its run.

Rank 0 says in the store of the process group which run it records, and the others look there for some seconds when they
begin to train, in threads and on connections of their own: nothing waits, and no collective is ever called.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import platform
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import torch

from autolog.events import RunCreated
from autolog.guard import guard
from autolog.lifecycle import join_run
from autolog.run import ActiveRun, enclosing_run
from autolog.surroundings import sample_for
from autolog.system_metrics import PREFIX

logger = logging.getLogger("autolog")

_groups: Final = torch.distributed.GroupMember if torch.distributed.is_available() else None

# What launchers tell a process, where PyTorch does not know: its rank, and how many there are.
_VARIABLES: Final = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))
_LOCAL_RANKS: Final = ("LOCAL_RANK", "SLURM_LOCALID")
# A job that is started again is a new run; these say of which job, and how often.
_JOB_TAGS: Final = {
    "TORCHELASTIC_RUN_ID": "autolog.torchelastic_run_id",
    "TORCHELASTIC_RESTART_COUNT": "autolog.torchelastic_restart_count",
    "SLURM_JOB_ID": "autolog.slurm_job_id",
}

_KEY: Final = "autolog/run"
# Seconds before each look for the run of rank 0, which begins with its first step, as the others' do: a run that is
# found at once may be that of a training before.
_LOOKS: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
# Seconds that the end of the process waits for a look that is under way: it takes a millisecond, or more on a busy
# machine, and a thread that is inside of the store while the interpreter ends takes the process down.
_LAST_LOOK: Final = 10.0


class _Place(NamedTuple):
    rank: int
    world_size: int
    # Whether the processes of the job can speak to each other, by way of PyTorch.
    is_connected: bool

    @property
    def is_one_of_several(self) -> bool:
        return self.world_size > 1


class _Notice(msgspec.Struct):
    """What rank 0 says of its run.

    Attributes:
        run_id: the run's.
        created: how the run was begun; None where another process has begun it, which the other ranks know as well.
        host: where rank 0 runs.
    """

    run_id: str
    created: RunCreated | None
    host: str


class _Follower:
    """A process whose training rank 0 records."""

    def __init__(self) -> None:
        # Those that train here: when they are gone, the training is over.
        self.optimizers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.run_id = ""
        self.has_said_so = False
        self._looks: Iterator[float] = iter(())
        self._is_looking = False

    def follow(self, optimizer: Any, place: _Place) -> None:
        """Take note of a step of an optimizer."""
        if optimizer in self.optimizers:
            return
        self.optimizers.add(optimizer)
        if not self.has_said_so:
            self.has_said_so = True
            _announce(place)
        if place.is_connected:
            self._looks = iter(_LOOKS)
            if not self._is_looking:
                self._is_looking = True
                _speak(functools.partial(self._look, place))

    def _look(self, place: _Place, store: Any) -> None:
        try:
            while (seconds := next(self._looks, None)) is not None:
                if _stopping.wait(seconds) or not torch.distributed.is_initialized():
                    return
                if store.check([_KEY]):
                    self._join(place, msgspec.json.decode(store.get(_KEY), type=_Notice))
        finally:
            self._is_looking = False

    def _join(self, place: _Place, notice: _Notice) -> None:
        if notice.run_id != self.run_id:
            self.run_id = notice.run_id
            select = functools.partial(_select, f"{PREFIX}rank_{place.rank}/", _stands_for(notice.host))
            sample_for(
                join_run(notice.run_id, notice.created), select, functools.partial(self._trains_for, self.run_id)
            )

    def _trains_for(self, run_id: str) -> bool:
        return self.run_id == run_id and len(self.optimizers) > 0


class _Process:
    """What belongs to this process; a forked child has its own."""

    follower = _Follower()


_stopping: Final = threading.Event()
_speaking: Final[set[threading.Thread]] = set()


def follows_another_rank(optimizer: Any) -> bool:
    """Say whether a step is one of many processes' and another process records the training.

    Where that is so, what this process uses of the machine goes into the other's run.
    """
    place = _find_place()
    if place.rank == 0 or not place.is_one_of_several or (not place.is_connected and enclosing_run() is not None):
        return False
    _Process.follower.follow(optimizer, place)
    return True


def publish(run: ActiveRun) -> None:
    """Tell the other processes of the job, where there are any, in which run this one records the training."""
    place = _find_place()
    if not place.is_one_of_several:
        return
    run.set_tags({tag: os.environ[name] for name, tag in _JOB_TAGS.items() if name in os.environ})
    if place.is_connected and run.tracking.settings.system_metrics:
        notice = msgspec.json.encode(_Notice(run.run_id, run.created, platform.node()))
        _speak(lambda store: store.set(_KEY, notice))


def describe_job() -> dict[str, Any]:
    """Return how many processes train, and how they speak to each other; nothing where there is one only."""
    place = _find_place()
    described: dict[str, Any] = {}
    if place.is_connected:
        described["distributed_backend"] = torch.distributed.get_backend()
    if place.is_connected or place.is_one_of_several:
        described["world_size"] = place.world_size
    return described


# -- ranks -------------------------------------------------------------------------------------------------------------


def _find_place() -> _Place:
    # As torch.distributed.get_rank() and the like find it, which take several microseconds.
    group = _groups.WORLD if _groups is not None else None
    return _place_by_launcher() if group is None else _Place(group.rank(), group.size(), is_connected=True)


def _place_by_launcher() -> _Place:
    for rank, size in _VARIABLES:
        if rank in os.environ and size in os.environ:
            number, count = _number(rank), _number(size)
            if number and count > 1 and not _is_started_by_rank(rank, os.getppid()):
                return _Place(number, count, is_connected=False)
            return _Place(0, count, is_connected=False)
    return _Place(0, 1, is_connected=False)


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else 0


@functools.lru_cache(maxsize=8)
def _is_started_by_rank(variable: str, parent: int) -> bool:
    """Say whether this is no process of the job, but one that such a process has started for something else."""
    import psutil

    try:
        process = psutil.Process(parent)
        return "python" in process.name() and process.environ().get(variable) == os.environ[variable]
    except (psutil.Error, OSError):
        return False


def _announce(place: _Place) -> None:
    if place.is_connected:
        logger.info("rank %d of %d: the training is recorded by rank 0", place.rank, place.world_size)
    else:
        logger.warning(
            "rank %d of %d, as the environment says: the training is taken for a part of rank 0's, and is not recorded "
            "here; if it is one of its own, train inside of autolog.start_run()",
            place.rank,
            place.world_size,
        )


# -- the store ---------------------------------------------------------------------------------------------------------


def _speak(do: Any) -> None:
    """Have something done with the store of the process group, in a thread and on a connection of its own."""
    from torch.distributed.distributed_c10d import _get_default_store

    store = _get_default_store()
    thread = threading.Thread(target=_speak_in_thread, args=(store, do), name="autolog-ranks", daemon=True)
    _speaking.add(thread)
    thread.start()


def _speak_in_thread(store: Any, do: Any) -> None:
    try:
        # What goes wrong with the store is the process group's affair.
        with guard("finding the run of rank 0"), contextlib.suppress(RuntimeError):
            # The user's own connection may be in use for minutes, by somebody who waits for a key.
            do(store.clone() if hasattr(store, "clone") else store)
    finally:
        _speaking.discard(threading.current_thread())


@atexit.register
def _stop() -> None:
    """Let no thread be inside of the store while the interpreter ends: it would take the process down."""
    _stopping.set()
    deadline = time.monotonic() + _LAST_LOOK
    for thread in list(_speaking):
        thread.join(max(0.0, deadline - time.monotonic()))


def _begin_child() -> None:
    _Process.follower = _Follower()
    _speaking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


# -- the use of the machine --------------------------------------------------------------------------------------------


def _stands_for(host_of_rank_0: str) -> tuple[str, ...]:
    """Return which metrics this process is to add, by how their names begin.

    Each adds its own. What many see alike, rank 0 records for its machine, and on others the first process there.
    """
    local_rank = next((os.environ[name] for name in _LOCAL_RANKS if name in os.environ), "0")
    if platform.node() != host_of_rank_0 and local_rank == "0":
        return ("",)
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    return ("process_", "gpu_") if devices and "," not in devices else ("process_",)


def _select(prefix: str, beginnings: tuple[str, ...], metrics: Mapping[str, float]) -> dict[str, float]:
    named = {key.removeprefix(PREFIX): value for key, value in metrics.items()}
    return {f"{prefix}{name}": value for name, value in named.items() if name.startswith(beginnings)}
