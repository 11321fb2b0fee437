"""Which subjects run, as what, with which sizes, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Tool = Literal["none", "autolog", "mlflow"]
STORES: Final = {"file": "file", "sqlite": "SQLite"}


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    name: str
    starts: int
    scripts: int
    mlflow_starts: int
    rounds: int
    call: dict[str, int]
    points: int
    mlflow_points: int
    fits: dict[str, int]
    mlflow_fits: dict[str, int]
    mlflow_fits_with_model: dict[str, int]
    hook: dict[str, int]
    reads: dict[int, int]
    mlflow_reads: dict[str, int]

    def sizes(self) -> dict[str, Any]:
        """Return what the report's texts name."""
        return {"points": self.points, "mlflow_points": self.mlflow_points}


SCALES: Final = {
    "full": Scale(
        name="full",
        starts=40,
        scripts=8,
        mlflow_starts=4,
        rounds=3,
        call={"batches": 200, "batch": 1_000, "calls": 100_000, "few": 2_000, "synchronous": 20},
        points=1_000_000,
        mlflow_points=20_000,
        fits={"logistic": 30, "forest": 10, "grid": 12},
        mlflow_fits={"logistic": 4, "forest": 4, "grid": 3},
        mlflow_fits_with_model={"logistic": 3, "forest": 2},
        hook={"batches": 100, "batch": 1_000},
        reads={1_000: 12, 30_000: 5},
        mlflow_reads={"file": 1_000, "sqlite": 30_000},
    ),
    "quick": Scale(
        name="quick",
        starts=20,
        scripts=3,
        mlflow_starts=1,
        rounds=2,
        call={"batches": 100, "batch": 1_000, "calls": 50_000, "few": 1_000, "synchronous": 10},
        points=200_000,
        mlflow_points=5_000,
        fits={"logistic": 30, "forest": 3, "grid": 5},
        mlflow_fits={"logistic": 2, "forest": 1, "grid": 1},
        mlflow_fits_with_model={"logistic": 1},
        hook={"batches": 50, "batch": 1_000},
        reads={1_000: 4},
        mlflow_reads={"sqlite": 1_000},
    ),
    # For the test of the benchmarks: every subject of autolog for real, and figures of no use.
    "smoke": Scale(
        name="smoke",
        starts=2,
        scripts=0,
        mlflow_starts=0,
        rounds=1,
        call={"batches": 10, "batch": 1_000, "calls": 2_000, "few": 50, "synchronous": 5},
        points=5_000,
        mlflow_points=0,
        fits={"logistic": 2, "forest": 1, "grid": 1},
        mlflow_fits={},
        mlflow_fits_with_model={},
        hook={"batches": 5, "batch": 200},
        reads={200: 1},
        mlflow_reads={},
    ),
}


@dataclass(frozen=True)
class Job:
    """A subject, run ``times`` times; the jobs of one ``shared`` name work in the same folder, one after another."""

    group: str
    subject: str
    tool: Tool
    times: int
    store: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    shared: str | None = None

    @property
    def contender(self) -> str:
        """The column of the report."""
        name = {"none": "none", "autolog": "autolog", "mlflow": "MLflow"}[self.tool]
        return name if self.store is None else f"{name}, {STORES[self.store]}"


def make_plan(scale: Scale) -> list[Job]:
    """Return every job of a scale."""
    return [*_start(scale), *_call(scale), *_durable(scale), *_training(scale), *_hook(scale), *_read(scale)]


def _start(scale: Scale) -> Iterator[Job]:
    yield Job("start", "start_autolog", "autolog", scale.starts)
    yield Job("start", "start_mlflow", "mlflow", scale.mlflow_starts)
    yield Job("start", "script_none", "none", scale.scripts)
    yield Job("start", "script_autolog", "autolog", scale.scripts)
    yield Job("start", "script_mlflow", "mlflow", scale.mlflow_starts)


def _call(scale: Scale) -> Iterator[Job]:
    yield Job("call", "call_none", "none", scale.rounds, arguments=scale.call)
    for store in STORES:
        yield Job("call", "call_autolog", "autolog", scale.rounds, store, scale.call)
        few = {"calls": 300, "few": 50} if store == "sqlite" else {"calls": 1_000, "few": 100}
        yield Job("call", "call_mlflow", "mlflow", 1 if scale.mlflow_points else 0, store, few)


def _durable(scale: Scale) -> Iterator[Job]:
    for store in STORES:
        yield Job("durable", "durable_autolog", "autolog", scale.rounds, store, {"points": scale.points})
        times = 1 if scale.mlflow_points else 0
        yield Job("durable", "durable_mlflow", "mlflow", times, store, {"mlflow_points": scale.mlflow_points})


def _training(scale: Scale) -> Iterator[Job]:
    for store in STORES:
        yield Job("training", "training_autolog", "autolog", 1, store, {"repeats": scale.fits})
        # Storing its model takes MLflow seconds, whatever the store of the rest.
        with_model = scale.mlflow_fits_with_model if store == "file" or scale.name == "full" else {}
        fits = {"repeats": scale.mlflow_fits, "repeats_with_model": with_model}
        yield Job("training", "training_mlflow", "mlflow", 1 if scale.mlflow_fits else 0, store, fits)


def _hook(scale: Scale) -> Iterator[Job]:
    yield Job("hook", "hook_autolog", "autolog", scale.rounds, arguments={"store": "file", **scale.hook})


def _read(scale: Scale) -> Iterator[Job]:
    for runs, repeats in scale.reads.items():
        group, arguments = f"read_{runs}", {"runs": runs, "repeats": repeats}
        for store in STORES:
            for tool in ("autolog", "mlflow"):
                # MLflow's file store takes minutes to fill and seconds to read.
                if tool == "mlflow" and runs > scale.mlflow_reads.get(store, 0):
                    continue
                shared = f"{group}_{tool}_{store}"
                yield Job(group, f"read_build_{tool}", tool, 1, store, arguments, shared)
                times = scale.rounds if tool == "autolog" and runs <= 1_000 else 1
                few = arguments if tool == "autolog" else {"runs": runs, "repeats": 3 if runs <= 1_000 else 1}
                yield Job(group, f"read_{tool}", tool, times, store, few, shared)
