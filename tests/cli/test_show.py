"""``autolog show`` and ``autolog artifacts``: one run."""

import csv
import io
import json

import pytest
from sample_store import FOREST


def test_everything_about_a_run_is_shown(autolog):
    shown = autolog("show", "aaaa").stdout
    for part in (
        "forest  FINISHED",
        FOREST,
        "iris",
        "took 5.0s",
        "ada",
        "5be6b02",
        "autolog artifacts show aaaa1111 code/uncommitted.diff",
        "max_depth",
        "digest ab12cd34, train",
        "trees.txt",
        "12 B",
    ):
        assert part in shown


def test_a_metric_is_summed_up_with_its_extremes_and_its_shape(autolog):
    line = next(line for line in autolog("show", "aaaa").stdout.splitlines() if line.split()[:1] == ["loss"])
    last, low, high, count, spark = line.split()[1:]
    assert (last, low, high, count) == ("0.01", "0.01", "1", "100")
    assert len(spark) == 24
    assert spark[0] == "█"
    assert spark[-1] == "▁"


def test_the_last_run_is_the_one_that_began_last(autolog):
    assert autolog("show", "last").stdout.startswith("broken  FAILED")


def test_a_history_is_printed_whole_for_programs_and_thinned_for_people(autolog):
    rows = list(csv.DictReader(io.StringIO(autolog("show", "aaaa", "--metric", "loss", "--format", "csv").stdout)))
    assert [int(row["step"]) for row in rows] == list(range(100))
    table = autolog("show", "aaaa", "--metric", "loss")
    assert "points, the extremes among them" in table.stderr
    assert len(table.stdout.splitlines()) < 50
    assert table.stdout.splitlines()[1].split() == ["step", "after", "loss"]


def test_a_history_keeps_what_is_not_finite(autolog):
    points = json.loads(autolog("show", "dddd", "--metric", "loss", "--format", "json").stdout)
    assert [point["value"] for point in points] == ["NaN", "Infinity", "-Infinity", "NaN"]
    assert autolog("show", "dddd").exit_code == 0


def test_a_run_as_json_has_all_of_it(autolog):
    document = json.loads(autolog("show", FOREST, "--format", "json").stdout)
    assert document["metric_summaries"]["loss"]["count"] == 100
    assert document["inputs"][0]["dataset"]["name"] == "iris"
    assert [artifact["size"] for artifact in document["artifacts"]] == [6, 12, 3]
    assert document["tags"]["team"] == "trees"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("aaa", "too short"),
        ("cccc", "begins the ids of several runs"),
        ("eeee", "no run's id begins with 'eeee'"),
        ("a' OR 'b", "is not the id of a run"),
    ],
)
def test_a_run_that_cannot_be_told_is_an_error_that_says_why(autolog, run, message):
    result = autolog("show", run)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_metric_that_is_not_there_is_an_error_with_the_closest_name(autolog):
    result = autolog("show", "aaaa", "--metric", "acuracy")
    assert result.exit_code == 2
    assert "did you mean 'accuracy'?" in result.stderr


def test_artifacts_are_listed_whole_or_below_a_folder(autolog):
    paths = [line.split()[0] for line in autolog("artifacts", "list", "aaaa").stdout.splitlines()[1:]]
    assert paths == ["code/uncommitted.diff", "model/trees.txt", "model/weights.bin"]
    rows = json.loads(autolog("artifacts", "list", "aaaa", "model", "--format", "json").stdout)
    assert [(row["path"], row["size"]) for row in rows] == [("model/trees.txt", 12), ("model/weights.bin", 3)]
    assert "no artifacts" in autolog("artifacts", "list", "bbbb").stderr


def test_a_text_artifact_is_printed_as_it_is_and_others_are_refused(autolog):
    assert autolog("artifacts", "show", "aaaa", "model/trees.txt").stdout == "three trees\n"
    assert "is not text" in autolog("artifacts", "show", "aaaa", "model/weights.bin").stderr
    assert "folder of 2 files" in autolog("artifacts", "show", "aaaa", "model").stderr
    assert "did you mean 'model/trees.txt'?" in autolog("artifacts", "show", "aaaa", "model/tree.txt").stderr


def test_artifacts_are_downloaded_one_a_folder_or_all(autolog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert autolog("artifacts", "download", "aaaa", "model/trees.txt").exit_code == 0
    assert (tmp_path / "trees.txt").read_bytes() == b"three trees\n"
    autolog("artifacts", "download", "aaaa", "model", "-o", "here")
    assert (tmp_path / "here" / "weights.bin").read_bytes() == b"\xff\xfe\x00"
    autolog("artifacts", "download", "aaaa", ".")
    assert (tmp_path / "run-aaaa1111" / "code" / "uncommitted.diff").read_bytes() == b"-a\n+b\n"


def test_an_artifact_that_was_changed_in_the_store_is_not_handed_out(autolog, tmp_path):
    (stored,) = (tmp_path / "store").rglob("trees.txt")
    stored.write_bytes(b"four trees!\n")
    result = autolog("artifacts", "download", "aaaa", "model/trees.txt", "-o", str(tmp_path / "copy.txt"))
    assert result.exit_code == 1
    assert "checksum" in result.stderr
    assert not (tmp_path / "copy.txt").exists()
