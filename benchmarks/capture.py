"""Run the same scripts under autolog and under ``mlflow.autolog()``, and write down what each has kept of them.

The exit code is 1 where MLflow keeps something under a name that autolog lacks without a reason.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import psutil
from capture_page import write_page
from captures import find_gaps
from contenders import TOOLS
from environments import PeerMissing, find_python, list_packages
from processes import SubjectFailed, run_subject

_REPOSITORY: Final = Path(__file__).parent.parent
_PAGE: Final = _REPOSITORY / "docs" / "integrations" / "capture.md"
SCRIPTS: Final = (
    *("logistic_pipeline", "random_forest", "grid_search", "cross_validation", "stream", "clustering"),
    *("scores_after_the_fit", "xgboost_train", "xgboost_pipeline", "lightgbm_both"),
)
_LONGEST: Final = 300.0


def capture(tool: str, scripts: tuple[str, ...], *, times: int, log_models: bool = True) -> dict[str, Any]:
    """Return what a tool keeps of scripts, each in a process of its own.

    Args:
        tool: autolog or mlflow.
        scripts: their names.
        times: how often each runs unrecorded before, for the time that recording adds; 0 to have none.
        log_models: whether MLflow stores its models.

    Raises:
        PeerMissing: the tool cannot be had.
        SubjectFailed: a script fails.
    """
    python = find_python(TOOLS[tool])
    facts: dict[str, Any] = {}
    for script in scripts:
        print(f"{tool}: {script}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="autolog-capture-", ignore_cleanup_errors=True) as folder:
            arguments = {"folder": folder, "tool": tool, "scripts": [script], "times": times}
            arguments |= {"store": "file" if tool == "autolog" else "sqlite", "log_models": log_models}
            facts |= run_subject(f"capture_{tool}", TOOLS[tool], python, arguments, _LONGEST)["facts"]
    return facts


def main() -> int:
    """Run what was asked for, and return the exit code."""
    chosen = _parse_arguments()
    scripts = tuple(chosen.scripts or SCRIPTS)
    if chosen.render:
        results = json.loads(chosen.render.read_text(encoding="utf-8"))
    else:
        try:
            packages = list_packages(find_python(TOOLS["mlflow"]))
            results = {
                "load": round(psutil.getloadavg()[0], 1),
                "cores": psutil.cpu_count(),
                "versions": {name: packages[name] for name in ("mlflow", "scikit-learn", "xgboost-cpu", "lightgbm")},
                "autolog": capture("autolog", scripts, times=2),
                "mlflow": capture("mlflow", scripts, times=2),
                "mlflow, without models": capture("mlflow", scripts, times=2, log_models=False),
            }
        except (PeerMissing, SubjectFailed) as error:
            print(error, file=sys.stderr)
            return 2
    if chosen.keep:
        chosen.keep.write_text(json.dumps(results, indent=1), encoding="utf-8")
    write_page(results, chosen.output)
    missing = [
        f"{script}: {gap.kind} {gap.name}"
        for script, ours in results["autolog"].items()
        for gap in find_gaps(ours, results["mlflow"][script])
        if gap.reason is None
    ]
    for line in missing:
        print(f"missing: {line}", file=sys.stderr)
    return int(bool(missing))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of {', '.join(SCRIPTS)}; without one, all")
    parser.add_argument("--output", type=Path, default=_PAGE, help="the page to write")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="also write all that was kept, as JSON")
    parser.add_argument("--render", type=Path, metavar="FILE", help="run nothing: make the page of such a file anew")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
