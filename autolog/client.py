"""Client: MLflow's ``MlflowClient``, as far as it is about tracking. It names every run, and leaves none active."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from autolog import artifacts as artifact_files
from autolog import lifecycle, tracking
from autolog.api import artifacts, experiments, runs
from autolog.backend import ExperimentQuery, Page, RunQuery
from autolog.backends import find_target
from autolog.config import resolve_backend
from autolog.entities import DatasetInput, Experiment, FileInfo, Metric, Run, RunStatus, ViewType
from autolog.events import RunUpdated
from autolog.run import ActiveRun, to_status
from autolog.tracking import ExperimentName, Tracking
from autolog.values import to_timestamp, to_view

if TYPE_CHECKING:
    import pandas

P = ParamSpec("P")
T = TypeVar("T")

# Handles kept, so that a loop that logs to one run asks the store for it once.
_HANDLES = 128


class KeyValue(Protocol):
    """A param or a tag as MLflow's entities have them."""

    @property
    def key(self) -> str:
        """Its name."""
        ...

    @property
    def value(self) -> Any:
        """What it holds."""


class PagedList(list[T]):
    """One page of a search. ``token`` asks for the next; it is None after the last."""

    def __init__(self, page: Page[T]) -> None:
        super().__init__(page.items)
        self.token = page.token


class Client:
    """Reads and writes runs and experiments by their ids, in the current store or in another.

    Args:
        tracking_uri: URL of the store; the one that is current now where it is not given.
        registry_uri: accepted for MLflow's sake.

    Raises:
        InvalidParameter: no backend serves the URL's scheme.
    """

    def __init__(
        self,
        tracking_uri: str | os.PathLike[str] | None = None,
        registry_uri: str | None = None,  # noqa: ARG002  MLflow's
    ) -> None:
        self._backend = tracking.current().settings.backend if tracking_uri is None else resolve_backend(tracking_uri)
        find_target(self._backend)
        self._find = functools.lru_cache(_HANDLES)(self._find_run)

    @property
    def tracking_uri(self) -> str:
        """The URL of the store."""
        return self._backend

    # -- runs ------------------------------------------------------------------------------------------------------

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Make a run, which stays RUNNING until ``set_terminated``. Raises NotFound where there is no experiment."""
        with self._store():
            found = experiments.get_experiment(experiment_id)
            run = lifecycle.create_run(
                name=run_name,
                experiment=ExperimentName(found.experiment_id, found.name),
                tags=tags,
                start_time=start_time,
            )
            return run.read()

    def get_run(self, run_id: str) -> Run:
        """Return a run. Raises NotFound."""
        return self._call(runs.get_run, run_id)

    def get_parent_run(self, run_id: str) -> Run | None:
        """Return the run that a run is a child of; None where it is nobody's. Raises NotFound."""
        return self._call(runs.get_parent_run, run_id)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: ViewType | str | int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Run]:
        """Return one page of the runs that match. Raises InvalidFilter, InvalidParameter."""
        query = RunQuery(
            experiment_ids=[str(each) for each in experiment_ids],
            filter=filter_string or "",
            view=to_view(run_view_type),
            order_by=tuple(order_by or ()),
            max_results=max_results,
            page_token=page_token,
        )
        with self._store() as store:
            return PagedList(store.reader().search_runs(query))

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run, with the status FINISHED where none is given. Raises NotFound, InvalidParameter."""
        self._update(
            run_id,
            status=to_status(status or RunStatus.FINISHED),
            end_time=time.time_ns() // 1_000_000 if end_time is None else int(to_timestamp(end_time)),
        )

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change a run's status or name. Raises NotFound, InvalidParameter."""
        self._update(run_id, status=to_status(status) if status is not None else None, run_name=name)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted. Raises NotFound."""
        self._call(runs.delete_run, run_id)

    def restore_run(self, run_id: str) -> None:
        """Make a deleted run active again. Raises NotFound."""
        self._call(runs.restore_run, run_id)

    # -- values: each raises NotFound where there is no such run ---------------------------------------------------

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Log one point of a metric. Raises InvalidParameter where the value is no number."""
        self._find(run_id).log_metric(key, value, step, timestamp)
        self._wait(synchronous)

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Log a param, and return its value."""
        self._find(run_id).log_param(key, value)
        self._wait(synchronous)
        return value

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        """Set a tag."""
        self._find(run_id).set_tag(key, value)
        self._wait(synchronous)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag away."""
        self._find(run_id).delete_tag(key)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[KeyValue] = (),
        tags: Sequence[KeyValue] = (),
        synchronous: bool | None = None,
    ) -> None:
        """Log any number of points, params and tags. Raises InvalidParameter where a value cannot be logged."""
        run = self._find(run_id)
        for metric in metrics:
            run.log_metric(metric.key, metric.value, metric.step, metric.timestamp)
        run.log_params({param.key: param.value for param in params})
        run.set_tags({tag.key: tag.value for tag in tags})
        self._wait(synchronous)

    def log_inputs(self, run_id: str, datasets: Sequence[DatasetInput] | None = None, models: Any = None) -> None:  # noqa: ARG002  MLflow's
        """Log the use of data sets; ``models`` is accepted for MLflow's sake."""
        self._find(run_id).log_inputs(datasets or ())

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Return every point of a metric, ordered by step and time."""
        return self._call(runs.get_metric_history, run_id, key)

    # -- artifacts: arguments and errors are those of the functions of the same names ------------------------------

    def log_artifact(self, run_id: str, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Log a file, as it is at this moment."""
        self._call(artifacts.log_artifact, local_path, artifact_path, run_id)

    def log_artifacts(self, run_id: str, local_dir: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Log every file below a folder."""
        self._call(artifacts.log_artifacts, local_dir, artifact_path, run_id)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Log a text."""
        self._call(artifacts.log_text, text, artifact_file, run_id)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Log a dict or list as JSON or YAML."""
        self._call(artifacts.log_dict, dictionary, artifact_file, run_id)

    def log_stream(self, run_id: str, stream: IO[bytes], artifact_file: str) -> None:
        """Log what a binary stream holds."""
        self._call(artifacts.log_stream, stream, artifact_file, run_id)

    def log_figure(
        self, run_id: str, figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Log a matplotlib or plotly figure."""
        self._call(artifacts.log_figure, figure, artifact_file, save_kwargs=save_kwargs, run_id=run_id)

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Log an image, or one of a series."""
        self._call(artifacts.log_image, image, artifact_file, key, step, timestamp, synchronous, run_id=run_id)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Log a table, or add rows to one."""
        self._call(artifacts.log_table, data, artifact_file, run_id)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> pandas.DataFrame:
        """Return the tables of some runs, or of all runs of an experiment, one below the other."""
        with self._store():
            ids = run_ids
            if ids is None:
                ids = [run.info.run_id for run in runs.search_runs([experiment_id], output_format="list")]
            return artifacts.load_table(artifact_file, ids, extra_columns)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """Return the files and folders directly in a folder."""
        return self._call(artifact_files.list_artifacts, run_id=run_id, artifact_path=path)

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """Copy an artifact, or a folder of them, to the local disk, and return where it is."""
        return self._call(artifact_files.download_artifacts, run_id=run_id, artifact_path=path, dst_path=dst_path)

    # -- experiments -----------------------------------------------------------------------------------------------

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> str:
        """Make an experiment, and return its id. Raises AlreadyExists where the name is taken."""
        return self._call(experiments.create_experiment, name, artifact_location, tags)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment. Raises NotFound."""
        return self._call(experiments.get_experiment, experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of a name, deleted or not; None where there is none."""
        return self._call(experiments.get_experiment_by_name, name)

    def search_experiments(
        self,
        view_type: ViewType | str | int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """Return one page of the experiments that match. Raises InvalidFilter, InvalidParameter."""
        query = ExperimentQuery(
            filter=filter_string or "",
            view=to_view(view_type),
            order_by=tuple(order_by or ()),
            max_results=1000 if max_results is None else max_results,
            page_token=page_token,
        )
        with self._store() as store:
            return PagedList(store.reader().search_experiments(query))

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment as deleted. Raises NotFound."""
        self._call(experiments.delete_experiment, experiment_id)

    def restore_experiment(self, experiment_id: str) -> None:
        """Make a deleted experiment active again. Raises NotFound."""
        self._call(experiments.restore_experiment, experiment_id)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an experiment another name. Raises NotFound, AlreadyExists."""
        self._call(experiments.rename_experiment, experiment_id, new_name)

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set a tag on an experiment. Raises NotFound."""
        self._call(experiments.tag_experiment, experiment_id, {key: value})

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Take a tag away from an experiment. Raises NotFound."""
        self._call(experiments.tag_experiment, experiment_id, {key: None})

    # -- the store -------------------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the store holds everything logged so far; return whether it does, within the timeout."""
        with self._store() as store:
            return store.recorder.flush(timeout)

    def __repr__(self) -> str:
        return f"Client({self._backend!r})"

    def __reduce__(self) -> tuple[type[Client], tuple[str]]:
        return type(self), (self._backend,)

    def _store(self) -> AbstractContextManager[Tracking]:
        return tracking.using(self._backend)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._store():
            return function(*args, **kwargs)

    def _find_run(self, run_id: str) -> ActiveRun:
        return self._call(lifecycle.find_run, run_id)

    def _update(self, run_id: str, **changes: Any) -> None:
        with self._store() as store:
            run = lifecycle.find_run(run_id)
            store.recorder.record(RunUpdated(run_id=run.run_id, **changes))

    def _wait(self, synchronous: bool | None) -> None:
        if synchronous:
            self.flush()


MlflowClient = Client
