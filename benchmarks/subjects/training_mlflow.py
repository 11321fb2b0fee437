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
from workloads import WORKLOADS, Cost, Data, Workload, alternate, beyond_one_round, measure_fit

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
arguments = read_arguments()
make_store(arguments)


def plain(workload: Workload, data: Data, rounds: int | None = None) -> Cost:
    flavor.autolog(disable=True, silent=True)
    return measure_fit(workload, data, rounds=rounds)


def recorded(workload: Workload, data: Data, rounds: int | None = None, *, log_models: bool = False) -> Cost:
    flavor.autolog(log_models=log_models, silent=True, **workload.mlflow_settings)
    models = count_models()
    cost = measure_fit(workload, data, rounds=rounds)
    if (count_models() > models) is not log_models:
        raise SystemExit("a model was stored where none was wanted, or the other way round")
    return cost


def count_models() -> int:
    return sum(1 for _ in Path(arguments["folder"], "artifacts").rglob("MLmodel"))


workload = WORKLOADS[arguments["workload"]]
flavor = getattr(mlflow, workload.integration)
data = tuple(part[: arguments["rows"]] for part in workload.data())
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
if workload.points_of_a_round and arguments["repeats"]:
    few = partial(plain, workload, data, 1), partial(recorded, workload, data, 1)
    samples |= beyond_one_round(workload, samples, alternate(arguments["repeats"], *few))
report(samples)
