"""Read a store with autolog, in a process that has not seen it yet, and then again."""

import time
from collections.abc import Callable

from autolog_store import store_url
from stored_runs import FILTER, ORDER
from subject import read_arguments, report

import autolog
from autolog.backend import RunQuery
from autolog.backends import open_reader

arguments = read_arguments()
url = store_url(arguments)
reader = open_reader(url)
samples: dict[str, list[float]] = {}


def measure(name: str, read: Callable[[], object]) -> None:
    started = time.perf_counter_ns()
    read()
    samples.setdefault(name, []).append(time.perf_counter_ns() - started)


found = RunQuery(filter=FILTER, order_by=ORDER, max_results=100)
measure("search_cold", lambda: reader.search_runs(found))
if not len(reader.search_runs(found)):
    raise SystemExit("the search finds nothing")
# One long page leads to where the hundredth short one begins.
size = max(1, min(100, arguments["runs"] // 101))
before = reader.search_runs(RunQuery(max_results=99 * size))
hundredth = RunQuery(max_results=size, page_token=before.token)
if len(reader.search_runs(hundredth)) != size:
    raise SystemExit("there is no hundredth page")
for _ in range(arguments["repeats"]):
    measure("search", lambda: reader.search_runs(found))
    measure("count", lambda: reader.count_runs(found))
    measure("deep_page", lambda: reader.search_runs(hundredth))
reader.close()
import pandas  # noqa: E402, F401  its import is not what is measured

autolog.set_tracking_uri(url)
frame = autolog.search_runs(search_all_experiments=True, max_results=arguments["runs"])
if len(frame) != arguments["runs"]:
    raise SystemExit(f"the data frame holds {len(frame)} runs")
for _ in range(max(1, arguments["repeats"] // 3)):
    measure("frame", lambda: autolog.search_runs(search_all_experiments=True, max_results=arguments["runs"]))
report(samples)
