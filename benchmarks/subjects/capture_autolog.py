"""What autolog keeps of some scripts that know nothing of it, and how much longer they take."""

from __future__ import annotations

from typing import Any, Final

from autolog_store import make_store
from captured import time_script
from subject import read_arguments, report

import autolog
from autolog import tracking

arguments = read_arguments()
url = make_store(arguments)
# It says how this repository is being changed, and nothing of the script.
CHANGES: Final = "environment/uncommitted.diff"


def describe(run: Any) -> dict[str, Any]:
    paths = [artifact.path for artifact in tracking.current().reader().artifacts(run.info.run_id)]
    return {
        "name": run.info.run_name,
        "child": "mlflow.parentRunId" in run.data.tags,
        "params": dict(run.data.params),
        "metrics": run.data.metrics,
        "points": sum(summary.count for summary in run.data.summaries.values()),
        "tags": dict(run.data.tags),
        "artifacts": [path for path in paths if path != CHANGES],
        "datasets": [each.dataset.name for each in run.inputs.dataset_inputs],
        "models": 0,
    }


facts: dict[str, Any] = {}
for script in arguments["scripts"]:
    # The first time imports the frameworks; the second is what the third is held against.
    without = [time_script(script) for _ in range(arguments["times"])]
    # The machine's use, every ten seconds, is no part of a training of one.
    autolog.enable(url, experiment=script, system_metrics=False, strict=True)
    seconds = time_script(script, autolog.flush)
    autolog.disable()
    # A script of which nothing is recorded leaves no experiment either.
    recorded = autolog.get_experiment_by_name(script) is not None
    found = autolog.search_runs(
        experiment_names=[script] if recorded else [], order_by=["attributes.start_time"], output_format="list"
    )
    facts[script] = {
        "runs": [describe(run) for run in found] if recorded else [],
        "added": seconds - without[-1] if without else None,
    }
report({}, facts)
