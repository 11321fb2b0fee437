"""A store with known content: two comparable runs, a search with a child, and a run that failed."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from uuid import uuid4

import numpy as np

from autolog.artifact_store import ArtifactStore
from autolog.backend import Batch, Points, Position
from autolog.backends import open_backend
from autolog.entities import Dataset, DatasetInput, InputTag, RunStatus
from autolog.events import ExperimentCreated, InputsLogged, ParamsLogged, RunCreated, RunUpdated

START = 1_700_000_000_000
FOREST = "aaaa1111" * 4
LOGISTIC = "bbbb2222" * 4
SEARCH = "cccc3333" * 4
CANDIDATE = "cccc4444" * 4
BROKEN = "dddd5555" * 4


def record(url, *facts, metrics=(), artifacts=()):
    """Write facts, metric points (run_id, key, [(step, value), …]) and artifacts (run_id, path, bytes)."""
    backend = open_backend(url)
    points, first = [], 0
    for run_id, key, values in metrics:
        steps = np.array([step for step, _ in values], dtype=np.int64)
        points.append(
            Points(
                run_id=run_id,
                key=key,
                numbers=np.arange(first, first + len(steps), dtype=np.int64),
                steps=steps,
                timestamps=START + 1000 * steps,
                values=np.array([value for _, value in values], dtype=np.float64),
            )
        )
        first += len(steps)
    end = Position(len(facts), first)
    backend.write(Batch(journal=uuid4().hex, end=end, facts=tuple(enumerate(facts)), points=points))
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / "staged"
        for run_id, path, content in artifacts:
            staged.write_bytes(content)
            stored = ArtifactStore(backend.artifact_uri(run_id)).put(staged, path)
            backend.record_artifacts(run_id, [stored])
    backend.close()


def run_created(run_id, name, minutes=0, **fields):
    return RunCreated(
        run_id=run_id,
        experiment_id="7",
        experiment_name="iris",
        run_name=name,
        start_time=START + 60_000 * minutes,
        user_id="ada",
        **fields,
    )


def make_store(url):
    """Fill the store at a URL."""
    record(
        url,
        ExperimentCreated(experiment_id="7", name="iris", time=START),
        run_created(FOREST, "forest", 1, tags={"mlflow.source.git.commit": "5be6b02", "team": "trees"}),
        ParamsLogged(run_id=FOREST, params={"max_depth": "6", "seed": "0"}),
        InputsLogged(
            run_id=FOREST,
            inputs=(
                DatasetInput(
                    dataset=Dataset(name="iris", digest="ab12cd34"),
                    tags=(InputTag("mlflow.data.context", "train"),),
                ),
            ),
        ),
        RunUpdated(run_id=FOREST, status=RunStatus.FINISHED, end_time=START + 65_000),
        run_created(LOGISTIC, "logistic", 2),
        ParamsLogged(run_id=LOGISTIC, params={"C": "0.5", "seed": "0"}),
        RunUpdated(run_id=LOGISTIC, status=RunStatus.FINISHED, end_time=START + 121_000),
        run_created(SEARCH, "search", 3),
        RunUpdated(run_id=SEARCH, status=RunStatus.FINISHED, end_time=START + 181_000),
        run_created(CANDIDATE, "candidate", 3, tags={"mlflow.parentRunId": SEARCH}),
        RunUpdated(run_id=CANDIDATE, status=RunStatus.FINISHED, end_time=START + 181_000),
        run_created(BROKEN, "broken", 4),
        RunUpdated(run_id=BROKEN, status=RunStatus.FAILED, end_time=START + 240_100),
        metrics=[
            (FOREST, "accuracy", [(0, 0.97)]),
            (FOREST, "loss", [(step, 1 / (step + 1)) for step in range(100)]),
            (LOGISTIC, "accuracy", [(0, 0.91)]),
            (LOGISTIC, "loss", [(0, 0.25)]),
            (CANDIDATE, "accuracy", [(0, 0.99)]),
            (BROKEN, "loss", [(0, math.nan), (1, math.inf), (2, -math.inf), (3, math.nan)]),
        ],
        artifacts=[
            (FOREST, "model/trees.txt", b"three trees\n"),
            (FOREST, "model/weights.bin", b"\xff\xfe\x00"),
            (FOREST, "code/uncommitted.diff", b"-a\n+b\n"),
        ],
    )
