"""Run tests that nobody here wrote without autolog and with it, and compare what every single one of them does.

Compared are how a test ends, what it warns of, what it prints, and how it leaves the global random generators; so is
the CPU time of all. Both runs of a suite go on at the same time, so that a slow moment of the machine hits both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from suites import PART, WHOLE

_OPTIONS: Final = ("-q", "-p", "outcomes", "-p", "no:cacheprovider", "-p", "no:cov", "--no-header", "--tb=short")
# What recording may cost of the CPU time of tests whose fits take milliseconds.
_RATIO: Final = 1.3


@dataclass
class Side:
    """One run of a suite: how its tests ended, and the CPU seconds of the process and of those it waited for."""

    found: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    output: str = ""
    runs: int = 0


def main() -> int:
    """Compare, print what differs, and return the exit code."""
    chosen = _parse_arguments()
    suites = PART if chosen.part else {name: WHOLE[name] for name in chosen.suites or WHOLE}
    tests = differing = runs = 0
    seconds = Counter[bool]()
    for name, modules in suites.items():
        plain, recorded = compare(modules, chosen.durations)
        differences = list(find_differences(plain.found, recorded.found))
        for line in differences:
            print(f"differs: {line}")
        if chosen.durations or len(plain.found["outcomes"]) == 0:
            print(recorded.output[-20_000:])
        outcomes = plain.found["outcomes"]
        print(
            f"{name}: {len(outcomes)} tests, {_count(outcomes)}, {sum(map(len, plain.found['warnings'].values()))} "
            f"warnings: {len(differences)} differences; {recorded.runs} trainings recorded; "
            f"{_seconds(plain.seconds, recorded.seconds)}",
            flush=True,
        )
        tests, differing, runs = tests + len(outcomes), differing + len(differences), runs + recorded.runs
        seconds += {False: plain.seconds, True: recorded.seconds}
        if not outcomes:
            differing += 1
    print(
        f"In all {tests} tests that nobody here wrote: {differing} differences; {runs} trainings recorded; "
        f"{_seconds(seconds[False], seconds[True])}"
    )
    return int(bool(differing) or runs < 100)


def compare(modules: tuple[str, ...], durations: int) -> tuple[Side, Side]:
    """Run the tests of some modules without autolog and with it, at the same time."""
    with tempfile.TemporaryDirectory(prefix="autolog-harm-", ignore_cleanup_errors=True) as name:
        sides = {enabled: Side() for enabled in (False, True)}
        threads = [
            threading.Thread(target=_run, args=(side, modules, Path(name, f"enabled-{enabled}"), enabled, durations))
            for enabled, side in sides.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sides[False], sides[True]


def find_differences(plain: Mapping[str, Any], recorded: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a test does differently with autolog: its outcome, its warnings, what it prints or draws by lot."""
    if not recorded["stored"]:
        yield "what was recorded could not be stored in time"
    for complaint in recorded["complaints"]:
        yield f"autolog complains: {complaint}"
    for kind in ("outcomes", "warnings", "printed", "random"):
        without, with_it = plain[kind], recorded[kind]
        for test in sorted(without.keys() | with_it.keys()):
            if without.get(test) != with_it.get(test):
                yield f"{test}, {kind}: {_difference(without.get(test), with_it.get(test))}"


def _difference(without: Any, with_it: Any) -> str:
    if isinstance(without or with_it, list):
        without, with_it = set(without or ()), set(with_it or ())
        without, with_it = sorted(without - with_it), sorted(with_it - without)
    return f"\n    without autolog {str(without)[:1000]}\n    with it         {str(with_it)[:1000]}"


def _run(side: Side, modules: tuple[str, ...], folder: Path, enabled: bool, durations: int) -> None:
    folder.mkdir()
    report, output = folder / "outcomes.json", folder / "output.txt"
    here = Path(__file__).parent
    environment = os.environ | {
        "AUTOLOG_HARM_REPORT": str(report),
        "AUTOLOG_HARM_ENABLED": str(int(enabled)),
        "AUTOLOG_SPOOL": str(folder / "spool"),
        "AUTOLOG_BACKEND": f"file:{folder / 'runs'}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Otherwise sets come in another order in each process, and with them some messages.
        "PYTHONHASHSEED": "0",
    }
    # The names of tests are then whole paths, and the fixtures of autolog's own tests stay where they are.
    places = ("-c", os.devnull, "--rootdir", "/", "--confcutdir", str(here / "foreign"))
    options = [*_OPTIONS, *places, f"--durations={durations}"]
    command = [sys.executable, "-m", "pytest", *options, "--pyargs", *modules]
    with output.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
        # Only so are the seconds those of this process and of its own children, whichever other runs beside it.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    side.seconds = used.ru_utime + used.ru_stime
    side.output = output.read_text(encoding="utf-8", errors="replace")
    side.runs = sum(1 for _ in (folder / "runs").glob("*/*/run.json"))
    if report.exists():
        side.found = json.loads(report.read_text(encoding="utf-8"))
    else:
        side.found = {"outcomes": {}, "warnings": {}, "printed": {}, "random": {}, "complaints": [], "stored": True}
        print(f"a process ended with {process.returncode} and no report:\n{side.output[-5_000:]}")


def _count(outcomes: Mapping[str, str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in Counter(outcomes.values()).most_common())


def _seconds(plain: float, recorded: float) -> str:
    ratio = recorded / plain if plain else 0.0
    over = "" if ratio <= _RATIO else f", over {_RATIO}"
    return f"{plain:.0f} s of CPU without autolog, {recorded:.0f} s with it (ratio {ratio:.2f}{over})"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(WHOLE)}; without one, all")
    parser.add_argument("--part", action="store_true", help="the part that `make test` runs")
    parser.add_argument("--durations", type=int, default=0, metavar="N", help="show pytest's list of the N slowest")
    chosen = parser.parse_args()
    if unknown := set(chosen.suites) - WHOLE.keys():
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
