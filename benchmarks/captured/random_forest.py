"""A random forest that regresses, on a data frame."""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True)
RandomForestRegressor(n_estimators=50, random_state=0).fit(X, y)
