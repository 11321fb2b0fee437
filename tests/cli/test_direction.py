"""Which way a metric is better, by its name."""

import pytest

from autolog.cli.direction import Direction, guess_direction


@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "training_accuracy_score",
        "val_acc",
        "LogisticRegression_score_x_test",
        "training_roc_auc",
        "eval-auc",
        "training_r2_score",
        "f1",
        "mean_test_score",
        "neg_mean_squared_error",
        "neg_log_loss",
        "validation_0-map",
    ],
)
def test_scores_are_better_when_higher(name):
    assert guess_direction(name) is Direction.UP


@pytest.mark.parametrize(
    "name",
    [
        "loss",
        "val_loss",
        "training_log_loss",
        "validation_0-mlogloss",
        "training_mean_squared_error",
        "training_root_mean_squared_error",
        "eval-rmse",
        "train/mae",
        "brier_score",
        "davies_bouldin_score",
        "rank_test_score",
        "mean_fit_time",
    ],
)
def test_losses_errors_ranks_and_times_are_better_when_lower(name):
    assert guess_direction(name) is Direction.DOWN


@pytest.mark.parametrize("name", ["n_features", "learning_rate", "epoch", "system/gpu_0_memory", ""])
def test_a_name_that_tells_nothing_gives_no_direction(name):
    assert guess_direction(name) is None
