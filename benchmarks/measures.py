"""What is measured, in the order of the report, and the targets that autolog sets itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Unit = Literal["ns", "bytes"]


@dataclass(frozen=True)
class Measure:
    """One row of a table.

    ``target`` is the most that autolog's median may be, in the unit. What is not ``compared`` has no ratio:
    it is not the tool's doing.
    """

    name: str
    title: str
    unit: Unit = "ns"
    target: float | None = None
    compared: bool = True


@dataclass(frozen=True)
class Group:
    """One table: what its subjects measure, and what a reader must know of how."""

    name: str
    title: str
    notes: str
    measures: list[Measure] = field(default_factory=list)


MICROSECOND: Final = 1e3
MILLISECOND: Final = 1e6

_TRAININGS: Final = {
    "logistic": "LogisticRegression in a pipeline, 569 x 30",
    "forest": "RandomForest of 100 trees, 1,797 x 64",
    "grid": "GridSearchCV, 6 candidates x 3 folds",
}

GROUPS: Final = [
    Group(
        "start",
        "Start",
        "A fresh process each time, bytecode caches warm, no framework imported before. "
        "*The whole start* is the import, `enable()` or `mlflow.autolog()`, and then the imports of "
        "`sklearn.linear_model`, `sklearn.pipeline` and `sklearn.preprocessing`; *none* is those alone.",
        [
            Measure("import", "`import autolog`", target=60 * MILLISECOND),
            Measure("enable", "`autolog.enable()`", target=2 * MILLISECOND),
            Measure("script", "the whole start of a scikit-learn script"),
        ],
    ),
    Group(
        "call",
        "Logging calls",
        "What the caller waits, in a tight loop while the writer works beside it; of `log_metric` the samples of "
        "autolog are means of batches, of every other row they are single calls. *none* appends to a list. "
        "The CPU time is that of the whole process until the store has the points.",
        [
            Measure("log_metric", "`log_metric`", target=1 * MICROSECOND),
            Measure("log_metric_p999", "`log_metric`, the 99.9th percentile of single calls"),
            Measure("log_metric_cpu", "`log_metric`, CPU time until stored, per point"),
            Measure("log_metric_synchronous", "`log_metric(synchronous=True)`"),
            Measure("log_metrics_50", "`log_metrics` of 50 metrics"),
            Measure("log_param", "`log_param`"),
        ],
    ),
    Group(
        "durable",
        "Until it is stored",
        "One metric, logged in a tight loop, and then a flush: {points:,} points by `autolog.log_metric`, and "
        "{mlflow_points:,} by the fastest way that MLflow has, `log_batch` of 1,000 at a time.",
        [
            Measure("in_all", "all {points:,} points, from the first call until stored"),
            Measure("per_point", "the same, per point"),
            Measure("caller", "the caller's part, per point"),
            Measure("cpu", "CPU time of the process, per point"),
            Measure("bytes", "size of the store, per point", "bytes"),
        ],
    ),
    Group(
        "training",
        "Training",
        "Fits that are recorded and fits that are not, by turns in one process; a sample is the difference of two "
        "neighbours, so that it can be negative where the fit itself varies more than recording costs. "
        "CPU time counts every thread until all is stored. Rows *with the model* also store the trained model; "
        "a tool that stores none has no figure there. One thread for the linear algebra.",
        [
            measure
            for name, title in _TRAININGS.items()
            for measure in (
                Measure(f"{name}_fit", f"{title}: the fit alone", compared=False),
                Measure(f"{name}_added", "… added to it"),
                Measure(f"{name}_added_cpu", "… CPU time added, until stored"),
                Measure(f"{name}_added_with_model", "… added to it, with the model"),
                Measure(f"{name}_added_cpu_with_model", "… CPU time added, with the model"),
            )
        ],
    ),
    Group(
        "hook",
        "Hooks that record nothing",
        "`fit` of an estimator that the user defines and that does nothing, per call. "
        "MLflow does not hook such estimators, and so has no figure.",
        [
            Measure("never_enabled", "never hooked"),
            Measure("inside_a_training", "hooked, inside another training"),
            Measure("after_disable", "after `disable()`"),
            Measure("kept_never_enabled", "a kept reference to the method, never hooked"),
            Measure("kept_after_disable", "a kept reference to the hooked method, after `disable()`"),
        ],
    ),
    *(
        Group(
            f"read_{runs}",
            f"Reading {runs:,} runs",
            "Every run has 20 params and 10 metrics of 10 points. The search is "
            "`metrics.metric_0 > 0.5 and params.param_0 = '3'`, ordered by a metric, the first 100. *Cold* is the "
            "first search of a process; the rest is repeated in the same process. The data frame holds every run."
            " MLflow's file store is filled only in the full run, and with 1,000 runs: it is 34 files a run.",
            [
                Measure("search_cold", "filter, order, 100 runs; cold"),
                Measure("search", "filter, order, 100 runs"),
                Measure("count", "count what the filter matches"),
                Measure("deep_page", "the hundredth page"),
                Measure("frame", "`search_runs` as a data frame"),
            ],
        )
        for runs in (200, 1_000, 30_000)
    ),
]
