"""A pytest plugin: it enables autolog if it is told to, and writes down how every test ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

ENABLED = os.environ["AUTOLOG_HARM_ENABLED"] == "1"
outcomes: dict[str, str] = {}

if ENABLED:
    import autolog

    autolog.enable(system_metrics=False)


def pytest_runtest_logreport(report) -> None:
    """Keep the worst outcome of a test's three phases."""
    if report.when == "call" or report.outcome != "passed":
        outcome = f"xfail-{report.outcome}" if hasattr(report, "wasxfail") else report.outcome
        outcomes[report.nodeid] = outcome


def pytest_sessionfinish() -> None:
    """Write the outcomes, and how many trainings were recorded."""
    if ENABLED:
        import autolog

        autolog.flush(120)
        found = autolog.search_runs(search_all_experiments=True, output_format="list", max_results=1_000_000)
        outcomes["autolog: trainings recorded"] = str(len(found))
    Path(os.environ["AUTOLOG_HARM_REPORT"]).write_text(json.dumps(outcomes))
