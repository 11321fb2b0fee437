"""The import of MLflow and ``mlflow.autolog()``, before any framework is imported."""

# pyright: reportMissingImports=false
# MLflow is installed in an environment of its own.

import sys
import time

started = time.perf_counter_ns()
import mlflow  # noqa: E402  its import is what is measured

imported = time.perf_counter_ns()
after_import = set(sys.modules)
before_enable = time.perf_counter_ns()
mlflow.autolog(silent=True)
enabled = time.perf_counter_ns()

from subject import report  # noqa: E402

report({"import": [imported - started], "enable": [enabled - before_enable]}, {"modules": len(after_import)})
