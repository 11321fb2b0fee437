"""Figures are small tables of a declared kind: thinned by a rule, stored with the run, read back or refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import autolog
from autolog.artifact_store import ArtifactStore
from autolog.artifacts import list_artifacts, load_dict
from autolog.curves import MOST_POINTS, _corners, _thin, calibration_points, precision_recall_points, rank, roc_points
from autolog.errors import StoreCorrupted
from autolog.evaluation import evaluate_classifier
from autolog.figure_kinds import KINDS
from autolog.figures import (
    MOST_CLASSES,
    OTHERS,
    confusion_matrix_figure,
    cross_validation_figure,
    decode_figure,
    encode_figure,
    feature_importance_figure,
    figure_path,
    learning_curve_figure,
    log_figures,
    permutation_importance_figure,
    residuals_figure,
    search_figure,
    validation_curve_figure,
)

ROWS = np.arange(20_000)
SCORES = np.sin(ROWS * 1.7) * 0.3 + ROWS / 40_000
POSITIVE = np.cos(ROWS * 0.9) * 5_000 + ROWS > 12_000


def area(x, y):
    return np.dot(np.diff(x), np.add(y[1:], y[:-1])) / 2


def random_scores(rows, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(rows) < 0.3
    return np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1), positive


# -- thinning ----------------------------------------------------------------------------------------------------------


def test_a_thinned_roc_curve_has_its_ends_and_the_area_of_the_whole():
    scores, positive = random_scores(50_000)
    ranking = rank(scores, positive)
    x, y, thresholds = roc_points(ranking)
    assert 100 < len(x) == len(y) == len(thresholds) <= MOST_POINTS
    assert (x[0], y[0], thresholds[0]) == (0, 0, None)
    assert (x[-1], y[-1]) == (1, 1)
    assert area(x, y) == pytest.approx(ranking.auc, abs=1e-3)


def test_corners_are_all_that_a_straight_line_needs():
    metrics = pytest.importorskip("sklearn.metrics")
    scores, positive = random_scores(400)
    weights = np.random.default_rng(1).integers(1, 4, 400).astype(float)
    for weighting in (None, weights):
        x, y, thresholds = roc_points(rank(scores, positive, weighting))
        fpr, tpr, cuts = metrics.roc_curve(positive, scores, sample_weight=weighting, drop_intermediate=False)
        known = {(round(a, 6), round(b, 6)): cut for a, b, cut in zip(fpr, tpr, cuts, strict=True)}
        for point, threshold in list(zip(zip(x, y, strict=True), thresholds, strict=True))[1:]:
            assert threshold == pytest.approx(known[point], abs=1e-6)
        assert len(x) < len(fpr) / 2
        assert area(x, y) == pytest.approx(metrics.auc(fpr, tpr), abs=1e-5)


def test_a_precision_recall_curve_is_that_of_scikit_learn_at_its_points():
    metrics = pytest.importorskip("sklearn.metrics")
    scores, positive = random_scores(300)
    scores = scores.round(2)
    ranking = rank(scores, positive)
    recall, precision, thresholds = precision_recall_points(ranking)
    theirs = metrics.precision_recall_curve(positive, scores, drop_intermediate=True)
    assert recall == pytest.approx(theirs[1][:-1][::-1], abs=1e-6)
    assert precision == pytest.approx(theirs[0][:-1][::-1], abs=1e-6)
    assert thresholds == pytest.approx(theirs[2][::-1], abs=1e-6)
    assert ranking.average_precision == pytest.approx(metrics.average_precision_score(positive, scores), abs=1e-12)


def test_calibration_is_that_of_scikit_learn_weights_aside():
    calibration = pytest.importorskip("sklearn.calibration")
    scores, positive = random_scores(500)
    scores = scores.round(2)
    predicted, observed, counts = calibration_points(scores, positive)
    theirs = calibration.calibration_curve(positive, scores, n_bins=10)
    assert observed == pytest.approx(theirs[0], abs=1e-6)
    assert predicted == pytest.approx(theirs[1], abs=1e-6)
    assert sum(counts) == 500
    doubled = calibration_points(np.repeat(scores, 2), np.repeat(positive, 2))
    assert calibration_points(scores, positive, np.full(500, 2.0)) == doubled


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(2, 300), elements=st.floats(-1, 1, width=16)), st.integers(4, 60))
def test_no_point_that_is_left_out_is_farther_from_a_kept_one_than_a_piece_is_long(steps, most):
    x, y = np.linspace(0, 1, len(steps)), np.cumsum(steps)
    kept = np.arange(len(x))[_thin(x, y, most)]
    assert len(kept) <= max(most, 2)
    assert {0, len(x) - 1} <= set(kept.tolist())
    if len(x) > most:
        length = np.abs(np.diff(x)).sum() + np.abs(np.diff(y)).sum()
        longest_step = np.max(np.abs(np.diff(x)) + np.abs(np.diff(y)))
        distances = np.abs(x[:, None] - x[kept]) + np.abs(y[:, None] - y[kept])
        assert distances.min(axis=1).max() <= length / (most // 2 - 1) + longest_step + 1e-12


def test_points_that_fall_together_do_not_hide_a_corner():
    x = np.array([0, 0, 0, 1, 1, 1, 2.0])
    y = np.array([0, 1, 1, 1, 1, 2, 2.0])
    assert [(x[index], y[index]) for index in _corners(x, y)] == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]


def test_of_many_classes_the_rarest_are_counted_together_and_no_row_is_lost():
    rng = np.random.default_rng(0)
    actual = np.minimum(rng.geometric(0.01, 20_000), 300) - 1
    predicted = np.minimum(rng.geometric(0.01, 20_000), 300) - 1
    figure = confusion_matrix_figure([f"class {index}" for index in range(300)], actual, predicted)
    assert len(figure.data.classes) == MOST_CLASSES
    assert figure.data.classes[-1] == OTHERS
    assert np.sum(figure.data.counts) == 20_000
    assert figure.data.counts[0][1] == np.sum((actual == 0) & (predicted == 1))


def test_residuals_of_many_rows_keep_the_extremes_and_count_all():
    targets, predicted = SCORES.copy(), np.zeros(len(SCORES))
    targets[[77, 1_234]] = (50, -50)
    data = residuals_figure(targets, predicted).data
    assert len(data.residual) == len(data.predicted) == 1_000
    assert {50, -50} <= set(data.residual)
    assert sum(data.counts) == data.rows == 20_000
    assert residuals_figure(np.ones(3), np.zeros(3)).data.counts.count(3) == 1


def test_a_figures_size_on_disk_is_bounded_whatever_it_is_of():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(20), 20_000)
    found = evaluate_classifier(rng.integers(0, 20, 20_000), probabilities.argmax(axis=1), np.arange(20), probabilities)
    sizes = {figure.kind: len(encode_figure(figure)) for figure in found.figures}
    assert set(sizes) == {"confusion_matrix", "roc", "precision_recall", "calibration"}
    assert max(sizes.values()) < 150_000
    scores, positive = random_scores(20_000)
    two = evaluate_classifier(positive, scores > 0.5, [False, True], scores)
    assert max(len(encode_figure(figure)) for figure in two.figures) < 32_000
    assert len(encode_figure(feature_importance_figure(range(100_000), rng.random(100_000), "gain"))) < 50_000


# -- kinds -------------------------------------------------------------------------------------------------------------

SCORES_OF_FOLDS = [[0.5, math.nan], [0.75, 1.0]]
EXAMPLES = [
    confusion_matrix_figure(["a", "b"], np.array([0, 1, 1]), np.array([0, 1, 0])),
    *evaluate_classifier([0, 1, 1], [0, 1, 1], [0, 1], [0.2, 0.7, 0.9]).figures[1:],
    residuals_figure(np.array([1.0, 2.0]), np.array([1.5, 1.5])),
    feature_importance_figure(["a", "b", "c"], [0.1, -0.5, math.nan], "gain", [1, 2, 3]),
    permutation_importance_figure(["a", "b"], [[1, 3], [5, 7]], "accuracy"),
    learning_curve_figure([10, 20], SCORES_OF_FOLDS, SCORES_OF_FOLDS, "r2"),
    validation_curve_figure("C", [np.float64(0.1), None, "x", object()][:2], SCORES_OF_FOLDS, SCORES_OF_FOLDS),
    cross_validation_figure({"test_score": np.array([1, 2])}),
    search_figure({"C": [1, 2], "kernel": ["rbf", len]}, [0.25, math.nan], [0, 1]),
]


def test_there_is_an_example_of_every_kind():
    assert {figure.kind for figure in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("figure", EXAMPLES, ids=lambda figure: figure.kind)
def test_a_figure_is_strict_json_and_comes_back_as_it_was(figure):
    content = encode_figure(figure)
    document = json.loads(content, parse_constant=pytest.fail)
    assert (document["kind"], document["version"]) == (figure.kind, 1)
    again = decode_figure(content)
    assert json.loads(encode_figure(again)) == document
    assert type(again.data) is KINDS[figure.kind]


def test_features_stand_in_the_order_of_their_importance_whatever_its_sign():
    data = feature_importance_figure(["a", "b", "c"], [0.1, -0.5, math.nan], "gain", [1, 2, 3]).data
    assert data.features == ["b", "a", "c"]
    assert data.values[:2] == [-0.5, 0.1]
    assert data.deviations == [2, 1, 3]
    means = permutation_importance_figure(["a", "b"], [[1, 3], [5, 7]]).data
    assert (means.features, means.means, means.deviations) == (["b", "a"], [6, 2], [1, 1])


def test_of_a_large_search_the_best_candidates_are_kept_in_the_order_of_trying():
    scores = np.sin(np.arange(5_000))
    data = search_figure({"C": list(range(5_000))}, scores, scores * 0).data
    assert len(data.means) == 1_000
    assert data.candidates == data.params["C"] == sorted(data.candidates)
    assert min(data.means) >= np.sort(scores)[-1_000]
    assert data.candidates_in_all == 5_000


def test_a_value_of_the_users_own_class_is_named_by_its_class_and_not_asked():
    class Kernel:
        def __repr__(self):
            raise AssertionError

    data = validation_curve_figure("kernel", [Kernel(), np.int64(3), True, None], np.ones((4, 2)), np.ones((4, 2))).data
    assert data.values == ["Kernel", 3, "True", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not that of a figure"),
        (b"[1, 2", "not that of a figure"),
        (b'{"kind": "roc"}', "not that of a figure"),
        (b'{"kind": "roc", "name": "x", "data": {"curves": [1]}, "version": 1}', "not that of a figure"),
        (b'{"kind": "hologram", "name": "x", "data": {}, "version": 1}', "does not know"),
        (b'{"kind": "roc", "name": "x", "data": {"curves": []}, "version": 2}', "does not know"),
    ],
)
def test_a_file_that_is_no_figure_or_a_newer_one_is_refused_with_the_reason(content, message):
    with pytest.raises(StoreCorrupted, match=message):
        decode_figure(content)


def test_a_kind_may_gain_fields_without_a_new_version():
    document = json.loads(encode_figure(EXAMPLES[0]))
    document["data"]["later"] = 1
    assert decode_figure(json.dumps(document).encode()).data == EXAMPLES[0].data


# -- storing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["training roc", "a/b", "../../etc", "é:*?", "", "x" * 20])
def test_a_figures_name_never_leaves_its_folder(name):
    path = figure_path(name)
    assert path.startswith("figures/")
    assert path.count("/") == 1


def test_figures_are_artifacts_that_anything_can_read(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOLOG_SPOOL", str(tmp_path / "spool"))
    autolog.set_tracking_uri(f"file:{tmp_path / 'runs'}")
    with autolog.start_run() as run:
        log_figures(run, EXAMPLES)
    assert autolog.flush(30)
    assert len(list_artifacts(run_id=run.run_id, artifact_path="figures")) == len(EXAMPLES)
    loaded = load_dict(f"runs:/{run.run_id}/figures/training_roc_curve.json")
    assert loaded["data"]["curves"][0]["auc"] == 1
    # They travel in the journal: no file is staged for them.
    assert not list((tmp_path / "spool").rglob("stage"))


def test_figures_of_a_process_that_is_killed_at_once_reach_the_store(tmp_path):
    script = """
        import os, signal
        import numpy as np
        import autolog
        from autolog.figures import feature_importance_figure, log_figures
        run = autolog.start_run(run_id=None)
        figures = [feature_importance_figure(range(count), np.ones(count), f"of {count}") for count in (3, 900, 1000)]
        log_figures(run, figures)
        run.log_content("large.bin", b"x" * 100_000)
        print(run.run_id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    url = f"file:{tmp_path / 'runs'}"
    environment = {**os.environ, "AUTOLOG_SPOOL": str(tmp_path / "spool"), "AUTOLOG_BACKEND": url}
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**environment, "AUTOLOG_FLUSH_INTERVAL": "3600"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    synced = subprocess.run(
        [sys.executable, "-m", "autolog", "sync"], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert synced.returncode == 0, synced.stderr
    autolog.set_tracking_uri(url)
    store = ArtifactStore(autolog.get_run(killed.stdout.strip()).info.artifact_uri)
    assert [info.path for info in store.list("figures")] == [
        f"figures/feature_importance_of {count}.json" for count in (1000, 3, 900)
    ]
    with store.open("figures/feature_importance_of 3.json") as file:
        assert decode_figure(file.read()).data.features == ["0", "1", "2"]
    with store.open("large.bin") as file:
        assert len(file.read()) == 100_000


def test_recording_a_fit_imports_nothing_that_draws(tmp_path):
    pytest.importorskip("sklearn")
    script = """
        import sys
        import numpy as np
        import autolog
        from sklearn.linear_model import LogisticRegression
        from autolog.evaluation import evaluate_classifier, evaluate_regressor
        from autolog.figures import log_figures
        autolog.enable()
        X = np.arange(40.0).reshape(20, 2)
        y = np.arange(20) % 2
        with autolog.start_run() as run:
            model = LogisticRegression().fit(X, y)
            found = evaluate_classifier(y, model.predict(X), model.classes_, model.predict_proba(X))
            log_figures(run, [*found.figures, *evaluate_regressor(y, y * 0.5).figures])
        assert len(found.figures) == 4, found
        assert autolog.flush(60)
        drawing = [name for name in sys.modules if name.partition(".")[0] in {"matplotlib", "PIL"}]
        assert not drawing, drawing
        assert not any(name.startswith("autolog.plots") for name in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "AUTOLOG_SPOOL": str(tmp_path / "spool"), "AUTOLOG_BACKEND": f"file:{tmp_path / 'runs'}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(Path(tmp_path / "runs").rglob("training_roc_curve.json"))


def test_the_kinds_are_described_by_a_json_schema_that_any_reader_can_use():
    schemas, _ = msgspec.json.schema_components(KINDS.values())
    assert len(schemas) == len(KINDS)
