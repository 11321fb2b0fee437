"""A classifier that learns from a stream of batches."""

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

X, y = load_digits(return_X_y=True)
model = SGDClassifier(random_state=0)
for start in range(0, 1_500, 150):
    model.partial_fit(X[start : start + 150], y[start : start + 150], classes=range(10))
