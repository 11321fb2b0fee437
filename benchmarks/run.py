"""Measure autolog against no logging and against MLflow, in one run, and write the results down.

Every measured thing runs in a process of its own, and the contenders take turns, so that a slow moment
of the machine hits all of them. What cannot be measured is named in the results, never left out in silence.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chart import draw_overview
from machine import describe_machine, describe_versions
from peer import PeerMissing, find_python
from plan import SCALES, Job, Scale, make_plan
from processes import SubjectFailed, run_subject
from report import write_report
from summary import summarize

# contender -> measure -> samples, of one group
Samples = defaultdict[str, defaultdict[str, list[float]]]


def main() -> int:
    """Run what was asked for, and return the exit code: 1 where something could not be measured."""
    chosen = _parse_arguments()
    scale = SCALES["smoke" if chosen.smoke else "quick" if chosen.quick else "full"]
    jobs = [job for job in make_plan(scale) if job.times and (not chosen.only or job.group in chosen.only)]
    results = measure(jobs, scale)
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not chosen.only:
        draw_overview(results, chosen.output / "overview.png")
    write_report(results, chosen.output / "README.md")
    for problem in results["problems"]:
        print(f"not measured: {problem}", file=sys.stderr)
    print(f"The results are in {chosen.output}, after {results['seconds']:.0f} s.")
    return int(bool(results["problems"]))


def measure(jobs: list[Job], scale: Scale) -> dict[str, Any]:
    """Run the jobs in turns, and return the results."""
    started = time.time()
    problems: list[str] = []
    python: Path | None = None
    if any(job.tool == "mlflow" for job in jobs):
        try:
            python = find_python()
        except PeerMissing as error:
            problems.append(str(error))
            jobs = [job for job in jobs if job.tool != "mlflow"]
    samples: defaultdict[str, Samples] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    facts: dict[str, Any] = {}
    spent: defaultdict[str, float] = defaultdict(float)
    machine, versions = describe_machine(), describe_versions(python)
    with tempfile.TemporaryDirectory(prefix="autolog-benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # A first start of each tool compiles its modules: what is measured are the starts after it.
        warm = [job for job in jobs if job.subject.startswith("start_")]
        for number, (job, counts) in enumerate(
            [*((job, False) for job in warm), *((job, True) for job in take_turns(jobs))]
        ):
            place = folder / (job.shared or str(number))
            _show(f"{job.subject} {job.store or ''}")
            arguments = {"store": job.store or "", **job.arguments, "folder": str(place)}
            began = time.monotonic()
            try:
                result = run_subject(job.subject, python if job.tool == "mlflow" else None, arguments)
            except SubjectFailed as error:
                problems.append(f"{job.group}, {job.contender}: {error}")
                continue
            finally:
                spent[f"{job.subject} {arguments['store']}".strip()] += time.monotonic() - began
                if not job.shared:
                    shutil.rmtree(place, ignore_errors=True)
            if counts:
                facts.setdefault(job.subject, {}).update(result["facts"])
                for measured, figures in result["samples"].items():
                    samples[job.group][job.contender][measured] += figures
    _show("")
    return {
        "scale": scale.name,
        "sizes": scale.sizes(),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "machine": machine,
        "versions": versions,
        "seconds_by_subject": {subject: round(seconds, 1) for subject, seconds in spent.items()},
        "problems": list(dict.fromkeys(problems)),
        "facts": {subject: found for subject, found in facts.items() if found},
        "groups": {
            group: {
                contender: {measured: summarize(figures) for measured, figures in by_measure.items()}
                for contender, by_measure in by_contender.items()
            }
            for group, by_contender in samples.items()
        },
    }


def take_turns(jobs: list[Job]) -> Iterator[Job]:
    """Yield every job as often as it wants to run, in rounds; what runs rarely is spread over them."""
    rounds = max((job.times for job in jobs), default=0)
    for number, job in itertools.product(range(rounds), jobs):
        if number * job.times // rounds != (number - 1) * job.times // rounds:
            yield job


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="the short form, under three minutes")
    sizes.add_argument("--smoke", action="store_true", help="autolog alone, for the test of the benchmarks")
    parser.add_argument("--only", nargs="+", metavar="GROUP", help="such as start, call or read_1000; draws no plot")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "docs" / "benchmarks")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
