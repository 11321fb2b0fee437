"""The LightGBM integration keeps every promise of the suite."""

import pytest

from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("lightgbm")

PARAMS = "{'num_leaves': 4, 'num_threads': 1, 'objective': 'binary', 'verbose': -1, 'min_data_in_leaf': 2}"
DATA = "lightgbm.Dataset(numpy.arange(60.0).reshape(30, 2), numpy.arange(30) % 2)"


class TestLightGBM(IntegrationSuite):
    integration = "lightgbm"
    imports = "import numpy, lightgbm\nfrom lightgbm import train as boost"
    training = f"[boost({PARAMS}, data, 3, valid_sets=[data], keep_training_booster=True) for data in [{DATA}]]"
    failing = f"boost({PARAMS} | {{'objective': 'no such objective'}}, {DATA}, 3)"
    patched = ("lightgbm.train", "lightgbm.engine.train", "lightgbm.sklearn.train", "lightgbm.cv")
