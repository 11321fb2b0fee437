"""``autolog copy`` and ``autolog export``."""

import csv
import io
import json

import pytest
from sample_store import FOREST, record

from autolog.events import ParamsLogged


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_copy_says_what_it_did_and_can_be_repeated(autolog, store, tmp_path):
    target = f"file:{tmp_path / 'copy'}"
    first = autolog("copy", store, target)
    assert (first.exit_code, first.stdout) == (0, "")
    assert "5 runs copied, 0 already there, 0 failed" in first.stderr
    assert "0 runs copied, 5 already there, 0 failed" in autolog("copy", store, target).stderr
    assert autolog("show", "aaaa", "--backend", target).stdout == autolog("show", "aaaa").stdout


def test_a_copy_names_what_it_could_not_copy_and_fails(autolog, store, tmp_path):
    target = f"file:{tmp_path / 'copy'}"
    autolog("copy", store, target)
    record(target, ParamsLogged(run_id=FOREST, params={"max_depth": "7"}))
    result = autolog("copy", store, target)
    assert result.exit_code == 1
    assert f"error: run {FOREST}: the destination has a run of this id with other params" in result.stderr
    assert "4 already there, 1 failed" in result.stderr


def test_a_store_is_not_copied_onto_itself(autolog, store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = autolog("copy", store, "file:./store")
    assert result.exit_code == 2
    assert "the same store" in result.stderr


def test_a_copy_of_an_unknown_experiment_is_an_error(autolog, store, tmp_path):
    assert autolog("copy", store, f"file:{tmp_path / 'copy'}", "--experiment", "nope").exit_code == 2


def test_runs_are_exported_with_mlflows_columns(autolog):
    header, *_ = autolog("export").stdout.splitlines()
    names = header.split(",")
    assert names[:6] == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    assert names[6:] == sorted(names[6:])
    forest = next(row for row in rows_of(autolog("export").stdout) if row["run_id"] == FOREST)
    assert (forest["metrics.accuracy"], forest["params.max_depth"], forest["tags.team"]) == ("0.97", "6", "trees")


def test_pandas_reads_an_export_as_it_was(autolog, tmp_path):
    pandas = pytest.importorskip("pandas")
    autolog("export", "-o", str(tmp_path / "points.csv"), "--metrics")
    frame = pandas.read_csv(tmp_path / "points.csv", parse_dates=["timestamp"])
    broken = frame[frame.run_id.str.startswith("dddd")]
    assert broken.value.isna().tolist() == [True, False, False, True]
    assert broken.value.tolist()[1:3] == [float("inf"), float("-inf")]
    assert str(frame.timestamp.dt.tz) == "UTC"


def test_histories_are_exported_in_long_form(autolog):
    rows = rows_of(autolog("export", "--metrics", "--experiment", "iris").stdout)
    assert len(rows) == 1 + 100 + 1 + 1 + 1 + 4
    assert list(rows[0]) == ["run_id", "key", "step", "timestamp", "value"]


def test_the_format_follows_the_name_of_the_file_unless_it_is_given(autolog, tmp_path):
    autolog("export", "-o", str(tmp_path / "runs.json"))
    documents = json.loads((tmp_path / "runs.json").read_text(), parse_constant=pytest.fail)
    assert {document["metrics.loss"] for document in documents if "metrics.loss" in document} >= {"NaN", 0.25}
    autolog("export", "-o", str(tmp_path / "runs.txt"), "--format", "json")
    assert len(json.loads((tmp_path / "runs.txt").read_text())) == 5
    (tmp_path / "empty").mkdir()
    assert json.loads(autolog("export", "--format", "json", "--backend", f"file:{tmp_path / 'empty'}").stdout) == []


def test_an_export_that_fails_leaves_the_old_file_alone(autolog, tmp_path):
    target = tmp_path / "runs.csv"
    target.write_text("old")
    assert autolog("export", "-o", str(target), "--experiment", "nope").exit_code == 2
    assert target.read_text() == "old"
    result = autolog("export", "-o", str(tmp_path / "no" / "runs.csv"))
    assert result.exit_code == 1
    assert result.stderr.startswith("error: No such file or directory")


def test_a_source_that_is_not_there_is_an_error_and_nothing_is_made(autolog, tmp_path):
    result = autolog("copy", f"file:{tmp_path / 'nowhere'}", f"file:{tmp_path / 'copy'}")
    assert result.exit_code == 2
    assert f"there is no store file:{tmp_path / 'nowhere'}" in result.stderr
    assert not (tmp_path / "copy").exists()
