"""scikit-learn's checks of the estimators of XGBoost and LightGBM."""

from __future__ import annotations

from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from xgboost import XGBClassifier, XGBRegressor

FEW = {"n_estimators": 5, "n_jobs": 1}


@parametrize_with_checks(
    [
        LGBMClassifier(**FEW, verbose=-1),
        LGBMRegressor(**FEW, verbose=-1),
        XGBClassifier(**FEW),
        XGBRegressor(**FEW),
    ]
)
def test_what_scikit_learn_asks_of_an_estimator(estimator, check):
    check(estimator)
