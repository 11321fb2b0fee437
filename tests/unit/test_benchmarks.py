"""The benchmarks run, and what they report has the shape that the page needs. No time is asserted, only ratios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    subprocess.run(
        [
            *(sys.executable, REPOSITORY / "benchmarks" / "run.py", "--smoke"),
            *("--only", "start", "call", "durable", "hook", "read_200", "--output", folder),
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def results(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((page / "results.json").read_text(encoding="utf-8"))
    return found


def test_everything_that_was_asked_for_is_measured(results: dict[str, Any]) -> None:
    assert results["problems"] == []
    assert set(results["groups"]) == {"start", "call", "durable", "hook", "read_200"}
    assert set(results["groups"]["call"]) == {"none", "autolog, file", "autolog, SQLite"}


def test_every_figure_is_a_positive_median_within_its_spread(results: dict[str, Any]) -> None:
    for by_contender in results["groups"].values():
        for by_measure in by_contender.values():
            for summary in by_measure.values():
                assert summary["n"] >= 1
                assert 0 < summary["p10"] <= summary["median"] <= summary["p90"]


def test_importing_and_enabling_autolog_imports_nothing_heavy(results: dict[str, Any]) -> None:
    facts = results["facts"]["start_autolog"]
    assert facts["heavy_after_import"] == facts["heavy_after_enable"] == []


@pytest.mark.parametrize("store", ["file", "SQLite"])
def test_a_logging_call_is_far_cheaper_than_waiting_for_the_store(results: dict[str, Any], store: str) -> None:
    call = results["groups"]["call"][f"autolog, {store}"]
    assert call["log_metric_synchronous"]["median"] > 20 * call["log_metric"]["median"]


def test_a_method_is_as_cheap_after_disable_as_before_enable(results: dict[str, Any]) -> None:
    hook = results["groups"]["hook"]["autolog"]
    assert hook["after_disable"]["median"] < 5 * hook["never_enabled"]["median"]


def test_the_page_names_every_group_that_was_measured(page: Path) -> None:
    text = (page / "README.md").read_text(encoding="utf-8")
    for title in ("Start", "Logging calls", "Until it is stored", "Hooks that record nothing", "Reading 200 runs"):
        assert f"## {title}\n" in text
