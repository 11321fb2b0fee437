"""A classifier that learns from batches, as they come: one run, with a step for each call of `partial_fit`."""

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

import autolog

autolog.enable()

X, y = load_digits(return_X_y=True)
model = SGDClassifier(random_state=0)
for start in range(0, 1_500, 150):
    model.partial_fit(X[start : start + 150], y[start : start + 150], classes=range(10))

run = autolog.last_active_run()
scores = {point.step: point.value for point in autolog.get_metric_history(run.info.run_id, "training_score")}
for point in autolog.get_metric_history(run.info.run_id, "rows_seen"):
    # Scoring a batch takes a small share of the stream's time: not every one is scored.
    score = f"{scores[point.step]:.3f} of the batch right" if point.step in scores else ""
    print(f"batch {point.step}: {point.value:.0f} rows so far {score}".rstrip())
