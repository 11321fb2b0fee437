"""What every golden store holds."""

from __future__ import annotations

import math
from typing import Final

from autolog.entities import Artifact, Dataset, DatasetInput, InputTag, RunStatus
from autolog.events import ExperimentCreated, Fact, InputsLogged, ParamsLogged, RunCreated, RunUpdated, TagsSet

RUN: Final = "golden"
SECONDS: Final = 1_700_000_000.0
EXPERIMENT: Final = ExperimentCreated(
    experiment_id="096835911798659375", name="Line fits", time=1_699_999_999_000, tags={"team": "vision"}
)
PARAMS: Final = {"learning_rate": "0.1", 'ключ\n"1",2': "line\nline", "empty": ""}
TAGS: Final = {"mlflow.runName": "first", "stage": "trial"}
INPUTS: Final = (
    DatasetInput(
        dataset=Dataset(
            name="rows", digest="0123456789abcdef", source_type="local", source="{}", schema="{}", profile="{}"
        ),
        tags=(InputTag("mlflow.data.context", "training"),),
    ),
)
POINTS: Final = {
    "loss": [(0, 0.1 + 0.2), (1, math.nan), (2, math.inf), (3, -math.inf), (4, 5e-324)],
    'a, "b"\nc': [(-1, -0.0), (2**62, 1e308)],
}
ARTIFACT: Final = Artifact(
    path="notes/first.txt", size=6, sha256="f63e34a034f19a24438f2d74b242bc96682abd843ecc4ea63fefed4006d860a3"
)
FACTS: Final[tuple[Fact, ...]] = (
    RunCreated(
        run_id=RUN,
        experiment_id=EXPERIMENT.experiment_id,
        experiment_name=EXPERIMENT.name,
        run_name="first",
        start_time=1_700_000_000_000,
        user_id="user",
        tags=dict(TAGS),
    ),
    ParamsLogged(run_id=RUN, params=PARAMS),
    TagsSet(run_id=RUN, tags={"removed": "soon"}),
    TagsSet(run_id=RUN, tags={"removed": None}),
    InputsLogged(run_id=RUN, inputs=INPUTS),
    RunUpdated(run_id=RUN, status=RunStatus.FINISHED, end_time=1_700_000_060_000),
)
