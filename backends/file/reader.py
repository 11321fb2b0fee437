"""The reader of a store in a folder."""

from __future__ import annotations

import heapq
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TypeVar

import msgspec

from autolog.backend import ExperimentQuery, History, Page, RunQuery
from autolog.backends.conventions import experiment_not_found, run_not_found
from autolog.backends.file.experiments import ExperimentFolder, ExperimentFolders, Remembered, look_at
from autolog.backends.file.layout import STORE_FILE, ExperimentFile, check_format, store_folder
from autolog.backends.file.point_cache import PointCache
from autolog.backends.file.points import join_points
from autolog.backends.file.run_record import RunRecord, load_run
from autolog.backends.system_errors import check_folder, store_errors
from autolog.entities import Artifact, Experiment, Run, RunData, RunInputs
from autolog.errors import StoreCorrupted
from autolog.history import make_history
from autolog.search import (
    OrderKey,
    check_max_results,
    decode_token,
    encode_token,
    fingerprint,
    matcher,
    order_values,
    parse_experiment_filter,
    parse_experiment_order,
    parse_run_filter,
    parse_run_order,
    rank,
)

logger = logging.getLogger("autolog")

R = TypeVar("R", Run, Experiment)


class FileReader:
    """Reads a store in a folder. What it has read of a run it keeps until the run's folder changes.

    Args:
        url: such as ``file:./autolog-runs``, ``file:///data/runs`` or a plain path.

    Raises:
        InvalidParameter: the URL names no folder of this machine.
        StoreCorrupted: the folder holds a store that cannot be read.
        StoreTooNew: a newer autolog wrote the store.
        BackendError: there is a file where the folder should be, or it cannot be read.
    """

    def __init__(self, url: str) -> None:
        self._root = store_folder(url)
        self._folders = ExperimentFolders(self._root)
        self._seen: dict[str, Remembered[RunRecord | None]] = {}
        self._points = PointCache()
        path = self._root / STORE_FILE
        with store_errors(self._root):
            check_folder(self._root)
            if path.exists():
                check_format(path, path.read_bytes())

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment; see ``Reader.get_experiment``."""
        with store_errors(self._root):
            folder = self._folders.by_id(experiment_id)
        if folder is None:
            raise experiment_not_found(self._root, experiment_id)
        return _experiment(folder.file)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of a name; see ``Reader.get_experiment_by_name``."""
        with store_errors(self._root):
            folder = self._folders.by_name(name)
        return None if folder is None else _experiment(folder.file)

    def search_experiments(self, query: ExperimentQuery) -> Page[Experiment]:
        """Return one page of experiments; see ``Reader.search_experiments``."""
        fits = matcher(parse_experiment_filter(query.filter))
        order = parse_experiment_order(query.order_by)
        with store_errors(self._root):
            experiments = [_experiment(folder.file) for folder in self._folders.list()]
        found = (each for each in experiments if query.view.includes(each.lifecycle_stage) and fits(each))
        return _page(found, query, order)

    def get_run(self, run_id: str) -> Run:
        """Return a run; see ``Reader.get_run``. Raises StoreCorrupted where its files cannot be read."""
        return self._record(run_id).run

    def search_runs(self, query: RunQuery) -> Page[Run]:
        """Return one page of runs; see ``Reader.search_runs``. A run whose files are damaged is left out."""
        page = _page(self._matching(query), query, parse_run_order(query.order_by))
        return Page([_project(run, query) for run in page], page.token)

    def count_runs(self, query: RunQuery) -> int:
        """Return how many runs match; see ``Reader.count_runs``."""
        return sum(1 for _ in self._matching(query))

    def metric_history(self, run_id: str, key: str, max_points: int | None = None) -> History:
        """Return a metric's points; see ``Reader.metric_history``."""
        record = self._record(run_id)
        files = record.metrics_files if key in record.run.data.summaries else ()
        with store_errors(self._root):
            points = join_points([self._points.read(path, committed, key) for path, committed in files])
        return make_history(key, *points, max_points)

    def artifacts(self, run_id: str) -> Sequence[Artifact]:
        """Return what is known to be stored for a run; see ``Reader.artifacts``."""
        return self._record(run_id).artifacts

    def close(self) -> None:
        """Forget what has been read; no file stays open between calls."""
        self._seen.clear()
        self._points.clear()

    def _matching(self, query: RunQuery) -> Iterator[Run]:
        fits = matcher(parse_run_filter(query.filter))
        wanted = None if query.experiment_ids is None else set(query.experiment_ids)
        with store_errors(self._root):
            for folder in self._folders.list():
                if wanted is None or folder.file.experiment_id in wanted:
                    for run in self._runs(folder):
                        if query.view.includes(run.info.lifecycle_stage) and fits(run):
                            yield run

    def _runs(self, experiment: ExperimentFolder) -> Iterator[Run]:
        with os.scandir(experiment.path) as entries:
            paths = [entry.path for entry in entries if entry.is_dir()]
        for path in paths:
            record = self._load(path, experiment)
            if record is not None:
                yield record.run

    def _load(self, path: str, experiment: ExperimentFolder) -> RunRecord | None:
        """Return the run in a folder; None where there is none or it is damaged."""
        known = self._seen.get(path)
        since = time.time_ns()
        try:
            # Every change of a run file is a rename, which changes the time of the folder.
            signature = look_at(path)
        except FileNotFoundError:
            # Removed since the folder was listed.
            return None
        if known is not None and known.settled and known.signature == signature:
            return known.content
        try:
            record = load_run(path, experiment)
        except FileNotFoundError:
            return None
        except StoreCorrupted as error:
            if known is None or known.signature != signature:
                logger.warning("a run is left out: %s", error)
            record = None
        self._seen[path] = Remembered.now(signature, record, since)
        return record

    def _record(self, run_id: str) -> RunRecord:
        with store_errors(self._root):
            experiment = self._folders.of_run(run_id)
            record = load_run(experiment.run_path(run_id), experiment) if experiment else None
        if record is None:
            raise run_not_found(self._root, run_id)
        return record


def _experiment(file: ExperimentFile) -> Experiment:
    return Experiment(
        experiment_id=file.experiment_id,
        name=file.name,
        artifact_location=file.artifact_location,
        lifecycle_stage=file.lifecycle_stage,
        creation_time=file.creation_time,
        last_update_time=file.last_update_time,
        tags=file.tags,
    )


def _project(run: Run, query: RunQuery) -> Run:
    if query.params and query.tags and query.metrics and query.inputs:
        return run
    data = RunData(
        params=run.data.params if query.params else {},
        tags=run.data.tags if query.tags else {},
        summaries=run.data.summaries if query.metrics else {},
    )
    return msgspec.structs.replace(run, data=data, inputs=run.inputs if query.inputs else RunInputs())


def _page(records: Iterable[R], query: RunQuery | ExperimentQuery, order: Sequence[OrderKey]) -> Page[R]:
    check_max_results(query.max_results)
    identity = fingerprint(query)
    values = order_values(order)
    ranked = ((rank(values(record), order), record) for record in records)
    if query.page_token:
        last = rank(decode_token(query.page_token, identity, order), order)
        ranked = ((place, record) for place, record in ranked if place > last)
    found = heapq.nsmallest(query.max_results + 1, ranked, key=itemgetter(0))
    page = [record for _, record in found[: query.max_results]]
    more = len(found) > query.max_results
    return Page(page, encode_token(values(page[-1]), identity) if more else None)
