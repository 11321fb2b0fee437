"""Files: what is logged is what was there at the moment of the call, under MLflow's names."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import autolog
from autolog.errors import AutologError, InvalidParameter, NotFound


@pytest.fixture(autouse=True, params=["file", "sqlite"])
def store(request, tmp_path, monkeypatch):
    """The URL of a store of each kind."""
    url = f"file:{tmp_path / 'runs'}" if request.param == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    monkeypatch.setenv("AUTOLOG_BACKEND", url)
    return url


@pytest.fixture
def run():
    with autolog.start_run() as run:
        yield run


def names(run, path=None):
    autolog.flush()
    return [file.path for file in autolog.artifacts.list_artifacts(run_id=run.run_id, artifact_path=path)]


def text(run, path):
    return autolog.artifacts.load_text(f"runs:/{run.run_id}/{path}")


def test_a_file_may_be_deleted_or_changed_right_after_it_was_logged(run, tmp_path):
    deleted, changed = tmp_path / "deleted.txt", tmp_path / "changed.txt"
    deleted.write_text("first")
    changed.write_text("before")
    autolog.log_artifact(deleted)
    autolog.log_artifact(str(changed), artifact_path="folder/inner")
    deleted.unlink()
    changed.write_text("after")
    assert text(run, "deleted.txt") == "first"
    assert text(run, "folder/inner/changed.txt") == "before"


def test_a_folder_is_logged_with_all_below_it(run, tmp_path):
    folder = tmp_path / "plots"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b ü.txt").write_text("b")
    autolog.log_artifacts(folder)
    autolog.log_artifact(folder)
    assert names(run) == ["a.txt", "deep", "plots"]
    assert names(run, "plots/deep") == ["plots/deep/b ü.txt"]


def test_what_is_not_there_cannot_be_logged(run, tmp_path):
    with pytest.raises(NotFound, match="there is no file"):
        autolog.log_artifact(tmp_path / "nowhere.txt")
    with pytest.raises(NotFound, match="there is no folder"):
        autolog.log_artifacts(tmp_path / "nowhere")


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\b", "", "C:/x"])
def test_no_artifact_leaves_its_folder(run, path):
    with pytest.raises(InvalidParameter, match="cannot be the path of an artifact"):
        autolog.log_text("x", path)
    assert names(run) == []


def test_a_text_that_is_logged_again_is_replaced(run):
    autolog.log_text("first ä", "notes/a.txt")
    autolog.log_text("second ä", "notes/a.txt")
    assert text(run, "notes/a.txt") == "second ä"


def test_a_dict_is_written_as_json_or_yaml(run):
    yaml = pytest.importorskip("yaml")
    given = {"b": [1, 2.5, None], "a": {"ä": True}}
    autolog.log_dict(given, "data.json")
    autolog.log_dict(given, "data.yaml")
    autolog.log_dict([1, 2], "list.yml")
    assert autolog.artifacts.load_dict(f"runs:/{run.run_id}/data.json") == given
    assert yaml.safe_load(text(run, "data.yaml")) == given
    assert yaml.safe_load(text(run, "list.yml")) == [1, 2]
    with pytest.raises(InvalidParameter, match="is no JSON"):
        autolog.artifacts.load_dict(f"runs:/{run.run_id}/data.yaml")


def test_a_stream_is_logged_from_where_it_stands(run):
    stream = io.BytesIO(b"abcdef")
    stream.seek(2)
    autolog.log_stream(stream, "stream.bin")
    assert text(run, "stream.bin") == "cdef"


@pytest.mark.parametrize(
    ("name", "start"), [("roc.png", b"\x89PNG"), ("roc.svg", b"<?xml"), ("plots/roc.pdf", b"%PDF")]
)
def test_a_figure_is_drawn_in_the_format_of_the_name(run, tmp_path, name, start):
    matplotlib = pytest.importorskip("matplotlib.figure")
    figure = matplotlib.Figure()
    figure.subplots().plot([1, 2])
    autolog.log_figure(figure, name, save_kwargs={"dpi": 40})
    local = autolog.artifacts.download_artifacts(run_id=run.run_id, artifact_path=name, dst_path=tmp_path / "out")
    assert Path(local).read_bytes().startswith(start)
    assert names(run) == [name.split("/")[0]]


def test_something_that_is_no_figure_is_refused(run):
    with pytest.raises(InvalidParameter, match="not a int"):
        autolog.log_figure(3, "roc.png")
    assert names(run) == []


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (np.zeros((4, 6), np.uint8), (6, 4)),
        (np.full((4, 6, 1), 7), (6, 4)),
        (np.zeros((4, 6, 3), np.float32), (6, 4)),
        (np.ones((4, 6, 4)), (6, 4)),
    ],
)
def test_an_array_is_logged_as_an_image(run, image, size):
    pytest.importorskip("PIL")
    autolog.log_image(image, "image.png")
    assert autolog.artifacts.load_image(f"runs:/{run.run_id}/image.png").size == size


def test_a_series_of_images_is_named_as_mlflow_names_it(run):
    pytest.importorskip("PIL")
    for step in range(2):
        autolog.log_image(np.zeros((2, 2), np.uint8), key="val/sample", step=step, timestamp=12, synchronous=True)
    found = names(run, "images")
    assert [name.split("+timestamp")[0] for name in found] == [f"images/val#sample+step+{step}" for step in range(2)]


def test_an_image_needs_a_name_and_a_shape(run):
    pytest.importorskip("PIL")
    for arguments in ({}, {"artifact_file": "a.png", "key": "k"}):
        with pytest.raises(InvalidParameter, match="either artifact_file or key"):
            autolog.log_image(np.zeros((2, 2)), **arguments)
    with pytest.raises(InvalidParameter, match="shape"):
        autolog.log_image(np.zeros((2, 2, 2)), "a.png")


@pytest.mark.parametrize("name", ["answers.json", "tables/answers.parquet"])
def test_rows_are_added_to_a_table_that_is_logged_again(run, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    autolog.log_table({"q": ["a", "b"], "n": [1, 2]}, name)
    autolog.log_table(pd.DataFrame({"q": ["ü"], "n": [3]}), name)
    autolog.log_table({"q": "scalar", "n": 4}, name)
    expected = pd.DataFrame({"q": ["a", "b", "ü", "scalar"], "n": [1, 2, 3, 4]})
    pd.testing.assert_frame_equal(autolog.load_table(name, run_ids=[run.run_id]), expected)
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": name, "type": "table"}]


def test_tables_of_several_runs_are_read_as_one():
    ids = []
    for number in range(2):
        with autolog.start_run() as run:
            autolog.log_table({"n": [number]}, "t.json")
            ids.append(run.run_id)
    with autolog.start_run():
        pass
    table = autolog.load_table("t.json", extra_columns=["run_id"])
    assert sorted(zip(table["n"], table["run_id"], strict=True)) == list(enumerate(ids))
    with pytest.raises(NotFound, match=r"has a table 'other\.json'"):
        autolog.load_table("other.json")
    with pytest.raises(InvalidParameter, match="extra column 'nothing'"):
        autolog.load_table("t.json", extra_columns=["nothing"])


@pytest.mark.parametrize(("data", "name"), [({"a": [1]}, "t.csv"), ([1, 2], "t.json"), ("text", "t.json")])
def test_what_is_no_table_is_refused(run, data, name):
    with pytest.raises(InvalidParameter, match="table"):
        autolog.log_table(data, name)


def test_artifacts_are_found_by_run_and_by_uri(run, tmp_path):
    autolog.log_text("x", "a/b.txt")
    uri = autolog.get_artifact_uri("a")
    assert [file.path for file in autolog.artifacts.list_artifacts(f"runs:/{run.run_id}/a")] == ["a/b.txt"]
    assert Path(autolog.artifacts.download_artifacts(f"{uri}/b.txt")).read_text() == "x"
    everything = autolog.artifacts.download_artifacts(run_id=run.run_id, dst_path=tmp_path / "all")
    assert (Path(everything) / "a" / "b.txt").read_text() == "x"
    with pytest.raises(AutologError, match="no artifact"):
        autolog.artifacts.load_text(f"runs:/{run.run_id}/a/c.txt")
    with pytest.raises(InvalidParameter, match="either artifact_uri or run_id"):
        autolog.artifacts.list_artifacts()


def test_the_artifact_uri_is_known_while_the_run_is_open(run):
    assert run.info.artifact_uri == autolog.get_artifact_uri() == autolog.get_run(run.run_id).info.artifact_uri
    assert autolog.get_artifact_uri("model") == f"{autolog.get_artifact_uri()}/model"
