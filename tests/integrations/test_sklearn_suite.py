"""The scikit-learn integration keeps every promise of the suite."""

import pytest

from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("sklearn")


class TestSklearn(IntegrationSuite):
    integration = "sklearn"
    imports = (
        "from sklearn.cluster import KMeans\n"
        "from sklearn.datasets import load_iris\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import Pipeline, make_pipeline"
    )
    training = "make_pipeline(LogisticRegression(max_iter=300)).fit(*load_iris(return_X_y=True))"
    failing = "LogisticRegression(C=-1).fit(*load_iris(return_X_y=True))"
    patched = ("LogisticRegression.fit", "Pipeline.fit", "KMeans.fit")
    bound = ("LogisticRegression().fit", "KMeans().fit")
