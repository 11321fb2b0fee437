"""What the metrics and figures of a training cost, beside scikit-learn's functions for the same numbers.

``python benchmarks/evaluation.py`` prints a table in Markdown; every cell is the quickest of many calls, the
contenders taking turns, since what else a machine does only ever adds.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics

from autolog.evaluation import evaluate_classifier, evaluate_regressor
from autolog.figures import log_figures

SHAPES = ((569, 2), (10_000, 2), (1_797, 10), (10_000, 10))
SECONDS = 6.0


def classified(rows, classes):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, classes, rows)
    scores = rng.normal(size=(rows, classes))
    scores[np.arange(rows), targets] += 2
    probabilities = np.exp(scores)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return targets, probabilities.argmax(axis=1), np.arange(classes), probabilities


def by_scikit_learn(targets, predicted, labels, probabilities):
    two = len(labels) == 2
    averaged = {"average": "weighted", "zero_division": 0}
    return [
        *metrics.precision_recall_fscore_support(targets, predicted, **averaged)[:3],
        metrics.accuracy_score(targets, predicted),
        metrics.log_loss(targets, probabilities, labels=labels),
        metrics.roc_auc_score(
            targets,
            probabilities[:, 1] if two else probabilities,
            average="weighted",
            multi_class="ovo",
            labels=None if two else labels,
        ),
    ]


def regressed_by_scikit_learn(targets, predicted):
    return [
        metrics.mean_squared_error(targets, predicted),
        metrics.mean_absolute_error(targets, predicted),
        metrics.root_mean_squared_error(targets, predicted),
        metrics.r2_score(targets, predicted),
    ]


def quickest(*functions):
    """Return the least time of each in milliseconds, called in turns for some seconds."""
    least = [float("inf")] * len(functions)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for index, function in enumerate(functions):
            start = time.perf_counter()
            function()
            least[index] = min(least[index], time.perf_counter() - start)
    return [f"{1000 * seconds:.2f}" for seconds in least]


def measure_logging(found):
    """Return the milliseconds that logging the figures takes on the training's thread, the quickest and the median."""
    import autolog

    taken = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUTOLOG_SPOOL"] = str(Path(folder) / "spool")
        autolog.set_tracking_uri(f"file:{Path(folder) / 'runs'}")
        for _ in range(100):
            with autolog.start_run() as run:
                start = time.perf_counter()
                log_figures(run, found)
                taken.append(1000 * (time.perf_counter() - start))
            time.sleep(0.02)
        autolog.flush()
    return f"{min(taken):.2f}", f"{np.median(taken):.2f}"


def main():
    warnings.simplefilter("ignore")
    print("| rows and classes | scikit-learn, metrics | autolog, metrics | autolog, metrics and figures |")
    print("|---|---|---|---|")
    for rows, classes in SHAPES:
        case = classified(rows, classes)
        cells = quickest(
            lambda case=case: by_scikit_learn(*case),
            lambda case=case: evaluate_classifier(*case, figures=False),
            lambda case=case: evaluate_classifier(*case),
        )
        print(f"| {rows:,}, {classes} | {' ms | '.join(cells)} ms |", flush=True)
    rng = np.random.default_rng(0)
    targets = rng.normal(size=10_000)
    predicted = targets + rng.normal(size=10_000)
    cells = quickest(
        lambda: regressed_by_scikit_learn(targets, predicted),
        lambda: evaluate_regressor(targets, predicted, figures=False),
        lambda: evaluate_regressor(targets, predicted),
    )
    print(f"| 10,000, regression | {' ms | '.join(cells)} ms |")
    least, median = measure_logging(evaluate_classifier(*classified(569, 2)).figures)
    print(f"\nLogging the four figures of 569 rows, 2 classes: {least} ms at best, {median} ms in the median.")


if __name__ == "__main__":
    main()
