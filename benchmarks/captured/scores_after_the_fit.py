"""A model that is judged on data kept back: by its own score, and by functions of scikit-learn."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = LogisticRegression(max_iter=5_000).fit(X_train, y_train)
model.score(X_test, y_test)
predicted = model.predict(X_test)
accuracy_score(y_test, predicted)
proba = model.predict_proba(X_test)
log_loss(y_test, proba)
roc_auc_score(y_test, proba[:, 1])
