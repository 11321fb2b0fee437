"""``autolog gc``."""

import time
from contextlib import closing, suppress

import pytest
from sample_store import BROKEN, FOREST, LOGISTIC, record

import autolog as library
from autolog import tracking
from autolog.artifact_store import ArtifactStore
from autolog.backends import open_reader
from autolog.entities import LifecycleStage
from autolog.errors import NotFound
from autolog.events import ExperimentUpdated, RunUpdated, TagsSet
from autolog.run import DELETION_TIME_TAG

NOW = time.time_ns() // 1_000_000
DAY = 86_400_000


@pytest.fixture
def deleted(store):
    """Two deleted runs: one since ten days, one since now."""
    record(
        store,
        RunUpdated(run_id=FOREST, lifecycle_stage=LifecycleStage.DELETED),
        TagsSet(run_id=FOREST, tags={DELETION_TIME_TAG: str(NOW - 10 * DAY)}),
        RunUpdated(run_id=LOGISTIC, lifecycle_stage=LifecycleStage.DELETED),
        TagsSet(run_id=LOGISTIC, tags={DELETION_TIME_TAG: str(NOW)}),
        artifacts=[(FOREST, "model/weights.bin", b"1234")],
    )
    return (FOREST, LOGISTIC)


def left(store):
    """The ids of the runs in the store, of those that tests delete."""
    with closing(open_reader(store)) as reader:
        found = []
        for run_id in (FOREST, LOGISTIC, BROKEN):
            with suppress(NotFound):
                found.append(reader.get_run(run_id).info.run_id)
    return found


def test_deleted_runs_are_removed_with_their_files(autolog, store, deleted):
    with closing(open_reader(store)) as reader:
        folder = reader.get_run(FOREST).info.artifact_uri
    assert ArtifactStore(folder).list("model")
    result = autolog("gc", "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "2 runs removed\n")
    assert left(store) == [BROKEN]
    assert ArtifactStore(folder).list() == []
    assert autolog("gc", "--yes").stderr == "nothing to remove\n"


def test_a_dry_run_names_what_would_go_and_removes_nothing(autolog, store, deleted):
    result = autolog("gc", "--dry-run")
    assert sorted(result.stdout.splitlines()) == [f"run {FOREST}", f"run {LOGISTIC}"]
    assert "2 runs would be removed" in result.stderr
    assert left(store) == [FOREST, LOGISTIC, BROKEN]


def test_only_what_was_deleted_long_ago_is_removed(autolog, store, deleted):
    assert autolog("gc", "--older-than", "11d", "--yes").stderr == "nothing to remove\n"
    assert autolog("gc", "--older-than", "9d12h", "--yes").stderr == "1 run removed\n"
    assert left(store) == [LOGISTIC, BROKEN]


def test_only_the_runs_that_are_named_are_removed_and_only_if_they_are_deleted(autolog, store, deleted):
    assert autolog("gc", "--run-id", FOREST[:8], "--run-id", BROKEN, "--yes").stderr == "1 run removed\n"
    assert left(store) == [LOGISTIC, BROKEN]


def test_a_deleted_experiment_goes_with_its_runs(autolog, store):
    record(store, ExperimentUpdated(experiment_id="7", time=NOW, lifecycle_stage=LifecycleStage.DELETED))
    assert "experiment iris" in autolog("gc", "--experiment", "iris", "--dry-run").stdout
    result = autolog("gc", "--yes")
    assert result.exit_code == 0
    assert "1 experiment removed" in result.stderr
    assert left(store) == []
    with closing(open_reader(store)) as reader:
        assert reader.get_experiment_by_name("iris") is None


def test_nothing_is_removed_unasked(autolog, store, deleted):
    result = autolog("gc")
    assert result.exit_code == 2
    assert "2 runs would be removed for ever; say --yes" in result.stderr
    assert left(store) == [FOREST, LOGISTIC, BROKEN]


@pytest.mark.parametrize("span", ["", "30", "soon", "-1d", "1h1d"])
def test_a_span_that_is_none_is_refused(autolog, span):
    result = autolog("gc", "--older-than", span)
    assert result.exit_code == 2
    assert "is not a span of time" in result.stderr


def test_the_time_of_a_deletion_is_kept_until_the_run_is_restored():
    library.enable(integrations=[])
    with library.start_run() as run:
        pass
    library.flush()
    library.delete_run(run.run_id)
    library.flush()
    reader = tracking.current().reader()
    assert NOW <= int(reader.get_run(run.run_id).data.tags[DELETION_TIME_TAG]) <= time.time_ns() // 1_000_000
    library.restore_run(run.run_id)
    library.flush()
    assert DELETION_TIME_TAG not in reader.get_run(run.run_id).data.tags
