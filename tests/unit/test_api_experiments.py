"""Experiments, stores, and the search of runs."""

from __future__ import annotations

import pandas as pd
import pytest

import autolog
from autolog.entities import ViewType
from autolog.errors import AlreadyExists, InvalidParameter, InvalidState, NotFound
from autolog.integrations import INTEGRATIONS


@pytest.fixture(params=["file", "sqlite"])
def make_url(request, tmp_path):
    """Name stores of one kind."""

    def make(name):
        return f"file:{tmp_path / name}" if request.param == "file" else f"sqlite:///{tmp_path / name}.db"

    return make


@pytest.fixture(autouse=True)
def store(make_url, monkeypatch):
    """The URL of the store in force."""
    monkeypatch.setenv("AUTOLOG_BACKEND", make_url("runs"))
    return make_url("runs")


def test_an_experiment_is_made_by_naming_it():
    chosen = autolog.set_experiment("vision ü/1")
    with autolog.start_run() as run:
        pass
    found = autolog.get_experiment_by_name("vision ü/1")
    assert found.experiment_id == chosen.experiment_id == run.info.experiment_id
    assert autolog.set_experiment(experiment_id=found.experiment_id).name == "vision ü/1"
    assert autolog.get_experiment(found.experiment_id).lifecycle_stage == "active"


def test_an_experiment_has_tags_a_name_and_an_end():
    made = autolog.create_experiment("old", tags={"team": "vision", "year": 2024})
    with pytest.raises(AlreadyExists, match="'old' exists already"):
        autolog.create_experiment("old")
    autolog.set_experiment("old")
    autolog.set_experiment_tags({"a": 1, "b": 2})
    autolog.set_experiment_tag("c", 3)
    autolog.delete_experiment_tag("b")
    autolog.rename_experiment(made, "new")
    assert autolog.get_experiment_by_name("old") is None
    assert dict(autolog.get_experiment(made).tags) == {"team": "vision", "year": "2024", "a": "1", "c": "3"}
    autolog.delete_experiment(made)
    assert [each.name for each in autolog.search_experiments(ViewType.DELETED_ONLY)] == ["new"]
    with pytest.raises(InvalidState, match="restore_experiment"):
        autolog.set_experiment("new")
    autolog.restore_experiment(made)
    assert autolog.set_experiment("new").experiment_id == made


def test_what_is_no_experiment_is_said_to_be_none():
    with pytest.raises(NotFound, match="12345"):
        autolog.get_experiment("12345")
    with pytest.raises(NotFound, match="12345"):
        autolog.delete_experiment("12345")
    with pytest.raises(InvalidParameter, match="either experiment_name or experiment_id"):
        autolog.set_experiment()
    with pytest.raises(InvalidParameter, match="experiment name ''"):
        autolog.create_experiment("")


def test_view_types_are_taken_by_name_and_by_mlflows_number():
    with autolog.start_run() as run:
        pass
    autolog.delete_run(run.run_id)
    for view, count in ((1, 0), (2, 1), (3, 1), ("ALL", 1), (ViewType.ACTIVE_ONLY, 0)):
        assert len(autolog.search_runs(run_view_type=view)) == count
    for view in (0, 4, -1, "SOME", None):
        with pytest.raises(InvalidParameter, match="is no view type"):
            autolog.search_runs(run_view_type=view)


def test_a_deleted_run_is_found_again_when_it_is_restored():
    with autolog.start_run() as run:
        autolog.log_metric("loss", 1.0)
    autolog.delete_run(run.run_id)
    assert autolog.get_run(run.run_id).info.lifecycle_stage == "deleted"
    assert autolog.search_runs(output_format="list") == []
    with pytest.raises(InvalidState, match="restore_run"):
        autolog.start_run(run_id=run.run_id)
    autolog.restore_run(run.run_id)
    assert [found.data.metrics for found in autolog.search_runs(output_format="list")] == [{"loss": 1.0}]
    with pytest.raises(NotFound, match="nowhere"):
        autolog.delete_run("nowhere")


def test_a_search_gives_a_frame_with_mlflows_columns():
    for number in range(3):
        with autolog.start_run(run_name=f"run-{number}"):
            autolog.log_metric("loss", number / 2)
            autolog.log_param("C", number)
            if number == 1:
                autolog.log_metric("only here", 7)
                autolog.set_tag("kind", "middle")
    frame = autolog.search_runs(order_by=["metrics.loss ASC"])
    assert list(frame.columns[:6]) == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    assert frame["metrics.loss"].tolist() == [0.0, 0.5, 1.0]
    assert frame["params.C"].tolist() == ["0", "1", "2"]
    assert frame["metrics.only here"].isna().tolist() == [True, False, True]
    assert frame["tags.kind"].isna().tolist() == [True, False, True]
    assert frame["tags.mlflow.runName"].tolist() == ["run-0", "run-1", "run-2"]
    assert isinstance(frame["start_time"].dtype, pd.DatetimeTZDtype)
    assert frame["metrics.loss"].dtype == float
    assert set(frame["status"]) == {"FINISHED"}


def test_a_search_that_finds_nothing_gives_an_empty_frame():
    frame = autolog.search_runs(filter_string="metrics.loss > 1")
    assert frame.empty
    assert len(autolog.search_runs(search_all_experiments=True)) == 0


def test_a_search_looks_in_the_current_experiment_in_named_ones_or_everywhere():
    ids = {}
    for name in ("a", "b"):
        autolog.set_experiment(name)
        with autolog.start_run(run_name=name) as run:
            ids[name] = run.info.experiment_id

    def found(**where):
        return sorted(run.info.run_name for run in autolog.search_runs(output_format="list", **where))

    assert found() == ["b"]
    assert found(experiment_names=["a"]) == ["a"]
    assert found(experiment_ids=[ids["a"], ids["b"]]) == ["a", "b"]
    assert found(search_all_experiments=True) == ["a", "b"]
    assert found(search_all_experiments=True, max_results=1) != []
    with pytest.raises(NotFound, match="no experiment named 'c'"):
        found(experiment_names=["a", "c"])
    with pytest.raises(InvalidParameter, match="not both"):
        found(experiment_names=["a"], experiment_ids=["0"])
    with pytest.raises(InvalidParameter, match="output_format"):
        autolog.search_runs(output_format="xml")


def test_runs_that_are_open_write_on_to_the_store_where_they_began(make_url):
    first, second = make_url("first"), make_url("second")
    autolog.set_tracking_uri(first)
    with autolog.start_run() as run:
        autolog.set_tracking_uri(second)
        autolog.log_metric("loss", 1.0)
        uri = run.info.artifact_uri
        autolog.log_text("x", "x.txt")
        assert run.data.metrics == {"loss": 1.0}
    assert autolog.last_active_run().info.run_id == run.run_id
    assert autolog.flush(30)
    with pytest.raises(NotFound):
        autolog.get_run(run.run_id)
    with autolog.start_run() as other:
        pass
    assert [found.info.run_id for found in autolog.search_runs(output_format="list")] == [other.run_id]
    autolog.set_tracking_uri(first)
    stored = autolog.get_run(run.run_id)
    assert (stored.data.metrics, stored.info.status, stored.info.artifact_uri) == ({"loss": 1.0}, "FINISHED", uri)


def test_the_store_is_named_by_a_url_or_a_folder(tmp_path):
    autolog.set_tracking_uri(tmp_path / "some folder")
    assert autolog.get_tracking_uri() == f"file:{tmp_path / 'some folder'}"
    assert autolog.is_tracking_uri_set()
    with autolog.start_run():
        pass
    assert autolog.flush(30)
    assert (tmp_path / "some folder").is_dir()


def test_flush_says_whether_the_store_has_everything():
    with autolog.start_run():
        autolog.log_metric("loss", 1.0)
        assert autolog.flush() is True
        autolog.flush_async_logging()
        autolog.flush_artifact_async_logging()


def test_flush_says_no_within_its_time_where_the_store_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    autolog.set_tracking_uri(f"file:{tmp_path / 'file'}")
    with autolog.start_run():
        autolog.log_metric("loss", 1.0)
    assert autolog.flush(timeout=0.5) is False


def test_mlflows_autolog_keeps_the_store_and_the_experiment_in_force(store):
    autolog.set_experiment("mine")
    autolog.autolog(log_models=False, exclude_flavors=[*INTEGRATIONS, "pyspark"], silent=True)
    assert autolog.is_enabled() is False
    autolog.autolog(extra_tags={"team": "a"})
    assert autolog.is_enabled()
    assert autolog.get_tracking_uri() == store
    with autolog.start_run() as run:
        pass
    assert run.data.tags["team"] == "a"
    assert autolog.get_experiment(run.info.experiment_id).name == "mine"
    autolog.autolog(disable=True)
    assert not autolog.is_enabled()
