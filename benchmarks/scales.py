"""How much is measured: in full, quickly, or for the test of the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The sizes of one scale; what is nought or empty is left out.

    ``reads`` holds, by number of runs, how many values of each read and how many data frames are taken.
    """

    name: str
    rounds: int
    # Seconds that one process may take.
    longest: float
    servers: bool = False
    # Start
    starts: int
    scripts: int = 0
    mlflow_starts: int = 0
    peer_starts: int = 0
    # Calls
    call: dict[str, Any]
    peer_values: int = 0
    one_call: bool = False
    # Points until they are stored
    points: int
    peer_points: dict[str, int]
    mlflow_batched: int = 0
    # Memory
    memory_points: int = 0
    peer_memory: bool = False
    # Training
    fits: dict[str, int]
    mlflow_fits: dict[str, int]
    mlflow_fits_with_model: dict[str, int]
    # Trainings of networks, with so many rows of the data; None is all of them.
    networks: dict[str, int]
    mlflow_networks: dict[str, int]
    rows: int | None = None
    hook_values: int
    # Reading
    reads: dict[int, tuple[int, int]]
    server_reads: int = 0
    mlflow_reads: dict[str, int]
    history: int = 0
    history_values: int = 0
    mlflow_history: bool = False
    # Contention
    contended: int
    processes: tuple[int, ...]
    mlflow_contended: int = 0
    # The writer's home
    steps: int
    rates: tuple[int, ...]
    loops: tuple[str, ...]
    writer_stores: tuple[str, ...]


SCALES: Final = {
    "full": Scale(
        name="full",
        rounds=3,
        longest=600,
        servers=True,
        starts=20,
        scripts=6,
        mlflow_starts=3,
        peer_starts=3,
        call={"values": 20, "singles": 100_000, "seconds": 2.0},
        peer_values=10,
        points=1_000_000,
        peer_points={
            "mlflow": 1_000,
            "wandb": 20_000,
            "tensorboard": 100_000,
            "trackio": 50_000,
            "aim": 20_000,
            "clearml": 500,
        },
        mlflow_batched=20_000,
        memory_points=10_000_000,
        peer_memory=True,
        fits={"logistic": 30, "forest": 10, "grid": 12, "xgboost": 12, "lightgbm": 12},
        mlflow_fits={"logistic": 4, "forest": 4, "grid": 3, "xgboost": 4, "lightgbm": 4},
        mlflow_fits_with_model={"logistic": 3, "forest": 2, "xgboost": 2, "lightgbm": 2},
        networks={"torch": 20, "torch_clipped": 10, "keras": 10, "keras_batches": 8, "lightning": 15},
        mlflow_networks={"keras": 3, "keras_batches": 1, "lightning": 5},
        hook_values=30,
        reads={1_000: (10, 5), 30_000: (5, 3), 100_000: (3, 1)},
        server_reads=30_000,
        mlflow_reads={"file": 1_000, "sqlite": 30_000},
        history=1_000_000,
        history_values=5,
        mlflow_history=True,
        contended=640_000,
        processes=(1, 8, 64),
        mlflow_contended=400,
        steps=20_000,
        rates=(10, 1_000, 100_000),
        loops=("python", "torch"),
        writer_stores=("file", "sqlite"),
    ),
    "quick": Scale(
        name="quick",
        rounds=2,
        longest=90,
        starts=6,
        scripts=1,
        mlflow_starts=1,
        call={"values": 10, "singles": 50_000, "seconds": 0.5},
        peer_values=4,
        one_call=True,
        points=200_000,
        peer_points={"mlflow": 200},
        mlflow_batched=5_000,
        memory_points=200_000,
        fits={"logistic": 20, "forest": 3, "grid": 5, "xgboost": 3, "lightgbm": 3},
        mlflow_fits={"logistic": 2, "forest": 1, "grid": 1, "xgboost": 1, "lightgbm": 1},
        mlflow_fits_with_model={"logistic": 1},
        networks={"torch": 6},
        mlflow_networks={},
        hook_values=10,
        reads={1_000: (4, 2)},
        mlflow_reads={"sqlite": 1_000},
        history=100_000,
        history_values=3,
        contended=160_000,
        processes=(1, 8),
        steps=2_000,
        rates=(100_000,),
        loops=("python",),
        writer_stores=("sqlite",),
    ),
    # For the test of the benchmarks: every subject of autolog for real, and figures of no use.
    "smoke": Scale(
        name="smoke",
        rounds=1,
        longest=60,
        starts=2,
        call={"values": 3, "singles": 2_000, "seconds": 0.5},
        points=5_000,
        peer_points={},
        memory_points=5_000,
        fits={"logistic": 2, "forest": 1, "grid": 1, "xgboost": 1, "lightgbm": 1},
        mlflow_fits={},
        mlflow_fits_with_model={},
        networks={"torch": 1, "keras_batches": 1, "lightning": 1},
        mlflow_networks={},
        rows=1_000,
        hook_values=3,
        reads={200: (2, 1)},
        mlflow_reads={},
        history=20_000,
        history_values=2,
        contended=2_000,
        processes=(1, 8),
        steps=200,
        rates=(1_000,),
        loops=("python",),
        writer_stores=("sqlite",),
    ),
}
