"""A cross-validation is one run, and its folds are the steps of its metrics."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate

import autolog

autolog.enable()

X, y = load_diabetes(return_X_y=True)
cross_validate(Ridge(alpha=0.1), X, y, cv=5, scoring=["r2", "neg_mean_absolute_error"])

run = autolog.last_active_run()
for point in autolog.get_metric_history(run.info.run_id, "test_r2"):
    print(f"fold {point.step}: r2 {point.value:.3f}")
print(f"mean: {run.data.metrics['mean_test_r2']:.3f}")
