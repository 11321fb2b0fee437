"""Client: MLflow's tracking methods, by run id, on the current store or on another."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import autolog
from autolog.entities import Dataset, DatasetInput, Metric
from autolog.errors import AlreadyExists, InvalidFilter, InvalidParameter, NotFound


@pytest.fixture(params=["file", "sqlite"])
def url(request, tmp_path):
    """The URL of another store than the current one."""
    return f"file:{tmp_path / 'other'}" if request.param == "file" else f"sqlite:///{tmp_path / 'other.db'}"


@pytest.fixture
def client(url):
    return autolog.Client(url)


@pytest.fixture
def run_id(client):
    return client.create_run(client.create_experiment("trial")).info.run_id


def test_a_run_stays_running_until_it_is_terminated(client):
    experiment = client.create_experiment("trial")
    run = client.create_run(experiment, start_time=1_000, tags={"a": 1}, run_name="first")
    assert (run.info.run_name, run.info.status, run.info.start_time) == ("first", "RUNNING", 1_000)
    assert run.data.tags["a"] == "1"
    assert autolog.active_run() is None
    client.set_terminated(run.info.run_id, "FAILED", end_time=2_000)
    stored = client.get_run(run.info.run_id)
    assert (stored.info.status, stored.info.end_time) == ("FAILED", 2_000)
    client.set_terminated(run.info.run_id)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    client.update_run(run.info.run_id, status="KILLED", name="second")
    assert client.get_run(run.info.run_id).info.status == "KILLED"
    assert client.get_run(run.info.run_id).info.run_name == "second"


def test_values_come_back(client, run_id):
    client.log_metric(run_id, "loss", 0.5, timestamp=1_000, step=3)
    client.log_metric(run_id, "loss", np.float32(0.25), step=np.int64(4), synchronous=True)
    assert client.log_param(run_id, "C", 1.5) == 1.5
    client.set_tag(run_id, "kind", "a")
    client.set_tag(run_id, "gone", "b")
    client.delete_tag(run_id, "gone")
    client.log_batch(
        run_id,
        metrics=[Metric("acc", 1.0, 5, 6)],
        params=[SimpleNamespace(key="D", value=2)],
        tags=[SimpleNamespace(key="batch", value="c")],
    )
    client.log_inputs(run_id, [DatasetInput(dataset=Dataset(name="iris", digest="0123"))])
    stored = client.get_run(run_id)
    assert stored.data.metrics == {"loss": 0.25, "acc": 1.0}
    assert stored.data.params == {"C": "1.5", "D": "2"}
    assert {"kind": "a", "batch": "c"}.items() <= stored.data.tags.items()
    assert "gone" not in stored.data.tags
    assert stored.inputs.dataset_inputs[0].dataset.name == "iris"
    assert [(p.value, p.step) for p in client.get_metric_history(run_id, "loss")] == [(0.5, 3), (0.25, 4)]
    assert client.get_metric_history(run_id, "acc") == [Metric("acc", 1.0, 5, 6)]


def test_files_come_back(client, run_id, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    client.log_artifact(run_id, tmp_path / "a.txt", "folder")
    client.log_text(run_id, "b", "b.txt")
    client.log_dict(run_id, {"c": 1}, "c.json")
    client.log_table(run_id, {"n": [1]}, "t.json")
    client.flush()
    assert [file.path for file in client.list_artifacts(run_id)] == ["b.txt", "c.json", "folder", "t.json"]
    assert [file.path for file in client.list_artifacts(run_id, "folder")] == ["folder/a.txt"]
    assert Path(client.download_artifacts(run_id, "folder", str(tmp_path / "out")), "a.txt").read_text() == "a"
    experiment = client.get_run(run_id).info.experiment_id
    assert client.load_table(experiment, "t.json", extra_columns=["run_id"]).to_dict("records") == [
        {"n": 1, "run_id": run_id}
    ]


def test_a_search_goes_on_where_its_token_says(client):
    experiment = client.create_experiment("trial")
    names = [f"run-{number}" for number in range(5)]
    for number, name in enumerate(names):
        client.create_run(experiment, run_name=name, start_time=number)
    page = client.search_runs([experiment], max_results=3, order_by=["attributes.start_time ASC"])
    assert [run.info.run_name for run in page] == names[:3]
    rest = client.search_runs(
        [experiment], max_results=3, order_by=["attributes.start_time ASC"], page_token=page.token
    )
    assert [run.info.run_name for run in rest] == names[3:]
    assert rest.token is None
    assert rest[0].info.run_name == "run-3"
    assert len(client.search_runs([experiment], "attributes.run_name = 'run-1'")) == 1
    with pytest.raises(InvalidFilter):
        client.search_runs([experiment], "nonsense")


def test_experiments_are_made_found_changed_and_deleted(client):
    made = client.create_experiment("trial", tags={"a": 1})
    with pytest.raises(AlreadyExists):
        client.create_experiment("trial")
    client.set_experiment_tag(made, "b", 2)
    client.delete_experiment_tag(made, "a")
    client.rename_experiment(made, "renamed")
    assert dict(client.get_experiment(made).tags) == {"b": "2"}
    assert client.get_experiment_by_name("renamed").experiment_id == made
    client.delete_experiment(made)
    assert "renamed" not in [each.name for each in client.search_experiments()]
    assert "renamed" in [each.name for each in client.search_experiments(view_type=3, max_results=None)]
    client.restore_experiment(made)
    page = client.search_experiments(filter_string="name = 'renamed'", max_results=1)
    assert [each.experiment_id for each in page] == [made]


def test_a_run_is_deleted_and_restored(client, run_id):
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    client.restore_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def test_the_parent_of_a_run_is_found(client, run_id):
    experiment = client.get_run(run_id).info.experiment_id
    child = client.create_run(experiment, tags={"mlflow.parentRunId": run_id})
    assert client.get_parent_run(child.info.run_id).info.run_id == run_id
    assert client.get_parent_run(run_id) is None


def test_a_client_keeps_to_its_store(client, run_id, url):
    with autolog.start_run() as mine:
        client.log_metric(run_id, "loss", 1.0)
        autolog.log_metric("loss", 2.0)
        with pytest.raises(NotFound):
            client.log_metric(mine.run_id, "loss", 3.0)
        with pytest.raises(NotFound):
            autolog.log_metric("loss", 3.0, run_id=run_id)
    assert mine.data.metrics == {"loss": 2.0}
    assert client.get_run(run_id).data.metrics == {"loss": 1.0}
    assert client.tracking_uri == url != autolog.get_tracking_uri()


def test_a_client_without_a_uri_speaks_to_the_current_store():
    client = autolog.MlflowClient()
    assert client.tracking_uri == autolog.get_tracking_uri()
    with autolog.start_run() as run:
        client.log_metric(run.info.run_id, "loss", 1.0)
        assert autolog.get_run(run.run_id).data.metrics == {"loss": 1.0}


def test_a_pickled_client_speaks_to_the_same_store(client, run_id):
    assert pickle.loads(pickle.dumps(client)).get_run(run_id).info.run_id == run_id


def test_what_is_not_there_is_an_error_of_every_call(client, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    for call in (
        lambda: client.get_run("nowhere"),
        lambda: client.log_metric("nowhere", "loss", 1.0),
        lambda: client.log_param("nowhere", "C", 1),
        lambda: client.set_tag("nowhere", "C", 1),
        lambda: client.log_batch("nowhere"),
        lambda: client.log_artifact("nowhere", tmp_path / "a.txt"),
        lambda: client.set_terminated("nowhere"),
        lambda: client.delete_run("nowhere"),
        lambda: client.list_artifacts("nowhere"),
        lambda: client.get_metric_history("nowhere", "loss"),
    ):
        with pytest.raises(NotFound, match="nowhere"):
            call()
    with pytest.raises(NotFound, match="777"):
        client.create_run("777")
    with pytest.raises(InvalidParameter, match="scheme 'ftp'"):
        autolog.Client("ftp://host/runs")
