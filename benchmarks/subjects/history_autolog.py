"""The history of one metric of many points: whole, and thinned to what a plot needs."""

import numpy as np
from autolog_store import store_url
from repeated import measure
from stored_runs import START
from subject import read_arguments, report

import autolog
from autolog.backend import Batch, Points, Position
from autolog.backends import open_backend, open_reader
from autolog.testing.journals import FakeJournal, experiment_created, run_created

DRAWN, PORTION = 2_000, 100_000

arguments = read_arguments()
url, points, values = store_url(arguments), arguments["points"], arguments["values"]
backend = open_backend(url)
journal = FakeJournal("benchmark")
journal.write(backend, experiment_created(time=START), run_created("0" * 32, start_time=START))
facts = journal.position[0]
for first in range(0, points, PORTION):
    steps = np.arange(first, min(first + PORTION, points))
    batch = Points("0" * 32, "loss", steps, steps, START + steps, 1 / (1 + steps))
    backend.write(Batch("benchmark", Position(facts, int(steps[-1]) + 1), [], [batch]))
backend.close()
reader = open_reader(url)
if len(reader.metric_history("0" * 32, "loss")) != points:
    raise SystemExit("the history is not whole")
if len(reader.metric_history("0" * 32, "loss", max_points=DRAWN)) > DRAWN:
    raise SystemExit("the history is not thinned")
autolog.set_tracking_uri(url)
benchmarks = {
    "thinned": measure("thinned", lambda: reader.metric_history("0" * 32, "loss", max_points=DRAWN), values),
    "arrays": measure("arrays", lambda: reader.metric_history("0" * 32, "loss"), values),
    "whole": measure("whole", lambda: autolog.get_metric_history("0" * 32, "loss"), max(2, values // 3)),
}
reader.close()
report({}, {}, benchmarks)
