"""What is measured, in the order of the report, and the targets that autolog sets itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Unit = Literal["ns", "bytes", "share", "surcharge"]


@dataclass(frozen=True)
class Measure:
    """One column of a table.

    ``targets`` are, by contender, the most that its median may be, in the unit; of a share, the least.
    A surcharge is what is added, as a part of what there is without it.
    What is not ``compared`` has no ratio: it is not the tool's doing.
    """

    name: str
    title: str
    unit: Unit = "ns"
    targets: dict[str, float] = field(default_factory=dict)
    compared: bool = True


@dataclass(frozen=True)
class Group:
    """One table: what its subjects measure, and what a reader must know of how."""

    name: str
    title: str
    notes: str
    measures: tuple[Measure, ...]


_MICROSECOND: Final = 1e3
_MILLISECOND: Final = 1e6
_SECOND: Final = 1e9
_MEGABYTE: Final = 1e6
_LOCAL: Final = ("autolog-file", "autolog-sqlite")
_STORES: Final = (*_LOCAL, "autolog-postgresql", "autolog-mariadb")

_START = Group(
    "start",
    "Start",
    "A fresh process each time, bytecode caches warm, nothing imported before. *Enable* is `autolog.enable()` or "
    "`mlflow.autolog()`; the first run is everything up to the return of its first `log_metric`. *The whole start* "
    "is the import, *enable*, and then the imports of `sklearn.linear_model`, `sklearn.pipeline` and "
    "`sklearn.preprocessing`; *none* is those alone.",
    (
        Measure("import", "import", targets={"autolog": 60 * _MILLISECOND}),
        Measure("enable", "enable", targets={"autolog": 2 * _MILLISECOND}),
        Measure("first_run", "first run"),
        Measure("script", "whole start of a scikit-learn script"),
    ),
)
_CALL = Group(
    "call",
    "Logging calls",
    "What the caller waits, in a tight loop while whatever writes works beside it: pyperf's values, each the mean of a "
    "loop. The 99.9th percentile is that of single calls, as many as come in a second or two, 100,000 at most; so of a "
    "slow tool it is the slowest call. *none* appends to a list; the yardstick packs a point of 64 bytes and writes it "
    "to a mapped page, measured in each contender's process.",
    (
        Measure("log_metric", "`log_metric`", targets=dict.fromkeys(_LOCAL, 0.5 * _MICROSECOND)),
        Measure("log_metric_p999", "`log_metric`, 99.9 %", targets=dict.fromkeys(_LOCAL, 50 * _MICROSECOND)),
        Measure("log_metrics_50", "`log_metrics` of 50"),
        Measure("log_param", "`log_param`"),
        Measure("log_metric_synchronous", "`log_metric(synchronous=True)`"),
        Measure("yardstick", "yardstick", compared=False),
    ),
)
_DURABLE = Group(
    "durable",
    "Until it is stored",
    "One metric, logged in a tight loop, until the store has it: by `flush()`, or by the end of the run where the tool "
    "has no such call. {points:,} points by autolog, fewer by tools that would take minutes. *log_batch* is MLflow's "
    "fastest way, 1,000 points at a time. CPU time is that of all threads and processes of the tool, "
    "a database's server apart.",
    (
        Measure(
            "million",
            "10⁶ points, first call to stored",
            targets=dict.fromkeys(_LOCAL, 4 * _SECOND) | {"autolog-postgresql": 8 * _SECOND},
        ),
        Measure("per_point", "per point"),
        Measure("caller", "the caller's part"),
        Measure("cpu", "CPU time per point", targets={"autolog-sqlite": 3 * _MICROSECOND}),
        Measure("bytes", "stored per point", "bytes", targets={"autolog-sqlite": 40, "autolog-file": 48}),
    ),
)
_MEMORY = Group(
    "memory",
    "Memory",
    "What is added to a process that has imported NumPy and nothing else: proportional set size, with the tool "
    "imported, a run begun and 10,000 points stored (fewer by slow peers); *with its processes* counts those that the "
    "tool has started. The growth is that over the points that follow: ten million by autolog in the full run, "
    "ten times the first ones by the peers. *Highest* was seen on the way; a mapped page counts as long as it is warm.",
    (
        Measure(
            "added",
            "added",
            "bytes",
            targets={
                "autolog-sqlite-writer's thread": 30 * _MEGABYTE,
                "autolog-sqlite-writer's process": 12 * _MEGABYTE,
            },
        ),
        Measure("added_by_all", "with its processes", "bytes"),
        Measure(
            "growth",
            "growth",
            "bytes",
            targets={f"{store}-writer's {home}": 2 * _MEGABYTE for store in _LOCAL for home in ("thread", "process")},
        ),
        Measure("highest", "highest on the way", "bytes"),
    ),
)
_TRAININGS: Final = {
    "logistic": "LogisticRegression in a pipeline, 569 x 30",
    "forest": "RandomForest of 100 trees, 1,797 x 64",
    "grid": "GridSearchCV, 6 candidates x 3 folds",
    "xgboost": "`xgboost.train`, 200 rounds, 4 metrics a round",
    "lightgbm": "`lightgbm.train`, 200 rounds, 4 metrics a round",
}
_NETWORKS: Final = {
    "torch": "a plain PyTorch loop, 6 epochs of 500 steps",
    "torch_clipped": "a plain PyTorch loop that clips gradients",
    "keras": "Keras on PyTorch, 3 epochs of 60,000 x 784",
    "keras_batches": "Keras on PyTorch, metrics of every batch",
    "lightning": "Lightning, 5 epochs of 100 steps",
}
_HOOK = Group(
    "hook",
    "Hooks that record nothing",
    "`fit` of an estimator that the user defines and that does nothing, per call. "
    "MLflow does not hook such estimators, and so has no figure.",
    (
        Measure("never_enabled", "never hooked"),
        Measure("inside_a_training", "hooked, inside another training"),
        Measure("after_disable", "after `disable()`"),
        Measure("kept_never_enabled", "a kept method, never hooked"),
        Measure("kept_after_disable", "a kept hooked method, after `disable()`"),
    ),
)
_CONTENTION = Group(
    "contention",
    "Many processes, one store",
    "{contended:,} points in all (400 by MLflow), by one process or shared among several that begin at once, "
    "a run each, until the last has its points stored; per point. The share is the throughput by that of one process. "
    "Every point is counted afterwards, and whatever a process prints as an error ends the measurement.",
    (
        Measure("by_1", "1 process"),
        Measure("by_8", "8 processes"),
        Measure("share_8", "share", "share", compared=False),
        Measure("by_64", "64 processes"),
        Measure("share_64", "share", "share", targets=dict.fromkeys(_STORES, 0.7), compared=False),
    ),
)
_LOOPS: Final = {"python": "pure Python", "torch": "PyTorch"}


def find_group(name: str) -> Group:
    """Return the table of a group of results."""
    kind, _, rest = name.partition("_")
    if kind == "training":
        return _network(name, _NETWORKS[rest]) if rest in _NETWORKS else _training(name, _TRAININGS[rest])
    if kind == "read":
        return _read(name, int(rest))
    if kind == "history":
        return _history(name, int(rest))
    if kind == "writer":
        loop, _, rate = rest.partition("_")
        return _writer(name, _LOOPS[loop], int(rate))
    return {group.name: group for group in (_START, _CALL, _DURABLE, _MEMORY, _HOOK, _CONTENTION)}[name]


def in_order(names: Iterator[str] | list[str]) -> list[str]:
    """Return the names of groups in the order of the report."""
    kinds = ("start", "call", "durable", "memory", "training", "hook", "read", "history", "contention", "writer")
    # The sort is stable, and the plan has the groups of one kind in their order.
    return sorted(names, key=lambda name: kinds.index(name.partition("_")[0]))


def _training(name: str, title: str) -> Group:
    quick = {"training_logistic": dict.fromkeys(_LOCAL, 10 * _MILLISECOND)}
    rounds = (
        (Measure("added_per_point", "added, per metric of a round", targets=dict.fromkeys(_LOCAL, 20 * _MICROSECOND)),)
        if name in {"training_xgboost", "training_lightgbm"}
        else ()
    )
    return Group(
        name,
        f"Training: {title}",
        "Fits that are recorded and fits that are not, by turns in one process; a sample is the difference of two "
        "neighbours, so that it can be negative where the fit itself varies more than recording costs. "
        "CPU time counts every thread until all is stored. *With the model* also stores the trained model; "
        "a tool that stores none has no figure there. One thread for the linear algebra."
        + (" *Per metric of a round* is what is added beyond a training of one round." if rounds else ""),
        (
            Measure("fit", "the fit alone", compared=False),
            Measure("added", "added to it", targets=quick.get(name, {})),
            *rounds,
            Measure("added_cpu", "CPU time added"),
            Measure("added_with_model", "added, with the model"),
            Measure("added_cpu_with_model", "CPU time, with the model"),
        ),
    )


def _network(name: str, title: str) -> Group:
    whole = {"training_keras": 0.01, "training_keras_batches": 0.05, "training_lightning": 0.02}
    later = {"training_torch": 0.03, "training_torch_clipped": 0.03}
    return Group(
        name,
        f"Training: {title}",
        "Trainings that are recorded and trainings that are not, by turns in one process; a sample is the difference "
        "of two neighbours, or that difference as a part of the one that is not recorded. One thread for the linear "
        "algebra, batches from memory. CPU time counts every thread until all is stored."
        + (_BATCHES if "keras" in name else _STEPS),
        (
            Measure("fit", "the training alone", compared=False),
            Measure("added", "added to it"),
            Measure("added_share", "as a part of it", "surcharge", _of_files(whole.get(name))),
            Measure("added_per_point", "added, per step"),
            Measure("added_share_of_rounds", "as a part of a step", "surcharge", _of_files(later.get(name))),
            Measure("added_cpu", "CPU time added"),
            Measure("added_cpu_share", "as a part of it", "surcharge"),
        ),
    )


_STEPS: Final = (
    " *Per step* is what is added beyond a training of one epoch, where everything is met first. "
    "Of Lightning MLflow records epochs, and autolog what the module logs, in every step."
)
_BATCHES: Final = " Epochs of 469 batches; loss and accuracy are recorded once an epoch, or for every batch too."


def _of_files(most: float | None) -> dict[str, float]:
    return {} if most is None else {"autolog-file": most}


def _read(name: str, runs: int) -> Group:
    targets = {}
    if runs == 30_000:
        quick = {"autolog-sqlite": 20 * _MILLISECOND, "autolog-postgresql": 20 * _MILLISECOND}
        targets = {"search": quick | {"autolog-file": 300 * _MILLISECOND}, "frame": {"autolog-sqlite": 1.5 * _SECOND}}
    return Group(
        name,
        f"Reading {runs:,} runs",
        "Every run has 20 params and 10 metrics of 10 points. The search is "
        "`metrics.metric_0 > 0.5 and params.param_0 = '3'`, ordered by a metric, the first 100. *Cold* is the "
        "first search of a process; the rest is repeated in the same process. The data frame holds every run."
        " MLflow's file store is filled only in the full run, and with 1,000 runs: it is 34 files a run.",
        (
            Measure("search_cold", "filter, order, 100 runs; cold"),
            Measure("search", "filter, order, 100 runs", targets=targets.get("search", {})),
            Measure("count", "count the matches"),
            Measure("deep_page", "the hundredth page"),
            Measure("frame", "`search_runs`, data frame", targets=targets.get("frame", {})),
        ),
    )


def _history(name: str, points: int) -> Group:
    targets = dict.fromkeys(_STORES, 150 * _MILLISECOND) if points == 1_000_000 else {}
    return Group(
        name,
        "One metric's history",
        f"{points:,} points of one metric of one run. *Thinned* is what a plot of 2,000 points is drawn from; *arrays* "
        "is all of it as columns, *objects* a list of `Metric` objects by `get_metric_history`, which is all that "
        "MLflow has.",
        (
            Measure("thinned", "thinned to 2,000 points", targets=targets),
            Measure("arrays", "whole, arrays"),
            Measure("whole", "whole, objects"),
        ),
    )


def _writer(name: str, loop: str, rate: int) -> Group:
    return Group(
        name,
        f"The writer's home: a {loop} loop that logs {rate:,} points a second",
        "Steps of about 200 µs that do a fixed amount of work, logging included. CPU time is that of the training and "
        "the writer together, per step; *memory* is what was added to the training's process before the end, *of all* "
        "counts the writer's too. *Exit* is the time from the script's last line to the end of its process, "
        "which waits for what is not yet stored.",
        (
            Measure("median", "step, median"),
            Measure("p999", "step, 99.9 %"),
            Measure("cpu", "CPU time per step"),
            Measure("memory", "memory", "bytes"),
            Measure("memory_of_all", "memory of all", "bytes"),
            Measure("exit", "exit"),
        ),
    )
