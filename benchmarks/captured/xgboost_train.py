"""XGBoost's own interface, with a set to watch and early stopping."""

import xgboost as xgb
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

X_train, X_valid, y_train, y_valid = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
train, valid = xgb.DMatrix(X_train, y_train), xgb.DMatrix(X_valid, y_valid)
xgb.train(
    {"objective": "binary:logistic", "max_depth": 3, "eta": 0.3, "eval_metric": ["logloss", "auc"]},
    train,
    num_boost_round=100,
    evals=[(train, "train"), (valid, "valid")],
    early_stopping_rounds=5,
    verbose_eval=False,
)
