"""Drawings say what the figures hold: names, areas, counts; and anything that a figure may hold can be drawn."""

import math
import warnings

import numpy as np
import pytest

from autolog.errors import InvalidParameter
from autolog.evaluation import evaluate_classifier, evaluate_regressor
from autolog.figure_kinds import (
    KINDS,
    Calibration,
    ConfusionMatrix,
    CrossValidation,
    FeatureImportance,
    LearningCurve,
    PermutationImportance,
    PrecisionRecall,
    PrecisionRecallCurve,
    Residuals,
    Roc,
    RocCurve,
    Search,
    ValidationCurve,
)
from autolog.figures import (
    Figure,
    cross_validation_figure,
    feature_importance_figure,
    learning_curve_figure,
    search_figure,
    validation_curve_figure,
)
from autolog.plots import _painters, draw
from autolog.plots_style import share, written
from autolog.plots_subjects import Metric, Shown

pytest.importorskip("matplotlib")


def paint(*shown):
    """Draw into axes as ``draw`` does, and return them."""
    from matplotlib.figure import Figure as Canvas

    axes = Canvas().add_subplot()
    _painters()[shown[0].figure.kind](axes, list(shown))
    return axes


def texts(axes):
    return [text.get_text() for text in axes.texts]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def figure(kind, of=((0, 1, 1, 0), (0, 1, 0, 0), (0.1, 0.9, 0.4, 0.2))):
    targets, predicted, scores = of
    found = evaluate_classifier(targets, predicted, [0, 1], scores).figures
    return next(each for each in found if each.kind == kind)


def test_a_roc_curve_has_its_run_its_class_and_its_area():
    axes = paint(Shown("SVC", figure("roc")))
    assert axes.get_title(loc="left") == "SVC"
    assert "training ROC curve" in texts(axes)
    assert legend(axes) == ["1  AUC 1.000"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("False positive rate", "True positive rate")


def test_curves_of_several_runs_are_told_apart_by_the_run():
    worse = figure("roc", ((0, 1, 1, 0), (0, 1, 0, 0), (0.5, 0.9, 0.4, 0.2)))
    axes = paint(Shown("SVC", figure("roc")), Shown("Dummy", worse))
    assert axes.get_title(loc="left") == "2 runs"
    assert legend(axes) == ["SVC  AUC 1.000", "Dummy  AUC 0.750"]
    assert len({line.get_color() for line in axes.get_lines()}) == 3


def test_an_area_is_1_only_where_nothing_is_wrong():
    assert [share(value) for value in (1.0, 0.99999, 0.9994, 0.0, None, math.nan)] == [
        *("1.000", "> 0.999", "0.999", "0.000", "unknown", "unknown")
    ]


def test_a_confusion_matrix_has_counts_and_shares_of_the_true_class():
    axes = paint(Shown("SVC", figure("confusion_matrix")))
    assert {"2\n100 %", "0", "1\n50.0 %"} <= set(texts(axes))
    assert ticks(axes.xaxis) == ticks(axes.yaxis) == ["0", "1"]


@pytest.mark.parametrize(("size", "written_cells"), [(12, 144), (30, 30), (31, 0)])
def test_up_to_thirty_classes_are_written_and_those_that_do_not_fit_are_shaded_only(size, written_cells):
    data = ConfusionMatrix([f"class {index}" for index in range(size)], (np.eye(size) * 5).tolist())
    axes = paint(Shown("SVC", Figure(kind="confusion_matrix", name="confusion_matrix", data=data)))
    assert sum(text.isdigit() or "%" in text for text in texts(axes)) == written_cells


def test_features_stand_with_the_most_important_at_the_top_and_thirty_at_most():
    names = [f"feature {index}" for index in range(50)]
    axes = paint(Shown("SVC", feature_importance_figure(names, range(50), "gain")))
    assert ticks(axes.yaxis) == names[:-31:-1]
    assert axes.yaxis_inverted()
    assert "feature importance gain, the first 30 of 50 features" in texts(axes)


def test_error_bars_do_not_reach_below_zero_where_nothing_can():
    axes = paint(Shown("Forest", feature_importance_figure(["a", "b"], [0.3, 0.1], "impurity", [0.1, 0.5])))
    ends = np.array([segment[:, 0] for bars in axes.collections for segment in bars.get_segments()])
    assert ends == pytest.approx(np.array([[0.2, 0.4], [0.0, 0.6]]))


def test_residuals_say_how_many_of_the_rows_are_drawn():
    targets = np.linspace(0, 1, 5_000)
    (of_many,) = evaluate_regressor(targets, targets**2).figures
    axes = paint(Shown("Ridge", of_many))
    assert any("1,000 of 5,000 rows drawn" in text for text in texts(axes))


def test_a_validation_curve_over_decades_is_logarithmic_and_texts_stand_at_the_axis():
    scores = np.linspace(0, 1, 8).reshape(4, 2)
    assert paint(Shown("SVC", validation_curve_figure("C", [0.01, 0.1, 1, 10], scores, scores))).get_xscale() == "log"
    axes = paint(Shown("SVC", validation_curve_figure("kernel", ["rbf", "poly", None, "x"], scores, scores)))
    assert ticks(axes.xaxis) == ["rbf", "poly", "None", "x"]


def test_a_learning_curve_shows_the_means_of_the_folds_that_have_a_score():
    axes = paint(Shown("SVC", learning_curve_figure([10, 20], [[1, 1], [1, 0]], [[0.5, math.nan], [0.2, 0.4]], "f1")))
    assert legend(axes) == ["Training", "Validation"]
    assert axes.get_lines()[1].get_ydata() == pytest.approx([0.5, 0.3])
    assert axes.get_ylabel() == "f1"


def test_a_search_names_its_best_candidate_and_what_was_varied():
    found = search_figure({"svc__C": [0.1, 1, 10], "svc__kernel": ["rbf"] * 3}, [0.5, 0.75, math.nan], [0, 0, 0])
    axes = paint(Shown("Search", found))
    assert axes.get_xlabel() == "svc__C"
    assert axes.get_xscale() == "log"
    assert "search results, best 0.75, C=1" in texts(axes)


def test_folds_have_their_mean_beside_them():
    assert "0.75" in texts(paint(Shown("SVC", cross_validation_figure({"test_score": [0.5, 1.0]}))))


def test_a_metric_without_steps_is_drawn_over_its_points():
    axes = paint(Shown("Net", Figure(kind="metric", name="loss", data=Metric("loss", [0, 0, 0], [3, math.inf, 1]))))
    assert axes.get_xlabel() == "Point"
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("$x^2$", r"\$x^2\$"), ("a\nb\tc", "a b c"), ("\x1b[31m", "\N{REPLACEMENT CHARACTER}[31m"), ("x" * 100, None)],
)
def test_names_are_drawn_on_one_line_and_are_no_formulas(name, shown):
    text = written(name)
    assert len(text) <= 34
    assert shown is None or text == shown


def test_a_name_that_matplotlib_would_hide_or_parse_is_in_the_legend(tmp_path):
    odd = [Shown(name, figure("roc")) for name in ("_hidden", "$\\frac{", "日本語", "", "a\x00b")]
    assert len(legend(paint(*odd))) == 5
    draw(odd, tmp_path / "odd.png")
    draw(odd, tmp_path / "odd.pdf")


EMPTY = {
    "confusion_matrix": ConfusionMatrix([], []),
    "roc": Roc([]),
    "precision_recall": PrecisionRecall([]),
    "calibration": Calibration(None, [], [], []),
    "residuals": Residuals([], [], [], [], 0),
    "feature_importance": FeatureImportance("gain", [], [], 0),
    "permutation_importance": PermutationImportance([], [], [], 0),
    "learning_curve": LearningCurve([], [], []),
    "validation_curve": ValidationCurve("C", [], [], []),
    "cross_validation": CrossValidation({}),
    "search": Search({}, [], [], [], 0),
}
UNKNOWN = {
    "confusion_matrix": ConfusionMatrix(["a", "b"], [[0, 0], [0, 0]]),
    "roc": Roc([RocCurve("a", [None], [None], [None])]),
    "precision_recall": PrecisionRecall([PrecisionRecallCurve("a", [None], [None], [None])]),
    "calibration": Calibration("a", [None], [None], [0]),
    "residuals": Residuals([None], [None], [0, 1], [0], 1),
    "feature_importance": FeatureImportance("gain", ["a"], [None], 1, [None]),
    "permutation_importance": PermutationImportance(["a"], [None], [None], 1),
    "learning_curve": LearningCurve([1], [[None]], [[]]),
    "validation_curve": ValidationCurve("C", [None], [[None]], [[None]]),
    "cross_validation": CrossValidation({"a": [None], "b": []}),
    "search": Search({"C": [None]}, [None], [None], [0], 1),
}


@pytest.mark.parametrize("data", [EMPTY, UNKNOWN], ids=["nothing", "null"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_figure_that_holds_nothing_is_drawn_all_the_same(kind, data):
    axes = paint(Shown("run", Figure(kind=kind, name=kind, data=data[kind])))
    with warnings.catch_warnings():
        # Of axes without an extent.
        warnings.simplefilter("ignore")
        axes.figure.draw_without_rendering()
    assert axes.get_title(loc="left") == "run"


def test_more_figures_than_one_file_can_show_are_refused(tmp_path):
    with pytest.raises(InvalidParameter, match="10 figures are too many"):
        draw([Shown("run", figure("confusion_matrix"))] * 10, tmp_path / "x.png")
