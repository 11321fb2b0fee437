"""``autolog runs`` and ``autolog experiments``."""

import csv
import io
import json

import pytest


def test_runs_are_listed_newest_first_with_what_tells_them_apart(autolog):
    lines = autolog("runs").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["dddd5555", "broken"],
        ["cccc3333", "search"],
        ["bbbb2222", "logistic"],
        ["aaaa1111", "forest"],
    ]
    assert "loss" in lines[0]
    assert "0.97000" in lines[4]
    assert "FAILED" in lines[1]
    assert "seed" not in lines[0]


def test_children_are_counted_and_shown_below_their_parent_on_demand(autolog):
    assert "search +1" in autolog("runs").stdout
    shown = autolog("runs", "--children").stdout
    assert "search +1" not in shown
    lines = shown.splitlines()
    assert "└ candidate" in lines[lines.index(next(line for line in lines if "cccc3333" in line)) + 1]


def test_a_narrow_terminal_loses_columns_but_no_digit(autolog):
    for columns in (50, 60, 80, 140):
        lines = autolog("runs", columns=columns).stdout.splitlines()
        assert max(map(len, lines)) <= columns
        assert "…" not in "".join(lines)
    assert "took" in lines[0]
    assert "took" not in autolog("runs", columns=50).stdout


def test_the_named_columns_are_shown_and_no_others(autolog):
    header = autolog("runs", "--columns", "name,metrics.loss,params.C,tags.team").stdout.splitlines()[0]
    assert header.split() == ["name", "loss", "C", "team"]


def test_data_and_status_are_shown_where_they_tell_the_runs_apart(autolog):
    header, *_, forest = autolog("runs").stdout.splitlines()
    assert {"status", "data"} <= set(header.split())
    assert "iris" in forest
    alike = autolog("runs", "--filter", "datasets.name = 'iris'").stdout.splitlines()[0]
    assert not {"status", "data"} & set(alike.split())
    assert "iris" in autolog("runs", "--columns", "data").stdout


def test_an_unknown_column_is_an_error_that_names_the_ones_there_are(autolog):
    result = autolog("runs", "--columns", "nmae")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: there is no column 'nmae'; use run, name")


def test_runs_are_filtered_and_ordered_as_asked(autolog):
    result = autolog("runs", "--filter", "metrics.accuracy > 0.5 OR params.C = '0.5'", "--order-by", "metrics.accuracy")
    assert [line.split()[1] for line in result.stdout.splitlines()[1:]] == ["logistic", "forest"]


def test_a_filter_that_does_not_parse_is_pointed_at_as_it_was_typed(autolog):
    result = autolog("runs", "--filter", "metrics.accuracy >> 1")
    assert result.exit_code == 2
    assert result.stdout == ""
    error = result.stderr.splitlines()
    assert error[0].startswith("error: ")
    assert error[1].strip() == "metrics.accuracy >> 1"
    assert error[2].index("^") - error[1].index("m") == len("metrics.accuracy >")


def test_more_runs_than_the_limit_are_counted(autolog):
    result = autolog("runs", "--limit", "3")
    assert len(result.stdout.splitlines()) == 4
    assert "3 of 4 runs" in result.stderr


def test_an_experiment_that_is_not_there_is_an_error_with_the_closest_name(autolog):
    result = autolog("runs", "--experiment", "irsi")
    assert result.exit_code == 2
    assert "did you mean 'iris'?" in result.stderr


@pytest.mark.parametrize("kind", ["file:", "sqlite:///", ""])
def test_a_store_that_is_not_there_is_an_error_and_is_not_made(autolog, tmp_path, kind):
    if kind == "sqlite:///":
        pytest.importorskip("sqlalchemy")
    result = autolog("runs", "--backend", f"{kind}{tmp_path / 'nowhere'}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"there is no store {kind or 'file:'}{tmp_path / 'nowhere'}" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_store_without_runs_says_so(autolog, tmp_path):
    (tmp_path / "empty").mkdir()
    result = autolog("runs", "--backend", f"file:{tmp_path / 'empty'}")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no runs here" in result.stderr


def test_runs_as_json_are_pure_json_with_texts_for_what_is_not_finite(autolog):
    result = autolog("runs", "--format", "json")
    documents = json.loads(result.stdout, parse_constant=pytest.fail)
    broken = documents[0]
    assert broken["metrics"] == {"loss": "NaN"}
    assert broken["experiment_name"] == "iris"
    assert documents[-1]["params"] == {"max_depth": "6", "seed": "0"}
    assert documents[-1]["start_time"] == 1_700_000_060_000


def test_runs_as_csv_have_mlflows_columns(autolog):
    rows = list(csv.DictReader(io.StringIO(autolog("runs", "--format", "csv").stdout)))
    assert rows[-1]["metrics.accuracy"] == "0.97"
    assert rows[-1]["params.max_depth"] == "6"
    assert rows[-1]["tags.team"] == "trees"
    assert rows[0]["params.max_depth"] == ""
    assert rows[-1]["start_time"] == "2023-11-14 22:14:20.000+00:00"


def test_experiments_are_listed_with_how_many_runs_they_have(autolog):
    rows = json.loads(autolog("experiments", "--format", "json").stdout)
    iris = next(row for row in rows if row["name"] == "iris")
    assert (iris["experiment_id"], iris["runs"], iris["last_run_time"]) == ("7", 5, 1_700_000_240_000)
    assert "iris" in autolog("experiments").stdout
    assert autolog("experiments", "--format", "csv").stdout.startswith("experiment_id,name,lifecycle_stage,runs,")
