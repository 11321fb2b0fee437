"""LightGBM: an objective and a metric of one's own, a pipeline, and a cross-validation, each recorded as a run."""

import lightgbm
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autolog

autolog.enable(experiment="diabetes with LightGBM")

X, X_val, y, y_val = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
params = {"num_leaves": 7, "learning_rate": 0.1, "num_threads": 1, "verbose": -1}


def absolute_error(predictions, data):
    difference = predictions - data.get_label()
    return np.tanh(difference), 1 - np.tanh(difference) ** 2 + 0.01


def within_fifty(predictions, data):
    return "within_50", float(np.mean(np.abs(predictions - data.get_label()) < 50)), True


patients = lightgbm.Dataset(X, y)
lightgbm.train(
    params | {"objective": absolute_error, "metric": "l1"},
    patients,
    num_boost_round=200,
    valid_sets=[patients.create_valid(X_val, y_val)],
    valid_names=["validation"],
    feval=within_fifty,
    callbacks=[lightgbm.early_stopping(10, verbose=False)],
)

model = make_pipeline(
    StandardScaler().set_output(transform="pandas"), lightgbm.LGBMRegressor(n_estimators=30, **params)
)
model.fit(X, y)

lightgbm.cv(params | {"objective": "regression"}, lightgbm.Dataset(X, y), num_boost_round=20, nfold=3, stratified=False)
