"""``autolog compare`` and ``autolog best``."""

import json


def line_of(output, key):
    return next(line.split()[1:] for line in output.splitlines() if line.split()[:1] == [key])


def test_runs_are_put_side_by_side_and_the_best_values_are_marked(autolog):
    shown = autolog("compare", "aaaa", "bbbb").stdout
    assert shown.splitlines()[0].split() == ["aaaa1111", "bbbb2222"]
    assert line_of(shown, "accuracy") == ["0.97", "*", "0.91"]
    assert line_of(shown, "loss") == ["0.01", "*", "0.25"]
    assert line_of(shown, "C") == ["-", "0.5"]


def test_what_differs_comes_before_what_is_the_same(autolog):
    keys = [line.split()[0] for line in autolog("compare", "aaaa", "bbbb").stdout.splitlines()]
    assert keys.index("seed") > max(keys.index("C"), keys.index("max_depth"))


def test_more_runs_than_fit_are_shown_in_several_tables(autolog):
    shown = autolog("compare", "aaaa", "bbbb", "cccc3333", "dddd", columns=40).stdout
    assert max(map(len, shown.splitlines())) <= 40
    for run in ("aaaa1111", "bbbb2222", "cccc3333", "dddd5555"):
        assert shown.count(run) == 1


def test_one_run_has_nothing_to_be_compared_with(autolog):
    result = autolog("compare", "aaaa", "aaaa1")
    assert result.exit_code == 2
    assert "two or more different runs" in result.stderr


def test_a_comparison_as_json_keeps_the_order_of_the_arguments(autolog):
    documents = json.loads(autolog("compare", "bbbb", "aaaa", "--format", "json").stdout)
    assert [document["run_name"] for document in documents] == ["logistic", "forest"]


def test_the_best_run_is_found_and_the_guess_of_the_direction_is_said(autolog):
    shown = autolog("best", "loss").stdout
    assert shown.splitlines()[0] == "loss: lowest is best, as the name suggests"
    assert line_of(shown, "best") == ["aaaa1111", "forest", "0.010000"]
    assert line_of(shown, "second") == ["bbbb2222", "logistic", "0.25000", "0.24", "behind"]
    assert line_of(shown, "max_depth") == ["6"]


def test_children_take_part_in_the_search_for_the_best(autolog):
    assert line_of(autolog("best", "accuracy").stdout, "best") == ["cccc4444", "candidate", "0.99000"]


def test_the_direction_and_the_field_of_runs_can_be_chosen(autolog):
    shown = autolog("best", "accuracy", "--min", "--filter", "params.seed = '0'", "--experiment", "iris").stdout
    assert shown.splitlines()[0] == "accuracy: lowest is best"
    assert line_of(shown, "best") == ["bbbb2222", "logistic", "0.91000"]


def test_a_run_whose_metric_is_nan_is_never_the_best(autolog):
    for direction in ("--min", "--max"):
        assert "broken" not in autolog("best", "loss", direction).stdout


def test_a_name_that_does_not_tell_the_direction_asks_for_it(autolog):
    result = autolog("best", "n_features")
    assert result.exit_code == 2
    assert "say --min or --max" in result.stderr
    assert autolog("best", "loss", "--min", "--max").exit_code == 2


def test_a_metric_that_no_run_has_is_an_error_with_the_closest_name(autolog):
    result = autolog("best", "acuracy", "--max")
    assert result.exit_code == 2
    assert "did you mean 'accuracy'?" in result.stderr
    assert result.stdout == ""
