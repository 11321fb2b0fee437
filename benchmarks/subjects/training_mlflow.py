"""The time that ``mlflow.autolog()`` adds to a fit, with the model and without."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import logging
import warnings
from functools import partial
from pathlib import Path

import mlflow
from mlflow_store import make_store
from subject import read_arguments, report
from workloads import WORKLOADS, Cost, Data, Workload, alternate, measure_fit

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
arguments = read_arguments()
make_store(arguments)


def plain(workload: Workload, data: Data) -> Cost:
    mlflow.sklearn.autolog(disable=True, silent=True)
    return measure_fit(workload, data)


def recorded(workload: Workload, data: Data, *, log_models: bool) -> Cost:
    mlflow.sklearn.autolog(log_models=log_models, silent=True)
    models = count_models()
    cost = measure_fit(workload, data)
    if (count_models() > models) is not log_models:
        raise SystemExit("a model was stored where none was wanted, or the other way round")
    return cost


def count_models() -> int:
    return sum(1 for _ in Path(arguments["folder"], "artifacts").rglob("MLmodel"))


workload = WORKLOADS[arguments["workload"]]
data = workload.data()
samples: dict[str, list[float]] = {}
for repeats, log_models, suffix in (
    (arguments["repeats"], False, ""),
    (arguments["repeats_with_model"], True, "_with_model"),
):
    if repeats:
        recorded(workload, data, log_models=log_models)
        samples |= alternate(
            repeats,
            partial(plain, workload, data),
            partial(recorded, workload, data, log_models=log_models),
            suffix,
        )
report(samples)
