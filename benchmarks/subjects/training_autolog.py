"""The time that autolog adds to a fit: fits with it and without by turns, in one process."""

import warnings

from autolog_store import make_store
from subject import read_arguments, report
from workloads import WORKLOADS, Cost, alternate, measure_fit

import autolog
from autolog import tracking

warnings.simplefilter("ignore")
arguments = read_arguments()
url = make_store(arguments)
samples: dict[str, list[float]] = {}


def stores_models() -> bool:
    """Say whether the last run holds a model: a way of recording that stores none is not compared as if it did."""
    run = autolog.last_active_run()
    if run is None:
        raise SystemExit("no run was recorded")
    artifacts = tracking.current().reader().artifacts(run.info.run_id)
    return any(artifact.path.endswith("MLmodel") for artifact in artifacts)


for name, workload in WORKLOADS.items():
    data = workload.data()

    def plain() -> Cost:
        autolog.disable()
        return measure_fit(workload, data)

    for log_models in (False, True):

        def recorded() -> Cost:
            autolog.enable(url, log_models=log_models)
            return measure_fit(workload, data, autolog.flush)

        measured = alternate(arguments["repeats"][name], plain, recorded, name, "_with_model" if log_models else "")
        if not log_models or stores_models():
            samples.update(measured)
report(samples)
