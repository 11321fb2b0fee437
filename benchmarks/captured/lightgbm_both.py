"""LightGBM's own interface with early stopping, and its regressor with a set to watch."""

import lightgbm as lgb
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

X_train, X_valid, y_train, y_valid = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
train = lgb.Dataset(X_train, y_train)
lgb.train(
    {"objective": "regression", "num_leaves": 7, "metric": ["l2", "l1"], "verbosity": -1},
    train,
    num_boost_round=100,
    valid_sets=[lgb.Dataset(X_valid, y_valid, reference=train)],
    valid_names=["valid"],
    callbacks=[lgb.early_stopping(5, verbose=False)],
)
lgb.LGBMRegressor(n_estimators=30, num_leaves=7, verbosity=-1).fit(X_train, y_train, eval_set=[(X_valid, y_valid)])
