"""XGBoost: a training that stops early, one that goes on from it, and a cross-validation, each recorded as a run."""

import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import autolog

autolog.enable(experiment="tumours with XGBoost")

X, X_val, y, y_val = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
tumours, held_out = xgboost.DMatrix(X, y), xgboost.DMatrix(X_val, y_val)
params = {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "max_depth": 3, "nthread": 1}

booster = xgboost.train(
    params,
    tumours,
    num_boost_round=200,
    evals=[(tumours, "train"), (held_out, "validation")],
    early_stopping_rounds=5,
    verbose_eval=False,
)
xgboost.train(
    params | {"eta": 0.05},
    tumours,
    num_boost_round=20,
    evals=[(held_out, "validation")],
    xgb_model=booster,
    verbose_eval=False,
)
xgboost.cv(params, tumours, num_boost_round=20, nfold=3)
