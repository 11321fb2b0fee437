"""A copy loses nothing, and may be repeated or cut off at any point."""

from __future__ import annotations

import math
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from autolog import transfer
from autolog.artifact_store import ArtifactStore
from autolog.backend import Batch, ExperimentQuery, Points, Position, RunQuery
from autolog.backends import open_backend, open_reader
from autolog.entities import Dataset, DatasetInput, InputTag, LifecycleStage, RunStatus, ViewType
from autolog.errors import BackendUnavailable
from autolog.events import (
    ExperimentCreated,
    ExperimentUpdated,
    InputsLogged,
    ParamsLogged,
    RunCreated,
    RunUpdated,
    TagsSet,
)
from autolog.pages import every_experiment, every_run
from autolog.transfer import COPYING_TAG, Destination, copy_store

FULL, EMPTY, GONE = "a" * 32, "b" * 32, "c" * 32
START = 1_700_000_000_000
STEPS = [0, 1, 1, 2, 3, -5]
VALUES = [0.1, math.nan, 0.3, math.inf, -math.inf, 1e-320]


def write(url, *facts, points=()):
    backend = open_backend(url)
    count = sum(len(piece.numbers) for piece in points)
    backend.write(Batch(uuid4().hex, Position(len(facts), count), tuple(enumerate(facts)), points))
    backend.close()


def put_artifact(url, run_id, path, content):
    backend = open_backend(url)
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / "staged"
        staged.write_bytes(content)
        backend.record_artifacts(run_id, [ArtifactStore(backend.artifact_uri(run_id)).put(staged, path)])
    backend.close()


def read_artifact(run, path):
    with ArtifactStore(run.info.artifact_uri).open(path) as file:
        return file.read()


def series(run_id, key, steps, values, first=0):
    steps = np.array(steps, dtype=np.int64)
    numbers = np.arange(first, first + len(steps), dtype=np.int64)
    return Points(run_id, key, numbers, steps, START + steps, np.array(values, dtype=np.float64))


def fill(url):
    """Make a store with something of everything that a store can hold."""
    dataset = Dataset(name="iris", digest="ab12", source_type="code", source='{"a": 1}', schema="{}", profile=None)
    write(
        url,
        ExperimentCreated(experiment_id="7", name="iris", time=START, tags={"team": "flowers"}, last_update_time=START),
        ExperimentCreated(experiment_id="8", name="old / ünïcode", time=START + 1),
        ExperimentUpdated(experiment_id="8", time=START + 5, lifecycle_stage=LifecycleStage.DELETED),
        RunCreated(
            run_id=FULL,
            experiment_id="7",
            experiment_name="iris",
            run_name="full ✓",
            start_time=START,
            user_id="ada",
            tags={"mlflow.source.name": "train.py", "note": "two\nlines", "empty": ""},
        ),
        ParamsLogged(run_id=FULL, params={"C": "0.5", "long": "x" * 20_000, "ключ": "значение"}),
        InputsLogged(
            run_id=FULL,
            inputs=(DatasetInput(dataset=dataset, tags=(InputTag("mlflow.data.context", "train"),)),),
        ),
        RunUpdated(run_id=FULL, status=RunStatus.FAILED, end_time=START + 77),
        RunCreated(run_id=EMPTY, experiment_id="7", experiment_name="iris", run_name="empty", start_time=START + 1),
        RunCreated(
            run_id=GONE, experiment_id="8", experiment_name="old / ünïcode", run_name="gone", start_time=START + 2
        ),
        RunUpdated(run_id=GONE, status=RunStatus.KILLED, end_time=START, lifecycle_stage=LifecycleStage.DELETED),
        points=[
            series(FULL, "odd", STEPS, VALUES),
            series(FULL, "long/loss", range(1000), np.linspace(1, 0, 1000), first=len(STEPS)),
            series(FULL, "repeated", [3, 3, 3], [1.0, 1.0, 2.0], first=len(STEPS) + 1000),
        ],
    )
    put_artifact(url, FULL, "model/model.pkl", bytes(range(256)) * 100)
    put_artifact(url, FULL, "empty.txt", b"")


def contents(url):
    """Return all that a reader tells about a store, apart from where the artifacts are."""
    with closing(open_reader(url)) as reader:
        experiments = {
            found.name: (found.experiment_id, found.lifecycle_stage, found.creation_time, dict(found.tags))
            for found in every_experiment(reader, ExperimentQuery(view=ViewType.ALL))
            if found.name != "Default"
        }
        runs = {}
        for run in every_run(reader, RunQuery(view=ViewType.ALL)):
            run_id = run.info.run_id
            runs[run_id] = (
                repr(run.info).replace(run.info.artifact_uri, ""),
                dict(run.data.params),
                dict(run.data.tags),
                repr(sorted(run.data.summaries.items())),
                run.inputs,
                {key: repr(reader.metric_history(run_id, key).metrics()) for key in run.data.summaries},
                {artifact: read_artifact(run, artifact.path) for artifact in reader.artifacts(run_id)},
            )
        return experiments, runs


@contextmanager
def opened(source, destination):
    with (
        closing(open_reader(source)) as reader,
        closing(open_backend(destination)) as backend,
        closing(open_reader(destination)) as present,
    ):
        yield reader, Destination(backend, present)


def copy(source, destination, experiment_ids=None):
    with opened(source, destination) as (reader, target):
        return copy_store(reader, target, experiment_ids)


@pytest.fixture
def source(tmp_path):
    url = f"file:{tmp_path / 'source'}"
    fill(url)
    return url


@pytest.fixture(params=["file", "sqlite"])
def destination(request, tmp_path):
    if request.param == "file":
        return f"file:{tmp_path / 'destination'}"
    pytest.importorskip("sqlalchemy")
    return f"sqlite:///{tmp_path / 'destination.db'}"


def test_everything_arrives(source, destination):
    report = copy(source, destination)
    assert (report.copied, report.skipped, report.failures) == (3, 0, [])
    assert contents(destination) == contents(source)


def test_everything_comes_back_from_the_copy(source, destination, tmp_path):
    back = f"file:{tmp_path / 'back'}"
    copy(source, destination)
    assert copy(destination, back).copied == 3
    assert contents(back) == contents(source)


def test_a_second_copy_skips_what_is_there_and_changes_nothing(source, destination):
    copy(source, destination)
    before = contents(destination)
    report = copy(source, destination)
    assert (report.copied, report.skipped, report.failures) == (0, 3, [])
    assert contents(destination) == before


def test_a_run_that_differs_is_named_and_left_as_it_is(source, destination):
    copy(source, destination)
    write(destination, ParamsLogged(run_id=FULL, params={"C": "0.9"}))
    report = copy(source, destination)
    assert (report.copied, report.skipped) == (0, 2)
    (failure,) = report.failures
    assert failure.subject == f"run {FULL}"
    assert failure.message == "the destination has a run of this id with other params"
    assert contents(destination)[1][FULL][1]["C"] == "0.9"


def test_only_the_chosen_experiments_are_copied(source, destination):
    assert copy(source, destination, ["8"]).copied == 1
    experiments, runs = contents(destination)
    assert set(experiments) == {"old / ünïcode"}
    assert set(runs) == {GONE}


def test_an_experiment_of_the_same_name_takes_the_runs_in_whatever_its_id(source, destination):
    write(destination, ExperimentCreated(experiment_id="99", name="iris", time=START, tags={"other": "1"}))
    assert copy(source, destination).failures == []
    with closing(open_reader(destination)) as reader:
        experiment = reader.get_experiment_by_name("iris")
        assert reader.get_run(FULL).info.experiment_id == experiment.experiment_id
        assert dict(experiment.tags) == {"other": "1", "team": "flowers"}
    assert copy(source, destination).skipped == 3


def test_an_experiment_with_another_value_of_a_tag_is_named_and_its_runs_stay_behind(source, destination):
    write(destination, ExperimentCreated(experiment_id="7", name="iris", time=START, tags={"team": "trees"}))
    report = copy(source, destination)
    assert report.copied == 1
    assert [failure.subject for failure in report.failures] == ["experiment 'iris'"]
    assert "'team'" in report.failures[0].message


def test_an_artifact_that_is_damaged_in_the_source_fails_its_run_alone(source, destination, tmp_path):
    (stored,) = (tmp_path / "source").rglob("model.pkl")
    stored.write_bytes(b"damaged")
    report = copy(source, destination)
    assert report.copied == 2
    assert "checksum" in report.failures[0].message
    assert COPYING_TAG in contents(destination)[1][FULL][2]


class CutOff:
    """A real backend whose connection breaks after some calls."""

    def __init__(self, backend, calls):
        self._backend = backend
        self._left = calls

    def _count(self):
        if self._left == 0:
            raise BackendUnavailable("the line is cut")
        self._left -= 1

    def write(self, batch):
        self._count()
        self._backend.write(batch)

    def record_artifacts(self, run_id, artifacts):
        self._count()
        self._backend.record_artifacts(run_id, artifacts)

    def artifact_uri(self, run_id):
        return self._backend.artifact_uri(run_id)


def test_a_copy_that_is_cut_off_anywhere_is_completed_by_the_next(source, destination, monkeypatch):
    monkeypatch.setattr(transfer, "_POINTS_PER_BATCH", 300)
    for calls in range(100):
        with opened(source, destination) as (reader, target):
            try:
                copy_store(reader, replace(target, backend=CutOff(target.backend, calls)))
            except BackendUnavailable:
                continue
        break
    assert calls > 3
    assert contents(destination) == contents(source)


def test_a_run_that_changes_between_two_attempts_is_not_mixed(source, destination):
    with opened(source, destination) as (reader, target), pytest.raises(BackendUnavailable):
        copy_store(reader, replace(target, backend=CutOff(target.backend, 3)))
    write(source, TagsSet(run_id=FULL, tags={"note": "changed"}))
    report = copy(source, destination)
    assert [failure.subject for failure in report.failures] == [f"run {FULL}"]
    assert "has changed since" in report.failures[0].message


def test_progress_is_told_for_every_run(source, destination):
    told = []
    with opened(source, destination) as (reader, target):
        copy_store(reader, target, advance=told.append)
    assert sum(told) == 3
