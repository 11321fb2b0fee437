"""The run itself: every job in a process of its own, the contenders in turns, and what came of it."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyperf
from contenders import TOOLS
from databases import ServerMissing, describe_server
from environments import PeerMissing, find_python
from machine import describe_machine, describe_versions
from places import Places
from plan import Job
from processes import SubjectFailed, run_subject
from scales import Scale
from summary import summarize, summarize_benchmark


class Measured:
    """What the subjects have reported so far, by group, contender and measure."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._benchmarks: dict[tuple[str, str, str], pyperf.Benchmark] = {}
        self._facts: dict[str, dict[str, Any]] = defaultdict(dict)

    def add(self, job: Job, result: dict[str, Any]) -> None:
        """Add what one process has reported to what the same job has reported before."""
        place = job.group, job.contender.name
        for name, figures in {**result["samples"], "exit": [result["exit"]]}.items():
            self._samples[(*place, name)] += figures
        for name, text in result["benchmarks"].items():
            benchmark = pyperf.Benchmark.loads(text)
            if (*place, name) in self._benchmarks:
                self._benchmarks[(*place, name)].add_runs(benchmark)
            else:
                self._benchmarks[(*place, name)] = benchmark
        if result["facts"]:
            self._facts[f"{job.group} {job.contender.name}"].update(result["facts"])

    def groups(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Return the summaries."""
        groups: dict[str, Any] = {}
        summaries = {place: summarize(figures) for place, figures in self._samples.items()}
        summaries |= {place: summarize_benchmark(benchmark) for place, benchmark in self._benchmarks.items()}
        for (group, contender, name), summary in summaries.items():
            groups.setdefault(group, {}).setdefault(contender, {})[name] = summary
        return groups

    def facts(self) -> dict[str, dict[str, Any]]:
        return dict(self._facts)


def measure(jobs: list[Job], scale: Scale) -> dict[str, Any]:
    """Run the jobs in turns, and return the results."""
    started = time.time()
    machine = describe_machine()
    problems: list[str] = []
    pythons: dict[str, Path] = {}
    for name in dict.fromkeys(job.tool for job in jobs):
        try:
            pythons[name] = find_python(TOOLS[name])
        except PeerMissing as error:
            problems.append(str(error))
    servers = {}
    for store in dict.fromkeys(job.contender.store for job in jobs if job.needs_server):
        try:
            servers[store] = describe_server(store or "")
        except ServerMissing as error:
            problems.append(str(error))
    jobs = [job for job in jobs if job.tool in pythons and (not job.needs_server or job.contender.store in servers)]
    measured, spent = Measured(), defaultdict[str, float](float)
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="autolog-benchmark-", ignore_cleanup_errors=True) as name:
        # A first start of each tool compiles its modules: what is measured are the starts after it.
        warm = [job for job in jobs if job.group == "start"]
        turns = [*((job, False) for job in warm), *((job, True) for job in take_turns(jobs))]
        with Places(Path(name), [job for job, _ in turns]) as places:
            for number, (job, counts) in enumerate(turns, start=1):
                _show(f"[{number}/{len(turns)}] {job.group}: {job.subject}, {job.contender.title}")
                moment, longest = time.monotonic(), min(scale.longest, TOOLS[job.tool].longest)
                try:
                    with places.prepare(job) as arguments:
                        result = run_subject(job.subject, TOOLS[job.tool], pythons[job.tool], arguments, longest)
                except (SubjectFailed, ServerMissing) as error:
                    problems.append(f"{job.group}, {job.contender.title}: {error}")
                else:
                    if counts:
                        measured.add(job, result)
                spent[f"{job.group} {job.contender.name}"] += time.monotonic() - moment
    return {
        "scale": scale.name,
        "sizes": {"points": scale.points, "contended": scale.contended},
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)),
        "seconds": round(time.time() - began, 1),
        "machine": machine,
        "servers": servers,
        "versions": describe_versions(pythons),
        "seconds_by_job": {name: round(seconds, 1) for name, seconds in spent.items()},
        "problems": list(dict.fromkeys(problems)),
        "facts": measured.facts(),
        "groups": measured.groups(),
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
    else:
        print(text, file=sys.stderr, flush=True)
