"""Several processes that write to one store at once, with the same number of points in all."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from subject import read_arguments, report
from tools import load_tool

arguments = read_arguments()


def worker() -> None:
    """Log one share as soon as every other worker is ready, and say when that began and when it was stored."""
    tool, points = load_tool(arguments["tool"]), arguments["points"]
    tool.begin(arguments)
    log = tool.log_metric
    log("warm", 0.0, 0)
    tool.flush()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.monotonic_ns()
    for step in range(points):
        log("loss", 0.5, step)
    tool.flush()
    stored = time.monotonic_ns()
    tool.finish()
    print(json.dumps([started, stored]), flush=True)


def write_at_once(count: int, folder: Path) -> tuple[float, str]:
    """Return the nanoseconds from the first call to the last point stored, and what the processes complained of."""
    folder.mkdir()
    shared = {**arguments, "folder": arguments["folder"], "points": arguments["points"] // count, "worker": True}
    errors = (folder / "errors").open("w+")
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, json.dumps(shared)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            wait_for(process, "ready")
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        spans = [json.loads(wait_for(process, "[")) for process in processes]
        for process in processes:
            process.stdin.close()
            process.wait()
    finally:
        for process in processes:
            process.kill()
    errors.seek(0)
    return max(stored for _, stored in spans) - min(started for started, _ in spans), errors.read().strip()


def wait_for(process: Any, beginning: str) -> str:
    for line in process.stdout:
        if line.startswith(beginning):
            return line
    raise SystemExit(f"a process ended with {process.wait()} before it said {beginning!r}")


def points_in_store() -> int:
    """Return how many points of the measured metric the store holds, in all runs."""
    if arguments["tool"] == "mlflow":
        import mlflow
        from mlflow_store import make_store

        make_store(arguments)
        client = mlflow.MlflowClient()
        experiment = mlflow.get_experiment_by_name("benchmark").experiment_id
        runs = client.search_runs([experiment], max_results=1_000)
        return sum(len(client.get_metric_history(run.info.run_id, "loss")) for run in runs)
    from autolog_store import store_url

    from autolog.backend import RunQuery
    from autolog.backends import open_reader

    reader = open_reader(store_url(arguments))
    summaries = (run.data.summaries for run in reader.search_runs(RunQuery(max_results=1_000)))
    held = sum(found["loss"].count for found in summaries if "loss" in found)
    reader.close()
    return held


def measure() -> None:
    samples: dict[str, list[float]] = {}
    expected, alone = 0, 0.0
    for count in arguments["processes"]:
        seconds, complaints = write_at_once(count, Path(arguments["folder"], f"by-{count}"))
        expected += arguments["points"] // count * count
        if complaints:
            raise SystemExit(f"{count} processes complained: {complaints.splitlines()[-1]}")
        each = seconds / (arguments["points"] // count * count)
        samples[f"by_{count}"] = [each]
        alone = alone or each
        if count > 1:
            samples[f"share_{count}"] = [alone / each]
    held = points_in_store()
    if held != expected:
        raise SystemExit(f"the store holds {held} of {expected} points")
    report(samples)


if arguments.get("worker"):
    worker()
else:
    measure()
