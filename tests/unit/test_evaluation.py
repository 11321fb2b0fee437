"""What is computed of predictions is what scikit-learn's own functions compute, on anything that they accept."""

from __future__ import annotations

import math
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolog.evaluation import evaluate_classifier, evaluate_regressor
from autolog.figures import decode_figure, encode_figure

metrics = pytest.importorskip("sklearn.metrics")

LABELS = {
    "counting": np.arange,
    "other integers": lambda size: np.array([-3, 5, 70, 800, 9_000])[:size],
    "floats": lambda size: np.arange(size) * 2.0,
    "texts": lambda size: np.array(["a", "bb", "ccc", "d d", "é"])[:size],
    "objects": lambda size: np.array(["a", "bb", "ccc", "d d", "é"], dtype=object)[:size],
    "truth values": lambda size: np.array([False, True])[:size],
}


@st.composite
def classified(draw, dtype=np.float64):
    """Targets, predictions, classes, probabilities with many ties, zeros and ones, and weights or None."""
    kind = draw(st.sampled_from(sorted(LABELS)))
    size = draw(st.integers(1, 2 if kind == "truth values" else 5))
    rows = draw(st.integers(1, 40))
    labels = LABELS[kind](size)
    codes = st.lists(st.integers(0, size - 1), min_size=rows, max_size=rows)
    shares = np.array(
        draw(st.lists(st.lists(st.integers(0, 4), min_size=size, max_size=size), min_size=rows, max_size=rows)),
        dtype=dtype,
    )
    shares[:, 0] += shares.sum(axis=1) == 0
    probabilities = shares / shares.sum(axis=1, keepdims=True)
    number = draw(st.sampled_from([st.integers(0, 3), st.floats(0, 5, width=16), st.floats(0.5, 2, width=16)]))
    weights = draw(st.none() | st.lists(number, min_size=rows, max_size=rows))
    targets, predicted = np.array(draw(codes)), np.array(draw(codes))
    if draw(st.booleans()):
        predicted = probabilities.argmax(axis=1)
    return labels[targets], labels[predicted], labels, probabilities, weights


def computed(function, *arguments, **options):
    """What scikit-learn gives; None where it refuses, or says that the number is not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = float(function(*arguments, **options))
        except (ValueError, ZeroDivisionError):
            return None
    return None if math.isnan(value) else value


def by_scikit_learn(targets, predicted, labels, probabilities, weights):
    averaged = {"average": "weighted", "zero_division": 0, "sample_weight": weights}
    two = len(labels) == 2
    return {
        "training_precision_score": computed(metrics.precision_score, targets, predicted, **averaged),
        "training_recall_score": computed(metrics.recall_score, targets, predicted, **averaged),
        "training_f1_score": computed(metrics.f1_score, targets, predicted, **averaged),
        "training_accuracy_score": computed(metrics.accuracy_score, targets, predicted, sample_weight=weights),
        "training_score": computed(metrics.accuracy_score, targets, predicted, sample_weight=weights),
        "training_log_loss": computed(metrics.log_loss, targets, probabilities, labels=labels, sample_weight=weights),
        "training_roc_auc": None
        if len(labels) == 1
        else computed(
            metrics.roc_auc_score,
            targets,
            probabilities[:, 1] if two else probabilities,
            average="weighted",
            multi_class="ovo",
            labels=None if two else labels,
            sample_weight=weights,
        ),
    }


def assert_same(ours, theirs, tolerance=1e-12):
    assert set(ours) == {name for name, value in theirs.items() if value is not None}
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], rel=tolerance, abs=tolerance), name


@settings(max_examples=150, deadline=None)
@given(classified())
def test_a_classifiers_metrics_are_those_of_scikit_learn(case):
    targets, predicted, labels, probabilities, weights = case
    found = evaluate_classifier(targets, predicted, labels, probabilities, weights)
    if weights is not None and sum(weights) == 0:
        assert found.metrics == {}
        return
    assert_same(found.metrics, by_scikit_learn(*case))
    for figure in found.figures:
        assert decode_figure(encode_figure(figure)) == figure


@settings(max_examples=40, deadline=None)
@given(classified(dtype=np.float32))
def test_of_single_precision_only_the_logarithms_are_taken_more_exactly(case):
    targets, predicted, labels, probabilities, weights = case
    assert probabilities.dtype == np.float32
    found = evaluate_classifier(targets, predicted, labels, probabilities, weights)
    if weights is None or sum(weights) > 0:
        theirs = by_scikit_learn(*case)
        loss = theirs.pop("training_log_loss")
        ours = dict(found.metrics)
        if loss is not None:
            assert ours.pop("training_log_loss") == pytest.approx(loss, rel=1e-5, abs=2e-7)
        assert_same(ours, theirs)


@settings(max_examples=30, deadline=None)
@given(classified(), st.data())
def test_labels_that_are_in_no_class_count_as_classes_and_leave_out_what_needs_probabilities(case, data):
    targets, predicted, labels, probabilities, weights = case
    if labels.dtype.kind == "b":
        return
    strange = "zzz" if labels.dtype.kind in "UO" else 12_345
    targets = np.array(targets.tolist(), dtype=object if labels.dtype.kind in "UO" else labels.dtype)
    targets[data.draw(st.integers(0, len(targets) - 1))] = strange
    weights = None if weights is None else [weight + 1 for weight in weights]
    theirs = by_scikit_learn(targets, predicted, labels, probabilities, weights)
    theirs.update(training_log_loss=None, training_roc_auc=None)
    assert_same(evaluate_classifier(targets, predicted, labels, probabilities, weights).metrics, theirs)


@pytest.mark.parametrize("size", [2, 3, 10])
def test_many_rows_make_no_difference(size):
    rng = np.random.default_rng(size)
    targets = rng.integers(0, size, 3_000)
    probabilities = rng.dirichlet(np.ones(size), 3_000).round(2)
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    probabilities = np.abs(probabilities)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    case = (targets, probabilities.argmax(axis=1), np.arange(size), probabilities, None)
    assert_same(evaluate_classifier(*case).metrics, by_scikit_learn(*case))


@st.composite
def regressed(draw):
    rows, outputs = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    number = st.integers(-800, 800).map(lambda eighths: eighths / 8)
    table = st.lists(st.lists(number, min_size=outputs, max_size=outputs), min_size=rows, max_size=rows)
    weights = draw(st.none() | st.lists(st.floats(0, 3, width=16), min_size=rows, max_size=rows))
    targets, predicted = np.array(draw(table)), np.array(draw(table))
    constant = draw(st.booleans())
    if constant:
        targets[:] = targets[0]
    if outputs == 1 and draw(st.booleans()):
        targets, predicted = targets[:, 0], predicted[:, 0]
    return targets, draw(st.sampled_from([predicted, targets])), weights


@settings(max_examples=80, deadline=None)
@given(regressed())
def test_a_regressors_metrics_are_those_of_scikit_learn_of_several_outputs_too(case):
    targets, predicted, weights = case
    found = evaluate_regressor(targets, predicted, weights)
    if weights is not None and sum(weights) == 0:
        assert found.metrics == {}
        return
    functions = {
        "mean_squared_error": metrics.mean_squared_error,
        "mean_absolute_error": metrics.mean_absolute_error,
        "root_mean_squared_error": metrics.root_mean_squared_error,
        "r2_score": metrics.r2_score,
        "score": metrics.r2_score,
    }
    theirs = {
        f"training_{name}": computed(function, targets, predicted, sample_weight=weights)
        for name, function in functions.items()
    }
    assert_same(found.metrics, theirs, 1e-11)
    assert [figure.name for figure in found.figures] == (["training_residuals"] if targets.size == len(targets) else [])


def test_numbers_that_are_not_finite_or_too_large_are_left_out_and_nothing_is_said():
    for targets, predicted in (([math.nan, 1], [1, 1]), ([math.inf, 1], [1, 1]), ([1, 2], ["a", "b"]), ([], [])):
        assert evaluate_regressor(targets, predicted).metrics == {}
    found = evaluate_regressor([1e308, -1e308], [-1e308, 1e308])
    assert (found.metrics, found.figures) == ({}, [])
    assert evaluate_classifier([0, 1], [0, 1], [0, 1], [[math.nan, 1], [0, 1]]).metrics["training_score"] == 1
    assert evaluate_classifier([0, 1], [0, 1], [0, 1], weights=[1e308, 1e308]).metrics == {}
    assert evaluate_classifier([0, 1], [0, 1], [0, 1], weights=[math.nan, 1]).metrics == {}
    assert "training_roc_auc" not in evaluate_classifier([0, 1], [0, 1], [0, 1], [0.2, 0.7], [-1.0, 3.0]).metrics


@pytest.mark.parametrize("kind", ["list", "column", "series", "categorical", "polars"])
def test_targets_may_be_whatever_becomes_an_array(kind):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    targets = ["cat", "dog", "dog", "cat"]
    given_as = {
        "list": targets,
        "column": np.array(targets)[:, np.newaxis],
        "series": pandas.Series(targets),
        "categorical": pandas.Series(targets, dtype="category"),
        "polars": polars.Series(targets),
    }[kind]
    found = evaluate_classifier(given_as, np.array(["cat", "dog", "cat", "cat"]), np.array(["cat", "dog"]))
    assert found.metrics["training_accuracy_score"] == 0.75


def test_labels_of_the_users_own_classes_are_never_compared():
    class Label:
        def __eq__(self, other):
            raise AssertionError

        __hash__ = None

    labels = np.array([Label(), Label()], dtype=object)
    assert evaluate_classifier(labels, labels, labels).metrics == {}


@pytest.mark.parametrize(
    "case",
    [
        ([[0, 1], [1, 0]], [[0, 1], [1, 0]], [0, 1]),
        ([0, 1], [0], [0, 1]),
        ([0, 1], [0, 1], [0, 0]),
        ([[0], [0, 1]], [0, 1], [0, 1]),
        ([0, 1], [0, 1], [[0, 1], [0, 1, 2]]),
        ([], [], [0, 1]),
    ],
    ids=[
        "several outputs",
        "different lengths",
        "a class twice",
        "lists in lists",
        "classes of several outputs",
        "no rows",
    ],
)
def test_what_cannot_be_evaluated_gives_nothing(case):
    assert evaluate_classifier(*case).metrics == {}


def test_probabilities_that_are_none_leave_out_what_needs_them():
    for probabilities in ([[0.5, 0.6, 0.1]] * 3, [[0.5, 0.5]] * 3, [["a"] * 3] * 3, [[0.1, 0.2, 0.7]] * 2):
        found = evaluate_classifier([0, 1, 2], [0, 1, 2], [0, 1, 2], probabilities)
        assert "training_roc_auc" not in found.metrics
        assert found.metrics["training_score"] == 1
    found = evaluate_classifier([0, 1], [0, 1], [0, 1], [[3.0, -2.0], [-1.0, 2.0]])
    assert "training_log_loss" not in found.metrics
    assert found.metrics["training_roc_auc"] == 1
    assert "calibration" not in {figure.kind for figure in found.figures}


def test_a_positive_classs_probability_alone_will_do():
    whole = evaluate_classifier([0, 1, 1], [0, 1, 0], [0, 1], [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    assert evaluate_classifier([0, 1, 1], [0, 1, 0], [0, 1], [0.25, 0.75, 0.5]) == whole


def test_a_model_of_more_classes_than_can_be_ranked_quickly_is_evaluated_without_their_ranking():
    size = 3_000
    codes = np.arange(size)
    found = evaluate_classifier(codes, codes, codes, np.eye(size))
    assert found.metrics["training_log_loss"] == pytest.approx(0)
    assert "training_roc_auc" not in found.metrics
    assert [figure.kind for figure in found.figures] == ["confusion_matrix", "calibration"]


def test_no_other_thread_sees_a_changed_warning_filter_or_error_state():
    seen, done = [], threading.Event()

    def watch():
        while not done.is_set():
            seen.append((list(warnings.filters), np.geterr()))

    before = (list(warnings.filters), np.geterr())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        targets = np.arange(200) % 2
        for _ in range(50):
            evaluate_classifier(targets, targets, [0, 1], targets * 0.5)
            evaluate_regressor(targets, 1 - targets)
    finally:
        done.set()
        watcher.join()
    assert all(state == before for state in seen)
    assert seen


@given(st.lists(st.integers(-5, 5) | st.sampled_from([2**40, 0.5]), unique=True, min_size=1), st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_classes_is_that_of_the_columns_whatever_it_is(classes, data):
    place = st.lists(st.integers(0, len(classes) - 1), min_size=1, max_size=20)
    codes = np.array(data.draw(place))
    counted = evaluate_classifier(codes, codes[::-1], range(len(classes)), np.eye(len(classes))[codes])
    labels = np.array(classes)
    named = evaluate_classifier(labels[codes], labels[codes][::-1], labels, np.eye(len(classes))[codes])
    assert named.metrics == counted.metrics
    assert named.figures[0].data.counts == counted.figures[0].data.counts
    assert named.figures[0].data.classes == [str(label) for label in labels.tolist()]
