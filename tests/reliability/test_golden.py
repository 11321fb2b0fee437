"""Stores and journals of every released format are read as they were written, written to, and upgraded."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from golden_content import ARTIFACT, EXPERIMENT, INPUTS, PARAMS, POINTS, RUN, TAGS

import autolog
from autolog.backends import open_reader
from autolog.entities import RunStatus
from autolog.errors import BackendError
from autolog.journal import read_info
from autolog.recovery import recover, scan

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=["file-format-1", "sqlite-schema-0001.db"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a copy of a store that an earlier autolog made."""
    path = tmp_path / request.param
    if path.suffix == ".db":
        shutil.copyfile(GOLDEN / path.name, path)
        return f"sqlite:///{path}"
    shutil.copytree(GOLDEN / path.name, path)
    return f"file:{path}"


def check(url: str, *, has_artifact: bool = True) -> None:
    reader = open_reader(url)
    try:
        experiment = reader.get_experiment_by_name(EXPERIMENT.name)
        run = reader.get_run(RUN)
        artifacts = reader.artifacts(RUN)
        histories = {key: reader.metric_history(RUN, key) for key in POINTS}
    finally:
        reader.close()
    assert experiment is not None
    assert (experiment.experiment_id, experiment.tags) == (EXPERIMENT.experiment_id, EXPERIMENT.tags)
    assert run.info.experiment_id == EXPERIMENT.experiment_id
    assert (run.info.run_name, run.info.user_id, run.info.status) == ("first", "user", RunStatus.FINISHED)
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_000, 1_700_000_060_000)
    assert run.data.params == PARAMS
    assert run.data.tags.items() >= TAGS.items()
    assert "removed" not in run.data.tags
    assert run.inputs.dataset_inputs == INPUTS
    for key, rows in POINTS.items():
        steps, values = zip(*rows, strict=True)
        assert histories[key].steps.tolist() == list(steps)
        # SQLite keeps no sign of a zero.
        np.testing.assert_array_equal(histories[key].values, values)
        assert run.data.summaries[key].count == len(rows)
    if has_artifact:
        assert list(artifacts) == [ARTIFACT]


def test_an_old_store_is_read_as_it_was_written(store: str) -> None:
    if store.startswith("file:"):
        check(store)
        return
    try:
        check(store)
    except BackendError as error:
        assert "upgraded when it is next written to" in str(error)  # noqa: PT017  both are right


def test_an_old_store_takes_new_runs_and_keeps_the_old_ones(store: str) -> None:
    with autolog.enable(store, experiment=EXPERIMENT.name):
        with autolog.start_run(run_name="second") as run:
            autolog.log_metric("loss", 0.5, step=9)
        assert autolog.flush(60)
    check(store)
    reader = open_reader(store)
    assert reader.get_run(run.info.run_id).data.metrics == {"loss": 0.5}
    assert reader.get_run(run.info.run_id).info.experiment_id == EXPERIMENT.experiment_id
    reader.close()


def test_an_old_run_can_be_gone_on_with(store: str) -> None:
    with autolog.enable(store):
        # A SQL store of an older schema is upgraded by its first write, and cannot be read before.
        with autolog.start_run():
            pass
        assert autolog.flush(60)
        with autolog.start_run(run_id=RUN):
            autolog.log_metric("later", 1.0)
            autolog.log_param("learning_rate", 0.2)
        assert autolog.flush(60)
    reader = open_reader(store)
    run = reader.get_run(RUN)
    assert run.data.params == PARAMS | {"learning_rate": "0.2"}
    assert run.data.metrics["later"] == 1.0
    assert reader.metric_history(RUN, "loss").steps.tolist() == [step for step, _ in POINTS["loss"]]
    reader.close()


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_what_an_old_journal_has_not_sent_is_sent(scheme: str, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'runs'}" if scheme == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    with tarfile.open(GOLDEN / "journal-format-1.tar.gz") as archive:
        archive.extractall(tmp_path / "spool")
    journal = (tmp_path / "spool" / "journal").rename(tmp_path / "spool" / "20261123T000000-1-0123456789ab")
    assert read_info(journal).host == "golden"
    info = msgspec.structs.replace(read_info(journal), backend=url).seal()
    (journal / "journal.json").write_bytes(msgspec.json.encode(info))
    (outcome,) = recover(tmp_path / "spool", any_host=True)
    assert (outcome.error, outcome.damage, outcome.runs_killed) == ("", [], [])
    assert scan(tmp_path / "spool") == []
    check(url, has_artifact=False)
