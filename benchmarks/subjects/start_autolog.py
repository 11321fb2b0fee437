"""The import of autolog and ``enable()``, before any framework is imported."""

import sys
import time

started = time.perf_counter_ns()
import autolog  # noqa: E402  its import is what is measured

imported = time.perf_counter_ns()
after_import = set(sys.modules)
before_enable = time.perf_counter_ns()
autolog.enable()
enabled = time.perf_counter_ns()
after_enable = set(sys.modules)

from subject import report  # noqa: E402

HEAVY = {
    *("alembic", "keras", "lark", "lightgbm", "matplotlib", "mlflow", "numpy", "pandas", "psutil", "rich", "scipy"),
    *("sklearn", "sqlalchemy", "tensorflow", "torch", "typer", "wrapt", "xgboost"),
}
report(
    {"import": [imported - started], "enable": [enabled - before_enable]},
    {
        "modules": len(after_import),
        "heavy_after_import": sorted(HEAVY & after_import),
        "heavy_after_enable": sorted(HEAVY & after_enable),
    },
)
