"""Measure autolog against no logging and against its peers, in one run, and write the results down.

Every measured thing runs in a process of its own, and the contenders take turns, so that a slow moment
of the machine hits all of them. What cannot be measured is named in the results, never left out in silence.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from contenders import PEERS
from measuring import measure
from plan import Job, make_plan
from plots import draw_plots
from report import write_report
from scales import SCALES

_OUTPUT: Final = Path(__file__).parent.parent / "docs" / "benchmarks"


def main() -> int:
    """Run what was asked for, and return the exit code: 1 where something could not be measured."""
    chosen = _parse_arguments()
    if chosen.render:
        results = json.loads((chosen.output / "results.json").read_text(encoding="utf-8"))
    else:
        scale = SCALES["smoke" if chosen.smoke else "quick" if chosen.quick else "full"]
        jobs = [job for job in make_plan(scale) if _is_wanted(job, chosen)]
        if not jobs:
            print("Nothing of that name is measured at this scale.", file=sys.stderr)
            return 2
        results = measure(jobs, scale)
        chosen.output.mkdir(parents=True, exist_ok=True)
        if chosen.update:
            results = update(json.loads((chosen.output / "results.json").read_text(encoding="utf-8")), results)
        (chosen.output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    render(results, chosen.output)
    for problem in results["problems"]:
        print(f"not measured: {problem}", file=sys.stderr)
    print(f"The results are in {chosen.output}, after {results['seconds']:.0f} s.")
    return int(bool(results["problems"]))


def render(results: dict[str, Any], folder: Path) -> None:
    """Write the page and draw the plots of results."""
    plots = draw_plots(results, folder)
    write_report(results, folder / "README.md", plots)


def update(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return old results with the groups that have been measured anew in their place, and when that was.

    Figures of two runs on one machine may stand on one page, since ratios are only made within a group.
    """
    if (old["machine"]["cpu"], old["scale"]) != (new["machine"]["cpu"], new["scale"]):
        raise SystemExit("What is measured on another machine or at another scale needs a page of its own.")
    groups = set(new["groups"])
    kept = [problem for problem in old["problems"] if problem.partition(",")[0] not in groups]
    dates = old.get("dates", {}) | dict.fromkeys(new["groups"], new["date"])
    merged = {name: old[name] | new[name] for name in ("servers", "versions", "seconds_by_job", "facts", "groups")}
    return old | merged | {"problems": list(dict.fromkeys([*kept, *new["problems"]])), "dates": dates}


def _is_wanted(job: Job, chosen: argparse.Namespace) -> bool:
    groups, peers = chosen.only, chosen.peers
    of_group = not groups or any(job.group == name or job.group.startswith(f"{name}_") for name in groups)
    is_peer = job.contender.tool in {peer.name for peer in PEERS}
    return of_group and (peers is None or not is_peer or job.contender.tool in peers)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="the short form, under three minutes")
    sizes.add_argument("--smoke", action="store_true", help="autolog alone, for the test of the benchmarks")
    sizes.add_argument(
        "--render", action="store_true", help="measure nothing: make page and plots of results.json anew"
    )
    parser.add_argument("--only", nargs="+", metavar="GROUP", help="such as start, call, read or read_1000")
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="NAME",
        choices=[peer.name for peer in PEERS],
        help=f"of {', '.join(peer.name for peer in PEERS)}; without a name, autolog alone",
    )
    parser.add_argument(
        "--update", action="store_true", help="keep the groups of results.json that are not measured now"
    )
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
