"""A pipeline that scales and classifies."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True)
make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X, y)
