"""Three trainings, then a question to the store: which was best, and with which params?"""

from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

import autolog

autolog.enable(experiment="digits")

X, y = load_digits(return_X_y=True)
for depth in (2, 5, 10):
    DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X, y)

runs = autolog.search_runs(
    filter_string="metrics.training_accuracy_score > 0.5 AND params.max_depth IN ('5', '10')",
    order_by=["metrics.training_accuracy_score DESC"],
)
print(runs[["params.max_depth", "metrics.training_accuracy_score"]].to_string(index=False))
