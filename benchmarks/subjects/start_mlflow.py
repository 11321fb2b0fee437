"""The same script with MLflow: the import, ``mlflow.autolog()``, and the imports of scikit-learn under its eyes."""

import sys
import time

started = time.perf_counter_ns()
import mlflow  # noqa: E402

imported = time.perf_counter_ns()
after_import = set(sys.modules)
before_enable = time.perf_counter_ns()
mlflow.autolog(silent=True)
enabled = time.perf_counter_ns()
before_framework = time.perf_counter_ns()
import sklearn.linear_model  # noqa: E402, F401
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402, F401

ended = time.perf_counter_ns()

from subject import report  # noqa: E402

report(
    {
        "import": [imported - started],
        "enable": [enabled - before_enable],
        "script": [(imported - started) + (enabled - before_enable) + (ended - before_framework)],
    },
    {"modules": len(after_import)},
)
