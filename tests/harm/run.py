"""Run scikit-learn's own tests without autolog and with it, and compare the outcome of every single test."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What `make test` can afford: under two minutes for both runs.
PART = (
    "sklearn.tests.test_pipeline",
    "sklearn.linear_model.tests.test_base",
    "sklearn.ensemble.tests.test_forest::test_classification_toy",
    "sklearn.ensemble.tests.test_forest::test_regression_criterion",
    "sklearn.ensemble.tests.test_forest::test_warm_start",
    "sklearn.model_selection.tests.test_search",
    "sklearn.tests.test_base",
    "sklearn.tests.test_metadata_routing",
)
WHOLE = (
    "sklearn.tests.test_pipeline",
    "sklearn.tests.test_base",
    "sklearn.tests.test_metadata_routing",
    "sklearn.model_selection",
    "sklearn.linear_model",
    "sklearn.ensemble.tests.test_forest",
)


def run(modules: tuple[str, ...], folder: Path, *, enabled: bool) -> tuple[dict[str, str], float]:
    """Run the tests of some modules; return the outcome of each test, and the seconds that it all took."""
    report = folder / f"outcomes-{enabled}.json"
    environment = os.environ | {
        "AUTOLOG_HARM_REPORT": str(report),
        "AUTOLOG_HARM_ENABLED": str(int(enabled)),
        "AUTOLOG_SPOOL": str(folder / "spool"),
        "AUTOLOG_BACKEND": f"file:{folder / 'runs'}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
    }
    options = ["-q", "-p", "outcomes", "-p", "no:cacheprovider", "--no-header", "--tb=short", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(folder), "--pyargs", *modules]
    started = time.perf_counter()
    with (folder / f"output-{enabled}.txt").open("w") as output:
        subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    return json.loads(report.read_text()), time.perf_counter() - started


def main() -> int:
    """Compare, print what differs, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the whole of the packages instead of a part")
    modules = WHOLE if parser.parse_args().all else PART
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        without, plain = run(modules, folder, enabled=False)
        recorded, hooked = run(modules, folder, enabled=True)
        hooked_calls = recorded.pop("autolog: trainings recorded", "0")
        without.pop("autolog: trainings recorded", None)
        differing = sorted(test for test in without.keys() | recorded.keys() if without.get(test) != recorded.get(test))
        for test in differing:
            print(f"differs: {test}: {without.get(test)} without autolog, {recorded.get(test)} with it")
        if differing or not without:
            print((folder / "output-True.txt").read_text()[-20_000:])
    print(
        f"{len(without)} tests of scikit-learn: {len(differing)} differ; {hooked_calls} trainings recorded; "
        f"{plain:.0f} s without autolog, {hooked:.0f} s with it (ratio {hooked / plain:.2f})"
    )
    return int(bool(differing) or len(without) < 100 or int(hooked_calls) < 100)


if __name__ == "__main__":
    sys.exit(main())
