"""What is computed of a model after its training, on data kept back, goes into the training's run."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split

import autolog

autolog.enable()

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = LogisticRegression(max_iter=5_000).fit(X_train, y_train)

model.score(X_test, y_test)
accuracy_score(y_test, model.predict(X_test))
proba = model.predict_proba(X_test)
roc_auc_score(y_test, proba[:, 1])

for name, value in sorted(autolog.last_active_run().data.metrics.items()):
    if "test" in name:
        print(f"{name} {value:.3f}")
