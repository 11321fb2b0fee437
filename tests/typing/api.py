"""What type checkers must accept of the public surface; it is checked, never run."""

from __future__ import annotations

import pandas as pd

import autolog
from autolog.backend import Backend, Reader
from autolog.backends import open_backend, open_reader

with autolog.enable("file:./runs", experiment="typed", integrations=["sklearn"], tags={"team": "a"}, strict=True):
    pass
autolog.enable()
autolog.disable()
done: bool = autolog.flush(timeout=1.0)

experiment: autolog.Experiment = autolog.set_experiment("typed")
with autolog.start_run(run_name="one", tags={"kind": "example"}) as run:
    autolog.log_param("rate", 0.1)
    autolog.log_params({"depth": 3, "kind": "tree"})
    autolog.log_metric("loss", 0.5, step=1)
    autolog.log_metrics({"loss": 0.4, "accuracy": 1}, step=2)
    autolog.set_tag("stage", "trial")
    autolog.log_text("hello", "notes/hello.txt")
    autolog.log_dict({"a": [1, 2]}, "config.json")
    run_id: str = run.info.run_id
    run.log_metric("loss", 0.3, step=3)

stored: autolog.Run = autolog.get_run(run_id)
status: autolog.RunStatus = stored.info.status
value: float = stored.data.metrics["loss"]
frame: pd.DataFrame = autolog.search_runs(filter_string="metrics.loss < 1")
listed: list[autolog.Run] = autolog.search_runs(output_format="list")
points: list[autolog.Metric] = autolog.get_metric_history(run_id, "loss")
active: autolog.ActiveRun | None = autolog.active_run()

backend: Backend = open_backend("sqlite:///runs.db")
reader: Reader = open_reader("sqlite:///runs.db")
