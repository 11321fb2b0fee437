"""The XGBoost integration keeps every promise of the suite."""

import pytest

from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("xgboost")

PARAMS = "{'max_depth': 2, 'nthread': 1, 'objective': 'binary:logistic'}"
MATRIX = "xgboost.DMatrix(numpy.eye(8), numpy.arange(8) % 2)"


class TestXGBoost(IntegrationSuite):
    integration = "xgboost"
    imports = "import numpy, xgboost\nfrom xgboost import train as boost"
    training = f"[boost({PARAMS}, matrix, 3, evals=[(matrix, 'train')], verbose_eval=False) for matrix in [{MATRIX}]]"
    # What XGBoost itself raises has the time in its message.
    failing = f"boost({PARAMS}, {MATRIX}, 3, evals=[(1, 'one')])"
    patched = ("xgboost.train", "xgboost.training.train", "xgboost.sklearn.train", "xgboost.cv")
