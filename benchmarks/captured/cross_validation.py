"""A cross-validation with two scores."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate

X, y = load_diabetes(return_X_y=True)
cross_validate(Ridge(alpha=0.1), X, y, cv=5, scoring=["r2", "neg_mean_absolute_error"])
