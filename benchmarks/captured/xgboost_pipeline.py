"""XGBoost's classifier inside scikit-learn's pipeline."""

from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

X, y = load_breast_cancer(return_X_y=True)
make_pipeline(StandardScaler(), XGBClassifier(n_estimators=30, max_depth=3)).fit(X, y)
