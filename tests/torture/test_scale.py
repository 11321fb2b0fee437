"""Much of everything takes a bounded memory and comes back as it was. The figures are in docs/reliability.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts import run_script, stored_points, stored_runs

from autolog.backends import open_reader

MEGABYTE = 2**20

# What a process takes for itself, without the pages of mapped files, which the system can take back at any time.
MEASURE = """
import json, sys, time
import autolog
def anonymous():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("RssAnon")).split()[1]) * 1024
def peak():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) * 1024
"""

MANY_POINTS = (
    MEASURE
    + """
sizes = {}
with autolog.start_run() as run:
    for step in range(int(sys.argv[1])):
        autolog.log_metric("loss", step * 0.5, step=step)
        if step == 999_999:
            assert autolog.flush(600)
            sizes["million"] = anonymous()
    assert autolog.flush(600)
    sizes["all"] = anonymous()
print(json.dumps([run.info.run_id, sizes]))
"""
)


def url_of(scheme: str, folder: Path) -> str:
    return f"file:{folder / 'runs'}" if scheme == "file" else f"sqlite:///{folder / 'runs.db'}"


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_ten_million_points_take_no_more_memory_than_one_million(scheme: str, tmp_path: Path) -> None:
    count = 10_000_000
    url = url_of(scheme, tmp_path)
    done = run_script(MANY_POINTS, tmp_path, str(count), AUTOLOG_BACKEND=url)
    assert (done.returncode, done.stderr) == (0, "")
    run_id, sizes = json.loads(done.stdout)
    print(f"{scheme}: {sizes['million'] / MEGABYTE:.0f} MiB after 10**6, {sizes['all'] / MEGABYTE:.0f} MiB after 10**7")
    assert sizes["all"] - sizes["million"] < 32 * MEGABYTE
    reader = open_reader(url)
    summary = reader.get_run(run_id).data.summaries["loss"]
    history = reader.metric_history(run_id, "loss", max_points=1000)
    reader.close()
    assert summary.count == count
    assert (summary.min, summary.max, summary.step) == (0.0, (count - 1) * 0.5, count - 1)
    assert (history.values == history.steps * 0.5).all()


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_hundred_thousand_keys_come_back(scheme: str, tmp_path: Path) -> None:
    script = (
        MEASURE
        + """
before = anonymous()
with autolog.start_run() as run:
    for number in range(100_000):
        autolog.log_metric(f"metric/{number}", number * 0.5, step=number)
    autolog.log_params({f"param/{number}": number for number in range(100_000)})
    assert autolog.flush(600)
    after = anonymous()
print(json.dumps([run.info.run_id, after - before]))
"""
    )
    url = url_of(scheme, tmp_path)
    done = run_script(script, tmp_path, AUTOLOG_BACKEND=url)
    assert (done.returncode, done.stderr) == (0, "")
    run_id, growth = json.loads(done.stdout)
    print(f"{scheme}: {growth / MEGABYTE:.0f} MiB more with 10**5 metrics and 10**5 params")
    assert growth < 500 * MEGABYTE
    (run,) = stored_runs(url)
    assert run.data.metrics == {f"metric/{number}": number * 0.5 for number in range(100_000)}
    assert run.data.params == {f"param/{number}": str(number) for number in range(100_000)}
    assert stored_points(url, run_id, "metric/99999") == [(99_999, 49_999.5)]


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_param_of_a_hundred_megabytes_comes_back(scheme: str, tmp_path: Path) -> None:
    script = (
        MEASURE
        + """
text = "0123456789" * 10_000_000
before = peak()
with autolog.start_run() as run:
    autolog.log_param("large", text)
    autolog.log_metric("loss", 0.5)
    assert autolog.flush(600)
print(json.dumps(peak() - before))
"""
    )
    url = url_of(scheme, tmp_path)
    done = run_script(script, tmp_path, AUTOLOG_BACKEND=url)
    assert (done.returncode, done.stderr) == (0, "")
    growth = json.loads(done.stdout)
    print(f"{scheme}: {growth / MEGABYTE:.0f} MiB more at its peak for a param of 100 MB")
    assert growth < 2000 * MEGABYTE
    (run,) = stored_runs(url)
    assert run.data.params == {"large": "0123456789" * 10_000_000}
    assert run.data.metrics == {"loss": 0.5}
