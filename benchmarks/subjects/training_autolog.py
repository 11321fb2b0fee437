"""The time that autolog adds to a fit: fits with it and without by turns, in one process."""

import warnings
from functools import partial

from autolog_store import make_store
from subject import read_arguments, report
from workloads import WORKLOADS, Cost, Data, Workload, alternate, beyond_one_round, measure_fit

import autolog
from autolog import tracking

warnings.simplefilter("ignore")
arguments = read_arguments()
url = make_store(arguments)


def plain(workload: Workload, data: Data, rounds: int | None = None) -> Cost:
    autolog.disable()
    return measure_fit(workload, data, rounds=rounds)


def recorded(workload: Workload, data: Data, rounds: int | None = None, *, log_models: bool = False) -> Cost:
    autolog.enable(url, log_models=log_models)
    return measure_fit(workload, data, autolog.flush, rounds=rounds)


def stores_model() -> bool:
    """Say whether the last run holds a model: a fit that stores none is not reported as if it did."""
    run = autolog.last_active_run()
    if run is None:
        raise SystemExit("no run was recorded")
    artifacts = tracking.current().reader().artifacts(run.info.run_id)
    return any(artifact.path.endswith("MLmodel") for artifact in artifacts)


workload = WORKLOADS[arguments["workload"]]
data = tuple(part[: arguments["rows"]] for part in workload.data())
samples: dict[str, list[float]] = {}
for log_models, suffix in ((False, ""), (True, "_with_model")):
    # The first recorded fit of a process imports what later ones have; it does not count.
    recorded(workload, data, log_models=log_models)
    if stores_model() == log_models:
        samples |= alternate(
            arguments["repeats"],
            partial(plain, workload, data),
            partial(recorded, workload, data, log_models=log_models),
            suffix,
        )
if workload.points_of_a_round:
    few = partial(plain, workload, data, 1), partial(recorded, workload, data, 1)
    samples |= beyond_one_round(workload, samples, alternate(arguments["repeats"], *few))
report(samples)
