"""The import of a tool, its switching on, and its first run, in a process that has imported nothing else.

The clock is read by hand: pyperf would import a hundred modules before what is measured.
"""

import importlib
import sys
import time

from subject import read_arguments, report

arguments = read_arguments()
before = time.perf_counter_ns()
package = importlib.import_module(arguments["module"])
imported = time.perf_counter_ns()
after_import = set(sys.modules)
samples = {"import": [imported - before]}
switch = {"autolog": "enable", "mlflow": "autolog"}.get(arguments["tool"])
if switch:
    before = time.perf_counter_ns()
    getattr(package, switch)(silent=True)
    samples["enable"] = [time.perf_counter_ns() - before]
after_enable = set(sys.modules)
from tools import load_tool  # noqa: E402

tool = load_tool(arguments["tool"])
before = time.perf_counter_ns()
tool.begin(arguments)
tool.log_metric("loss", 0.5, 0)
samples["first_run"] = [time.perf_counter_ns() - before]
tool.finish()
HEAVY = {
    *("alembic", "keras", "lark", "lightgbm", "matplotlib", "mlflow", "numpy", "pandas", "psutil", "rich", "scipy"),
    *("sklearn", "sqlalchemy", "tensorflow", "torch", "typer", "wrapt", "xgboost"),
}
report(
    samples,
    {
        "modules": len(after_import),
        "heavy_after_import": sorted(HEAVY & after_import),
        "heavy_after_enable": sorted(HEAVY & after_enable),
    },
)
