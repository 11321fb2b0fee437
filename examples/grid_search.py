"""A grid search is a run, and each of its candidates is a child of it, with its scores and times."""

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

import autolog

autolog.enable(experiment="iris")

X, y = load_iris(return_X_y=True)
GridSearchCV(SVC(), {"C": [0.1, 1, 10], "kernel": ["linear", "rbf"]}, cv=3).fit(X, y)

search = autolog.last_active_run()
candidates = autolog.search_runs(
    filter_string=f"tags.`mlflow.parentRunId` = '{search.info.run_id}'",
    order_by=["metrics.mean_test_score DESC", "metrics.mean_fit_time"],
)
print(candidates[["params.C", "params.kernel", "metrics.mean_test_score"]].head(3).to_string(index=False))
