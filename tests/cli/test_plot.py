"""``autolog show --plot``: what a run can have drawn, drawing it, and what is said where it cannot be."""

import csv
import io
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sample_store import CANDIDATE, FOREST, LOGISTIC, record

from autolog.evaluation import evaluate_classifier
from autolog.figures import encode_figure, feature_importance_figure, figure_path

pytest.importorskip("matplotlib")
PNG = b"\x89PNG\r\n\x1a\n"


def figures_of(noise):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 100)
    scores = np.clip(targets * 0.5 + noise * rng.random(100), 0, 1)
    return evaluate_classifier(targets, scores > 0.5, [0, 1], scores).figures


@pytest.fixture
def drawn(autolog, store, tmp_path, monkeypatch):
    """The command line on a store whose runs have figures, in an empty folder."""
    forest = [*figures_of(0.6), *(feature_importance_figure(["a", "b"], [1, 2], kind) for kind in ("gain", "split"))]
    record(
        store,
        artifacts=[
            *((FOREST, figure_path(figure.name), encode_figure(figure)) for figure in forest),
            *((LOGISTIC, figure_path(figure.name), encode_figure(figure)) for figure in figures_of(1.0)),
            (FOREST, "figures/mine.json", b'{"a": 1}'),
            (FOREST, "figures/photo.png", PNG),
        ],
    )
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return autolog


def test_what_a_run_can_have_drawn_is_listed(drawn):
    listed = drawn("show", "aaaa", "--plot")
    assert listed.exit_code == 0
    assert [line.split() for line in listed.stdout.splitlines()[1:]] == [
        ["importance", "feature_importance_gain"],
        ["importance", "feature_importance_split"],
        ["calibration", "training_calibration_curve"],
        ["confusion", "training_confusion_matrix"],
        ["pr", "training_precision_recall_curve"],
        ["roc", "training_roc_curve"],
        ["metric:loss", "loss"],
    ]
    assert "figures/mine.json is passed over" in listed.stderr
    assert drawn("show", "--plot", "--backend", os.environ["AUTOLOG_BACKEND"], "aaaa").stdout == listed.stdout
    rows = list(csv.DictReader(io.StringIO(drawn("show", "aaaa", "bbbb", "--plot", "--format", "csv").stdout)))
    assert [row["plot"] for row in rows if row["run_id"] == LOGISTIC] == ["calibration", "confusion", "pr", "roc"]
    assert json.loads(drawn("show", "bbbb", "--plot", "--format", "json").stdout)[3]["path"].endswith("roc_curve.json")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_a_figure_is_drawn_into_the_file_that_is_named_the_same_each_time(drawn, suffix):
    for name in ("one", "two"):
        result = drawn("show", "aaaa", "--plot", "roc", "-o", name + suffix)
        assert (result.exit_code, result.stdout) == (0, "")
        assert f"written to {name}{suffix}" in result.stderr
    one, two = Path("one" + suffix).read_bytes(), Path("two" + suffix).read_bytes()
    assert len(one) > 5_000
    assert one.startswith({".png": PNG, ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix.lower()])
    # An SVG's elements have random names.
    assert one == two or suffix == ".svg"


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("confusion-matrix", "training_confusion_matrix"),
        ("precision_recall", "training_precision_recall_curve"),
        ("training_roc_curve", "training_roc_curve"),
        ("figures/training_roc_curve.json", "training_roc_curve"),
        ("calibration", "training_calibration_curve"),
        ("importance", "feature_importance"),
        ("metric:loss", "loss"),
    ],
)
def test_a_kind_a_name_or_a_path_says_what_is_drawn_and_names_the_file(drawn, wanted, name):
    result = drawn("show", "aaaa", "--plot", wanted)
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in Path().iterdir()] == [f"{name}.png"]


def test_several_runs_are_drawn_into_one_file_curves_into_one_square(drawn):
    def size(*arguments):
        result = drawn("show", *arguments, "-o", "plot.png")
        assert result.exit_code == 0, result.stderr
        header = Path("plot.png").read_bytes()[16:24]
        return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")

    assert size("aaaa", "bbbb", "--plot", "roc") == size("aaaa", "--plot", "roc")
    wide, high = size("aaaa", "bbbb", "--plot", "confusion")
    assert (wide / 2, high) == size("aaaa", "--plot", "confusion")


def test_a_figure_is_printed_for_programs(drawn):
    (document,) = json.loads(drawn("show", "aaaa", "--plot", "roc", "--format", "json").stdout)
    assert (document["run_id"], document["kind"]) == (FOREST, "roc")
    assert document["data"]["curves"][0]["threshold"][0] is None
    assert not list(Path().iterdir())
    drawn("show", "aaaa", "--plot", "roc", "--format", "json", "-o", "roc.png")
    assert Path("roc.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["aaaa", "--plot", "rc"], 2, "there is no such kind; did you mean 'roc'?"),
        (["aaaa", "--plot", "loss"], 2, "but a metric of that name: --plot metric:loss"),
        (["aaaa", "--plot", "residuals"], 2, "has no figure 'residuals'; it has calibration, confusion, importance,"),
        (["aaaa", "bbbb", "--plot", "importance"], 2, "run bbbb2222 has no figure 'importance'"),
        (["cccc3", "--plot", "roc"], 2, "it has none that is stored"),
        (["aaaa", "--plot", "metric:los"], 2, "no metric 'los'; did you mean 'loss'?"),
        (["dddd", "--plot", "metric:loss"], 2, "no finite value to draw"),
        (["aaaa", "--plot", "roc", "-o", "roc.gif"], 2, "ends in no format that can be drawn: .png, .svg, .pdf"),
        (["aaaa", "--plot", "roc", "-o", "roc"], 2, "ends in no format"),
        (["aaaa", "--plot", "roc", "-o", "no/such/folder.png"], 1, "No such file or directory: no/such/folder.png"),
        (["aaaa", "--plot", "roc", "--format", "csv"], 2, "a figure is drawn, or printed as JSON"),
        (["eeee", "--plot", "roc"], 2, "no run's id begins with 'eeee'"),
        (["aaaa", "bbbb"], 2, "one run is shown at a time; `autolog compare`"),
        (["aaaa", "-o", "x.png"], 2, "--output is the file that --plot KIND draws into"),
        (["aaaa", "--plot", "roc", "--metric", "loss"], 2, "--plot metric:loss"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_of_one_line_that_says_why(drawn, arguments, code, message):
    result = drawn("show", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(Path().iterdir())


def test_a_run_without_anything_to_draw_is_told_to_have_nothing(drawn):
    result = drawn("show", CANDIDATE, "--plot")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing to draw" in result.stderr


def test_without_matplotlib_the_command_says_how_to_install_it(drawn, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = drawn("show", "aaaa", "--plot", "roc")
    assert result.exit_code == 1
    assert "pip install autolog-ml[plot]" in result.stderr
    assert drawn("show", "aaaa", "--plot").exit_code == 0


def test_a_figure_that_was_changed_in_the_store_is_not_drawn(drawn, tmp_path):
    (stored,) = [path for path in (tmp_path / "store").rglob("training_roc_curve.json") if "aaaa" in str(path)]
    stored.write_bytes(stored.read_bytes().replace(b'"roc"', b'"cor"'))
    result = drawn("show", "aaaa", "--plot", "roc")
    assert result.exit_code == 1
    assert "checksum" in result.stderr


def test_a_figure_whose_columns_do_not_fit_together_is_an_error(drawn, store):
    document = json.loads(encode_figure(figures_of(1.0)[1]))
    document["data"]["curves"][0]["true_positive_rate"] = [0.0, 1.0, 1.0]
    record(store, artifacts=[(CANDIDATE, "figures/torn.json", json.dumps(document).encode())])
    result = drawn("show", CANDIDATE, "--plot", "roc")
    assert result.exit_code == 1
    assert "cannot be drawn from its data" in result.stderr


def test_drawing_leaves_matplotlibs_global_state_alone(drawn):
    script = """
        import sys
        from autolog.cli.application import application
        try:
            application(["show", "aaaa", "--plot", "roc", "-o", "roc.png"])
        except SystemExit as end:
            assert not end.code, end.code
        assert "matplotlib.pyplot" not in sys.modules
        import matplotlib
        changed = {name for name, value in matplotlib.rcParams.items() if value != matplotlib.rcParamsOrig[name]}
        assert changed <= {"backend"}, changed
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path("roc.png").exists()
