"""Which subjects run, as whom, with which sizes, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from contenders import PEERS, Contender
from databases import SERVER_STORES
from scales import Scale

LOCAL: Final = ("file", "sqlite")
WRITERS: Final = ("thread", "process")


@dataclass(frozen=True)
class Job:
    """A subject, run ``times`` times; the jobs of one ``shared`` name work in the same folder, one after another.

    ``environment`` is the tool whose environment it runs in, where that is not the contender's.
    """

    group: str
    subject: str
    contender: Contender
    times: int
    arguments: dict[str, Any] = field(default_factory=dict)
    shared: str | None = None
    environment: str | None = None

    @property
    def tool(self) -> str:
        return self.environment or self.contender.tool

    @property
    def needs_server(self) -> bool:
        return self.contender.tool == "autolog" and self.contender.store in SERVER_STORES


def make_plan(scale: Scale) -> list[Job]:
    """Return every job of a scale."""
    plans = (_start, _call, _durable, _memory, _training, _network, _hook, _read, _history, _contention, _writer)
    return [job for plan in plans for job in plan(scale) if job.times]


def _autolog(stores: tuple[str, ...] = LOCAL) -> list[Contender]:
    return [Contender("autolog", store) for store in stores]


def _peers(*, with_mlflow: bool = True) -> list[Contender]:
    return [
        Contender(peer.name, store) for peer in PEERS for store in peer.stores if with_mlflow or peer.name != "mlflow"
    ]


def _start(scale: Scale) -> Iterator[Job]:
    arguments = {"module": "autolog", "store": "file"}
    yield Job("start", "start", Contender("autolog"), scale.starts, arguments)
    for peer in PEERS:
        times = scale.mlflow_starts if peer.name == "mlflow" else scale.peer_starts
        yield Job(
            "start", "start", Contender(peer.name), times, {"module": peer.module, "store": next(iter(peer.stores))}
        )
    yield Job("start", "script_none", Contender("none"), scale.scripts)
    yield Job("start", "script_autolog", Contender("autolog"), scale.scripts)
    yield Job("start", "script_mlflow", Contender("mlflow"), scale.mlflow_starts)


def _call(scale: Scale) -> Iterator[Job]:
    yield Job("call", "calls", Contender("none"), scale.rounds, scale.call)
    for contender in _autolog():
        yield Job("call", "calls", contender, scale.rounds, scale.call)
    for contender in _peers():
        few = scale.call | {"values": scale.peer_values}
        if contender.tool != "mlflow":
            few |= {"one_call": scale.one_call}
        if contender.store == "async" or contender.tool == "clearml":
            # They queue a call in a tenth of the time that they then take to store it.
            few |= {"singles": 200}
        yield Job("call", "calls", contender, 1 if scale.peer_values else 0, few)


def _durable(scale: Scale) -> Iterator[Job]:
    for contender in _autolog((*LOCAL, *(SERVER_STORES if scale.servers else ()))):
        yield Job("durable", "durable", contender, scale.rounds, {"points": scale.points})
    for contender in _peers():
        points = scale.peer_points.get(contender.tool, 0)
        yield Job("durable", "durable", contender, 1 if points else 0, {"points": points})
        if contender.tool == "mlflow" and contender.store in LOCAL:
            batched = Contender("mlflow", contender.store, "log_batch")
            many = {"points": scale.mlflow_batched, "batch": 1_000}
            yield Job("durable", "durable", batched, 1 if scale.mlflow_batched else 0, many)


def _memory(scale: Scale) -> Iterator[Job]:
    for store in LOCAL:
        for writer in WRITERS:
            contender = Contender("autolog", store, f"writer's {writer}")
            arguments = {"few": 10_000, "many": scale.memory_points, "variables": {"AUTOLOG_WRITER": writer}}
            yield Job("memory", "footprint", contender, 1 if scale.memory_points else 0, arguments)
    for contender in _peers():
        few = min(2_000, scale.peer_points.get(contender.tool, 0) // 5)
        yield Job("memory", "footprint", contender, 1 if scale.peer_memory else 0, {"few": few, "many": 10 * few})


def _training(scale: Scale) -> Iterator[Job]:
    for workload, repeats in scale.fits.items():
        for contender in _autolog():
            arguments = {"workload": workload, "rows": None, "repeats": repeats}
            yield Job(f"training_{workload}", "training_autolog", contender, 1, arguments)
            peer = Contender("mlflow", contender.store)
            # Storing its model takes MLflow seconds, whatever the store of the rest.
            with_model = scale.mlflow_fits_with_model.get(workload, 0) if contender.store == "file" else 0
            fits = scale.mlflow_fits.get(workload, 0)
            arguments = {"workload": workload, "rows": None, "repeats": fits, "repeats_with_model": with_model}
            yield Job(f"training_{workload}", "training_mlflow", peer, 1 if fits else 0, arguments)


def _network(scale: Scale) -> Iterator[Job]:
    # What a step waits for is the same for every store: one of them will do.
    for workload, repeats in scale.networks.items():
        group, arguments = f"training_{workload}", {"workload": workload, "rows": scale.rows}
        if workload == "keras_batches":
            arguments |= {"variables": {"AUTOLOG_LOG_EVERY_N_STEPS": "1"}}
        own = arguments | {"repeats": repeats}
        yield Job(group, "training_autolog", Contender("autolog", "file"), 1, own)
        fits = scale.mlflow_networks.get(workload, 0)
        theirs = arguments | {"repeats": fits, "repeats_with_model": 0}
        peer = Contender("mlflow", "file")
        yield Job(group, "training_mlflow", peer, 1 if fits else 0, theirs, environment="mlflow_networks")


def _hook(scale: Scale) -> Iterator[Job]:
    yield Job(
        "hook", "hook_autolog", Contender("autolog"), scale.rounds, {"store": "file", "values": scale.hook_values}
    )


def _read(scale: Scale) -> Iterator[Job]:
    for runs, (values, frames) in scale.reads.items():
        group, arguments = f"read_{runs}", {"runs": runs, "values": values, "frames": frames}
        stores = (*LOCAL, *SERVER_STORES) if scale.servers and runs == scale.server_reads else LOCAL
        for contender in _autolog(stores):
            shared = f"{group}-{contender.name}"
            yield Job(group, "read_build_autolog", contender, 1, arguments, shared)
            yield Job(group, "read_autolog", contender, scale.rounds if runs <= 1_000 else 1, arguments, shared)
        for store in LOCAL:
            # MLflow's file store takes minutes to fill and seconds to read.
            if runs > scale.mlflow_reads.get(store, 0):
                continue
            peer = Contender("mlflow", store)
            few = {"runs": runs, "values": 3, "frames": 1}
            yield Job(group, "read_build_mlflow", peer, 1, few, f"{group}-{peer.name}")
            yield Job(group, "read_mlflow", peer, 1, few, f"{group}-{peer.name}")


def _history(scale: Scale) -> Iterator[Job]:
    group, arguments = f"history_{scale.history}", {"points": scale.history, "values": scale.history_values}
    for contender in _autolog((*LOCAL, *(SERVER_STORES if scale.servers else ()))):
        yield Job(group, "history_autolog", contender, 1 if scale.history else 0, arguments)
    yield Job(group, "history_mlflow", Contender("mlflow", "sqlite"), 1 if scale.mlflow_history else 0, arguments)


def _contention(scale: Scale) -> Iterator[Job]:
    arguments = {"points": scale.contended, "processes": scale.processes}
    for contender in _autolog((*LOCAL, *(SERVER_STORES if scale.servers else ()))):
        yield Job("contention", "contention", contender, 1, arguments)
    few = {"points": scale.mlflow_contended, "processes": [1, 8]}
    yield Job("contention", "contention", Contender("mlflow", "sqlite"), 1 if scale.mlflow_contended else 0, few)


def _writer(scale: Scale) -> Iterator[Job]:
    for loop in scale.loops:
        environment = "torch" if loop == "torch" else None
        for rate in scale.rates:
            group, arguments = f"writer_{loop}_{rate}", {"loop": loop, "rate": rate, "steps": scale.steps}
            yield Job(group, "steps", Contender("none"), 1, arguments, environment=environment)
            for store in scale.writer_stores:
                for writer in WRITERS:
                    contender = Contender("autolog", store, f"writer's {writer}")
                    own = arguments | {"variables": {"AUTOLOG_WRITER": writer}}
                    yield Job(group, "steps", contender, 1, own, environment=environment)
