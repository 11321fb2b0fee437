"""Searches for hyperparameters: a child run for every candidate, and the table of all of them.

Whatever has a ``cv_results_`` after its fit is a search, whichever library it comes from. Everything is read from
there: a candidate that was trained in another process is as complete as one that was trained here.
"""

from __future__ import annotations

import csv
import io
import math
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from autolog.entities import RunStatus
from autolog.guard import guard
from autolog.integrations.sklearn_params import describe_value, describe_values, is_estimator, read_params, tags_of
from autolog.lifecycle import record_child

if TYPE_CHECKING:
    from autolog.hooks import Call
    from autolog.run import ActiveRun
    from autolog.training import Training

_LONGEST_NAME: Final = 100
# Columns of the table that are no metrics: MLflow leaves out the folds' scores, which are steps of one metric here.
_SPLIT: Final = "split"
_PARAM: Final = "param_"
# What stands in the place of an estimator that is left out.
_NO_ESTIMATOR: Final = frozenset({"passthrough", "drop"})


class Fold(NamedTuple):
    """When one fold of a candidate was trained and scored, in seconds since the epoch, and why it failed if it did."""

    candidate: int
    split: int
    began: float
    ended: float
    failure: str | None


class Candidates:
    """The folds that were trained in this process while a search went on, in the order in which they ended."""

    def __init__(self) -> None:
        self.folds: list[tuple[int, int, Fold]] = []

    def by_candidate(self) -> dict[int, list[Fold]]:
        """Return the folds of each candidate, by its place in ``cv_results_``.

        Searches that halve count their candidates anew in every iteration; a fold that comes again tells which one.
        """
        bases, sizes = [0], [0]
        seen: set[tuple[int, int]] = set()
        grouped: dict[int, list[Fold]] = {}
        for candidate, size, fold in self.folds:
            if (candidate, fold.split) in seen:
                seen.clear()
                bases.append(bases[-1] + sizes[-1])
                sizes.append(0)
            seen.add((candidate, fold.split))
            sizes[-1] = size
            grouped.setdefault(bases[-1] + candidate, []).append(fold)
        return grouped


_watched: Final[weakref.WeakKeyDictionary[Training, Candidates]] = weakref.WeakKeyDictionary()


def watch_candidates(training: Training | None) -> Candidates:
    """Have the folds of a training noted from now on."""
    candidates = Candidates()
    if training is not None:
        _watched[training] = candidates
    return candidates


def note_fold(call: Call, began: float, ended: float) -> None:
    """Note a call of ``_fit_and_score``; scikit-learn passes all that is needed by keyword."""
    candidates = _watched.get(call.training) if call.training is not None else None
    progress, split = call.kwargs.get("candidate_progress"), call.kwargs.get("split_progress")
    if candidates is not None and progress is not None and split is not None:
        failure = call.result.get("fit_error") if isinstance(call.result, dict) else None
        fold = Fold(progress[0], split[0], began, ended, failure)
        candidates.folds.append((progress[0], progress[1], fold))


def find_search(estimator: Any) -> Any:
    """Return the search that a fit was: the estimator, or a pipeline's last step; None where neither is one."""
    while True:
        results = vars(estimator).get("cv_results_")
        if isinstance(results, Mapping) and isinstance(results.get("params"), (list, tuple)):
            return estimator
        match vars(estimator).get("steps"):
            case [*_, (str(), last)] if is_estimator(last):
                estimator = last
            case _:
                return None


def log_search(run: ActiveRun, search: Any, candidates: Candidates) -> None:
    """Log what a search tried: children of the run, and the table.

    Args:
        run: the search's own.
        search: fitted, with ``cv_results_``.
        candidates: what is known of its folds.
    """
    results: dict[str, list[Any]] = {}
    for name, column in vars(search)["cv_results_"].items():
        if isinstance(name, str):
            results[name] = _values(column)
    tried = results["params"]
    rank = next((name for name in results if name.startswith("rank_test_")), None)
    refit = vars(search).get("refit")
    if isinstance(refit, str) and f"rank_test_{refit}" in results:
        rank = f"rank_test_{refit}"
    with guard("storing the results of a search"):
        run.log_content("cv_results.csv", write_table(results).encode(errors="replace"))
    with guard("recording the figure of a search"):
        _log_figure(run, results, (rank or "rank_test_score").removeprefix("rank_"))
    order = list(range(len(tried)))
    most = run.tracking.settings.search_children
    if most is not None and len(order) > most:
        if rank is not None:
            order.sort(key=lambda index: _sortable(results[rank][index]))
        order = sorted(order[:most])
        run.set_tag("autolog.search_children", len(order))
    with guard("recording the candidates of a search"):
        _log_children(run, search, results, order, candidates.by_candidate())


def _log_children(
    run: ActiveRun, search: Any, results: dict[str, list[Any]], order: Sequence[int], folds: dict[int, list[Fold]]
) -> None:
    seed = read_params(search, deep=False).get("estimator")
    inherited = read_params(seed, deep=True) if is_estimator(seed) else {}
    described = describe_values(inherited)
    tags = tags_of(seed if is_estimator(seed) else search)
    tags["mlflow.autologging"] = "sklearn"
    columns = _metric_columns(results)
    splits = _split_columns(results)
    began = run.start_time or 0
    for index in order:
        params = results["params"][index]
        tried = _describe_candidate(params, described) if isinstance(params, Mapping) else described
        noted = folds.get(index, [])
        start, end = _times(results, index, noted, began, len(next(iter(splits.values()), ())))
        failure = next((fold.failure for fold in noted if fold.failure), None)
        metrics = [(name, values[index], 0) for name, values in columns.items()]
        for name, parts in splits.items():
            metrics += [(name, values[index], step) for step, values in enumerate(parts)]
        failed = failure is not None or any(
            _is_nan(values[index]) for name, values in columns.items() if name.startswith("mean_test_")
        )
        record_child(
            run,
            name=_name_candidate(tags["estimator_name"], params),
            tags=tags if failure is None else {**tags, "autolog.exception": failure.strip().rpartition("\n")[2]},
            params=tried,
            metrics=metrics,
            start_time=start,
            end_time=end,
            status=RunStatus.FAILED if failed else RunStatus.FINISHED,
        )


def _describe_candidate(params: Mapping[str, Any], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the seed's params with the candidate's over them; an estimator among these brings its own."""
    described = dict(inherited)
    for key, value in params.items():
        if is_estimator(value) or value is None or (type(value) is str and value in _NO_ESTIMATOR):
            for other in [other for other in described if other.startswith(f"{key}__")]:
                del described[other]
            if is_estimator(value):
                described.update(
                    {f"{key}__{name}": text for name, text in describe_values(read_params(value, deep=True)).items()}
                )
    described.update({str(key): describe_value(value) for key, value in params.items()})
    return described


def _name_candidate(estimator: str, params: Any) -> str:
    if not isinstance(params, Mapping):
        return estimator
    told = ", ".join(f"{key}={describe_value(value)}" for key, value in params.items())
    return f"{estimator}({told if len(told) <= _LONGEST_NAME else told[: _LONGEST_NAME - 1] + '…'})"


def _metric_columns(results: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the columns that are numbers: means, standard deviations, ranks, and what a search adds."""
    return {
        name: values
        for name, values in results.items()
        if name != "params"
        and not name.startswith((_PARAM, _SPLIT))
        and values
        and all(type(value) in {int, float, bool} for value in values)
    }


def _split_columns(results: Mapping[str, list[Any]]) -> dict[str, list[list[Any]]]:
    """Return the folds' scores: the columns ``split0_test_score``, ``split1_test_score`` … as ``split_test_score``."""
    found: dict[str, dict[int, list[Any]]] = {}
    for name, values in results.items():
        number, _, score = name.removeprefix(_SPLIT).partition("_")
        if name.startswith(_SPLIT) and number.isdigit() and all(type(value) in {int, float} for value in values):
            found.setdefault(f"split_{score}", {})[int(number)] = values
    return {name: [parts[number] for number in sorted(parts)] for name, parts in found.items()}


def _times(
    results: Mapping[str, list[Any]], index: int, folds: Sequence[Fold], began: int, splits: int
) -> tuple[int, int]:
    """Return when a candidate began and ended, in milliseconds since the epoch.

    Where its folds were trained in another process, what is known is how long they took: it is told from the
    beginning of the search.
    """
    if folds:
        return int(min(fold.began for fold in folds) * 1000), int(max(fold.ended for fold in folds) * 1000)
    seconds = sum(
        results[name][index] * max(splits, 1)
        for name in ("mean_fit_time", "mean_score_time")
        if name in results and type(results[name][index]) is float and math.isfinite(results[name][index])
    )
    return began, began + int(seconds * 1000)


def _log_figure(run: ActiveRun, results: Mapping[str, list[Any]], score: str) -> None:
    from autolog.figures import log_figures, search_figure

    if f"mean_{score}" in results and f"std_{score}" in results:
        params = {name.removeprefix(_PARAM): values for name, values in results.items() if name.startswith(_PARAM)}
        means, deviations = results[f"mean_{score}"], results[f"std_{score}"]
        log_figures(run, [search_figure(params, means, deviations, score)])


def write_table(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return a table as CSV, as ``pandas.DataFrame(columns).to_csv(index=False)`` writes it.

    Args:
        columns: by name, of equal length; None and NaN are empty cells, what is no plain value is described.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if value is None or _is_nan(value) else describe_value(value) for value in row])
    return text.getvalue()


def _values(column: Any) -> list[Any]:
    """Return a column as plain values; what is masked is None."""
    if type(column).__module__.partition(".")[0] == "numpy":
        values: list[Any] = column.tolist()
        return values
    return list(column) if type(column) in {list, tuple} else []


def _is_nan(value: Any) -> bool:
    return type(value) is float and math.isnan(value)


def _sortable(rank: Any) -> float:
    return rank if type(rank) in {int, float} and not _is_nan(rank) else math.inf
