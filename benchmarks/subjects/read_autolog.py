"""Read a store with autolog, in a process that has not seen it yet, and then again."""

import time

from autolog_store import store_url
from repeated import measure
from stored_runs import FILTER, ORDER
from subject import read_arguments, report

import autolog
from autolog.backend import RunQuery
from autolog.backends import open_reader

arguments = read_arguments()
url, values = store_url(arguments), arguments["values"]
reader = open_reader(url)
found = RunQuery(filter=FILTER, order_by=ORDER, max_results=100)
started = time.perf_counter_ns()
reader.search_runs(found)
cold = time.perf_counter_ns() - started
if not len(reader.search_runs(found)):
    raise SystemExit("the search finds nothing")
# One long page leads to where the hundredth short one begins.
size = max(1, min(100, arguments["runs"] // 101))
before = reader.search_runs(RunQuery(max_results=99 * size))
hundredth = RunQuery(max_results=size, page_token=before.token)
if len(reader.search_runs(hundredth)) != size:
    raise SystemExit("there is no hundredth page")
benchmarks = {
    "search": measure("search", lambda: reader.search_runs(found), values),
    "count": measure("count", lambda: reader.count_runs(found), values),
    "deep_page": measure("deep_page", lambda: reader.search_runs(hundredth), values),
}
reader.close()
import pandas  # noqa: E402, F401  its import is not what is measured

autolog.set_tracking_uri(url)


def frame() -> object:
    return autolog.search_runs(search_all_experiments=True, max_results=arguments["runs"])


held = len(autolog.search_runs(search_all_experiments=True, max_results=arguments["runs"]))
if held != arguments["runs"]:
    raise SystemExit(f"the data frame holds {held} runs")
benchmarks["frame"] = measure("frame", frame, arguments["frames"])
report({"search_cold": [cold]}, {}, benchmarks)
