"""The time that ``mlflow.autolog()`` adds to a fit, with the model and without."""

import logging
import warnings

import mlflow
from mlflow_store import make_store
from subject import read_arguments, report
from workloads import WORKLOADS, Cost, alternate, measure_fit

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
arguments = read_arguments()
make_store(arguments)
samples: dict[str, list[float]] = {}
for name, workload in WORKLOADS.items():
    data = workload.data()

    def plain() -> Cost:
        mlflow.sklearn.autolog(disable=True, silent=True)
        return measure_fit(workload, data)

    for log_models, repeats in (
        (False, arguments["repeats"][name]),
        (True, arguments["repeats_with_model"][name]),
    ):

        def recorded() -> Cost:
            mlflow.sklearn.autolog(log_models=log_models, silent=True)
            return measure_fit(workload, data)

        if repeats:
            samples |= alternate(repeats, plain, recorded, name, "_with_model" if log_models else "")
report(samples)
