"""The same script with autolog: the import, ``enable()``, and the imports of scikit-learn under its eyes."""

import sys
import time

started = time.perf_counter_ns()
import autolog  # noqa: E402

imported = time.perf_counter_ns()
after_import = set(sys.modules)
before_enable = time.perf_counter_ns()
autolog.enable()
enabled = time.perf_counter_ns()
after_enable = set(sys.modules)
before_framework = time.perf_counter_ns()
import sklearn.linear_model  # noqa: E402, F401
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402, F401

ended = time.perf_counter_ns()

from subject import report  # noqa: E402

HEAVY = {
    *("alembic", "keras", "lark", "lightgbm", "matplotlib", "mlflow", "numpy", "pandas", "psutil", "rich", "scipy"),
    *("sklearn", "sqlalchemy", "tensorflow", "torch", "typer", "wrapt", "xgboost"),
}
report(
    {
        "import": [imported - started],
        "enable": [enabled - before_enable],
        "script": [(imported - started) + (enabled - before_enable) + (ended - before_framework)],
    },
    {
        "modules": len(after_import),
        "heavy_after_import": sorted(HEAVY & after_import),
        "heavy_after_enable": sorted(HEAVY & after_enable),
    },
)
