"""The start of a script that trains with scikit-learn, with MLflow."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import time

started = time.perf_counter_ns()
import mlflow  # noqa: E402

mlflow.autolog(silent=True)
import sklearn.linear_model  # noqa: E402
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402, F401

ended = time.perf_counter_ns()

from subject import report  # noqa: E402

report({"script": [ended - started]})
