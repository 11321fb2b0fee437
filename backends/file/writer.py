"""The backend that writes a store in a folder."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from msgspec.structs import replace

from autolog.backend import Batch
from autolog.backends.conventions import derive_experiment_id, run_not_found
from autolog.backends.file.atomic import create_file, replace_file
from autolog.backends.file.experiments import ExperimentFolder, ExperimentFolders
from autolog.backends.file.layout import (
    EXPERIMENT_FILE,
    FORMAT,
    RUN_FILE,
    STORE_FILE,
    ExperimentFile,
    JournalMark,
    RunFile,
    StoreFile,
    check_format,
    encode,
    experiment_folder_name,
    store_folder,
)
from autolog.backends.file.removal import is_deleted, remove_folder, sweep
from autolog.backends.file.run_record import load_run
from autolog.backends.file.run_writer import RunWriter
from autolog.backends.system_errors import check_folder, store_errors
from autolog.entities import Artifact, LifecycleStage
from autolog.errors import StoreCorrupted
from autolog.events import (
    ArtifactLogged,
    ExperimentCreated,
    ExperimentUpdated,
    Fact,
    InputsLogged,
    ParamsLogged,
    RunCreated,
    RunUpdated,
    SeriesDefined,
    TagsSet,
)

logger = logging.getLogger("autolog")

# Runs whose files are kept in memory between batches.
_MAX_RUNS: Final = 256
# More runs than this that end in one batch are left to the system to bring to the disk.
_MOST_DURABLE: Final = 16


class FileBackend:
    """Writes a store in a folder, which is made where there is none.

    Args:
        url: such as ``file:./autolog-runs``, ``file:///data/runs`` or a plain path.

    Raises:
        InvalidParameter: the URL names no folder of this machine.
        StoreCorrupted: the folder holds a store that cannot be read.
        StoreTooNew: a newer autolog wrote the store.
        BackendError: the folder cannot be written.
    """

    def __init__(self, url: str) -> None:
        self._root = store_folder(url)
        self._experiments = ExperimentFolders(self._root)
        self._runs: OrderedDict[tuple[str, str], RunWriter] = OrderedDict()
        # Until a batch says which journal this backend writes for, it is one of its own.
        self._journal = f"backend-{uuid.uuid4().hex}"
        with store_errors(self._root):
            check_folder(self._root)
            self._root.mkdir(parents=True, exist_ok=True)
            path = self._root / STORE_FILE
            if not create_file(path, encode(StoreFile(format=FORMAT))):
                check_format(path, path.read_bytes())

    def write(self, batch: Batch) -> None:
        """Store a batch; see ``Backend.write``."""
        self._journal = batch.journal
        with self._writing():
            touched: dict[str, RunWriter | None] = {}
            for number, fact in batch.facts:
                self._apply(number, fact, touched)
            for points in batch.points:
                if (run := self._touch(points.run_id, touched)) is not None:
                    run.add_points(points)
            runs = [run for run in touched.values() if run is not None]
            # The disk is waited for where runs end; not a thousand times, where a search brings as many candidates.
            durable = sum(run.has_ended for run in runs) <= _MOST_DURABLE
            for run in runs:
                run.commit(batch.end, durable=durable and run.has_ended)

    def artifact_uri(self, run_id: str) -> str:
        """Return the folder of a run's artifacts; see ``Backend.artifact_uri``."""
        with store_errors(self._root):
            return self._experiment_of(run_id).artifact_uri(run_id)

    def record_artifacts(self, run_id: str, artifacts: Sequence[Artifact]) -> None:
        """Note what has been stored for a run; see ``Backend.record_artifacts``."""
        if not artifacts:
            return
        with self._writing():
            run = self._run(run_id)
            if run is None:
                raise run_not_found(self._root, run_id)
            run.add_artifacts(artifacts)
            run.commit()

    def remove_deleted(self, run_ids: Sequence[str] = (), experiment_ids: Sequence[str] = ()) -> None:
        """Remove for ever what is deleted; see ``Backend.remove_deleted``."""
        with self._writing():
            self._runs.clear()
            for run_id in run_ids:
                experiment = self._experiments.of_run(run_id)
                record = load_run(experiment.run_path(run_id), experiment) if experiment else None
                if experiment is not None and record is not None and is_deleted(record, experiment):
                    remove_folder(self._root, experiment.run_path(run_id))
            for experiment_id in experiment_ids:
                experiment = self._experiments.by_id(experiment_id)
                if experiment is not None and experiment.file.lifecycle_stage is LifecycleStage.DELETED:
                    remove_folder(self._root, experiment.path)
            sweep(self._root)

    def reopen(self) -> None:
        """Forget what the parent of this process was writing; no file stays open between calls."""
        self._runs.clear()
        self._journal = f"backend-{uuid.uuid4().hex}"

    def close(self) -> None:
        """Forget everything; no file stays open between calls."""
        self._runs.clear()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with store_errors(self._root):
                yield
        except BaseException:
            # What is in memory may be ahead of the files, from which the next try begins.
            self._runs.clear()
            raise
        while len(self._runs) > _MAX_RUNS:
            self._runs.popitem(last=False)

    def _apply(self, number: int, fact: Fact, touched: dict[str, RunWriter | None]) -> None:
        match fact:
            case ExperimentCreated():
                self._create_experiment(fact)
            case ExperimentUpdated():
                self._update_experiment(number, fact)
            case RunCreated():
                self._create_run(number, fact)
                touched.pop(fact.run_id, None)
            case RunUpdated() | ParamsLogged() | TagsSet() | InputsLogged():
                if (run := self._touch(fact.run_id, touched)) is not None:
                    run.apply(number, fact)
            case ArtifactLogged() | SeriesDefined():
                # Artifacts are recorded once they are stored; points come with the names of their metrics.
                pass

    def _touch(self, run_id: str, touched: dict[str, RunWriter | None]) -> RunWriter | None:
        if run_id not in touched:
            touched[run_id] = self._run(run_id)
            if touched[run_id] is None:
                logger.warning("what was recorded for run %s is passed over: the store has no such run", run_id)
        return touched[run_id]

    def _run(self, run_id: str) -> RunWriter | None:
        key = (run_id, self._journal)
        if key in self._runs and not self._runs[key].exists():
            # Removed by another process.
            del self._runs[key]
        if key not in self._runs:
            experiment = self._experiments.of_run(run_id)
            if experiment is None:
                return None
            self._runs[key] = RunWriter(experiment.run_path(run_id), self._journal)
        self._runs.move_to_end(key)
        return self._runs[key]

    def _experiment_of(self, run_id: str) -> ExperimentFolder:
        experiment = self._experiments.of_run(run_id)
        if experiment is None:
            raise run_not_found(self._root, run_id)
        return experiment

    def _create_run(self, number: int, fact: RunCreated) -> None:
        if self._experiments.of_run(fact.run_id) is not None:
            return
        experiment = self._experiments.by_name(fact.experiment_name) or self._create_experiment(
            # Somebody has deleted the folder since the experiment was made.
            ExperimentCreated(experiment_id=fact.experiment_id, name=fact.experiment_name, time=fact.start_time)
        )
        file = RunFile(
            run_id=fact.run_id,
            experiment_id=experiment.file.experiment_id,
            run_name=fact.run_name,
            user_id=fact.user_id,
            status=fact.status,
            start_time=fact.start_time,
            lifecycle_stage=LifecycleStage.ACTIVE,
            tags=dict(fact.tags),
            journal=JournalMark(self._journal, facts=number + 1),
        )
        folder = experiment.run_path(fact.run_id)
        folder.mkdir(exist_ok=True)
        create_file(folder / RUN_FILE, encode(file))

    def _create_experiment(self, fact: ExperimentCreated) -> ExperimentFolder:
        existing = self._experiments.by_name(fact.name)
        if existing is not None:
            return existing
        experiment_id = fact.experiment_id
        namesake = self._experiments.by_id(experiment_id)
        if namesake is not None:
            if namesake.file.name == fact.name:
                # Another journal has made it since the name was looked up.
                return namesake
            experiment_id = derive_experiment_id(experiment_id, fact.name)
        file = ExperimentFile(
            experiment_id=experiment_id,
            name=fact.name,
            artifact_location=fact.artifact_location,
            lifecycle_stage=fact.lifecycle_stage,
            creation_time=fact.time,
            last_update_time=fact.last_update_time or fact.time,
            tags=dict(fact.tags),
        )
        folder = self._root / experiment_folder_name(fact.name, experiment_id)
        folder.mkdir(parents=True, exist_ok=True)
        create_file(folder / EXPERIMENT_FILE, encode(file))
        made = self._experiments.by_name(fact.name)
        if made is None:
            raise StoreCorrupted(
                f"{folder / EXPERIMENT_FILE} is damaged; restore it from a copy, or move it away to have it made anew"
            )
        return made

    def _update_experiment(self, number: int, fact: ExperimentUpdated) -> None:
        experiment = self._experiments.by_id(fact.experiment_id)
        if experiment is None:
            logger.warning(
                "an update of experiment %s is passed over: the store has no such experiment", fact.experiment_id
            )
            return
        file = experiment.file
        if number < file.journals.get(self._journal, 0):
            return
        name = fact.name or file.name
        namesake = self._experiments.by_name(name)
        if namesake is not None and namesake.path != experiment.path:
            logger.warning("experiment %r keeps its name: there is another named %r", file.name, name)
            name = file.name
        changed = replace(
            file,
            name=name,
            lifecycle_stage=fact.lifecycle_stage or file.lifecycle_stage,
            last_update_time=max(file.last_update_time, fact.time),
            tags={key: value for key, value in {**file.tags, **fact.tags}.items() if value is not None},
            journals={**file.journals, self._journal: number + 1},
        )
        replace_file(experiment.path / EXPERIMENT_FILE, encode(changed))
