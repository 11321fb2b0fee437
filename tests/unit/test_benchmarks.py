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


ALONE = {"start", "call", "durable", "memory", "hook", "read_200", "history_20000", "contention", "writer_python_1000"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    subprocess.run(
        [
            *(sys.executable, REPOSITORY / "benchmarks" / "run.py", "--smoke", "--output", folder),
            *("--only", *(name.partition("_")[0] for name in ALONE)),
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
    assert set(results["groups"]) == ALONE
    assert set(results["groups"]["call"]) == {"none", "autolog-file", "autolog-sqlite"}


def test_every_figure_is_a_median_within_its_spread(results: dict[str, Any]) -> None:
    for by_contender in results["groups"].values():
        for by_measure in by_contender.values():
            for name, summary in by_measure.items():
                assert summary["n"] >= 1
                assert summary["p10"] <= summary["median"] <= summary["p90"]
                # Little memory may be none.
                assert summary["median"] > 0 or name in {"growth", "memory", "memory_of_all", "added", "added_by_all"}


def test_importing_and_enabling_autolog_imports_nothing_heavy(results: dict[str, Any]) -> None:
    facts = results["facts"]["start autolog"]
    assert facts["heavy_after_import"] == facts["heavy_after_enable"] == []


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_logging_call_costs_a_few_times_what_writing_a_mapped_page_does(results: dict[str, Any], store: str) -> None:
    call = results["groups"]["call"][f"autolog-{store}"]
    assert call["log_metric"]["median"] < 50 * call["yardstick"]["median"]


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_logging_call_is_far_cheaper_than_waiting_for_the_store(results: dict[str, Any], store: str) -> None:
    call = results["groups"]["call"][f"autolog-{store}"]
    assert call["log_metric_synchronous"]["median"] > 20 * call["log_metric"]["median"]


def test_a_method_is_as_cheap_after_disable_as_before_enable(results: dict[str, Any]) -> None:
    hook = results["groups"]["hook"]["autolog"]
    assert hook["after_disable"]["median"] < 5 * hook["never_enabled"]["median"]


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_thinned_history_is_not_dearer_than_all_of_its_points_as_objects(results: dict[str, Any], store: str) -> None:
    history = results["groups"]["history_20000"][f"autolog-{store}"]
    assert history["thinned"]["median"] < 2 * history["whole"]["median"]


def test_the_page_has_a_table_of_every_group_and_says_what_came_of_the_targets(page: Path) -> None:
    text = (page / "README.md").read_text(encoding="utf-8")
    for title in ("Start", "Logging calls", "Until it is stored", "Memory", "Reading 200 runs", "One metric's history"):
        assert f"## {title}\n" in text
    assert "| Logging calls: `log_metric` | autolog, SQLite | ≤ 500 ns |" in text


def test_trainings_of_networks_are_measured_as_parts_of_what_they_take_alone(tmp_path: Path) -> None:
    groups = ["training_torch", "training_keras_batches", "training_lightning"]
    subprocess.run(
        [
            *(sys.executable, REPOSITORY / "benchmarks" / "run.py", "--smoke", "--output", tmp_path),
            *("--only", "training_torch", "training_keras", "training_lightning"),
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert list(results["groups"]) == groups
    measured = [results["groups"][group]["autolog-file"] for group in groups]
    for each in measured:
        added = each["added"]["median"] / each["fit"]["median"]
        assert each["added_share"]["median"] == pytest.approx(added)
    assert ["added_share_of_rounds" in each for each in measured] == [True, False, True]
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    for measure, target in (("a part of a step", 3), ("a part of it", 5), ("a part of it", 2)):
        assert f": as {measure} | autolog, files | ≤ {target}.00 % |" in text


def test_results_are_rendered_again_without_measuring(page: Path) -> None:
    before = (page / "README.md").read_text(encoding="utf-8")
    (page / "README.md").unlink()
    render(page)
    assert (page / "README.md").read_text(encoding="utf-8") == before


def test_a_group_that_is_measured_anew_takes_its_place_among_those_of_an_earlier_run(
    page: Path, results: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, REPOSITORY / "benchmarks" / "run.py", "--smoke", "--output", tmp_path),
            *("--only", "hook", "--update"),
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    updated = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert updated["groups"].pop("hook") != results["groups"]["hook"]
    assert updated["groups"] == {name: group for name, group in results["groups"].items() if name != "hook"}
    assert list(updated["dates"]) == ["hook"]
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.count("Measured by itself on ") == 1
    assert len(text) > len((page / "README.md").read_text(encoding="utf-8"))


def test_the_page_names_where_a_peer_is_ahead_and_where_a_target_is_missed(page: Path, tmp_path: Path) -> None:
    results = json.loads((page / "results.json").read_text(encoding="utf-8"))
    call = results["groups"]["call"]
    own = call["autolog-file"]["log_metric"]
    own |= {"median": 900.0, "p10": 900.0, "p90": 900.0}
    call["wandb-offline"] = {"log_metric": own | {"median": 450.0, "p10": 450.0, "p90": 450.0}}
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    render(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Where autolog is not yet ahead")[2].partition("\n## ")[0]
    assert "Target missed: Logging calls, `log_metric`, autolog, files: 900 ns instead of 500 ns." in section
    assert "Weights & Biases, offline takes 0.500 times what autolog, files does." in section


def test_a_peer_that_cannot_be_measured_is_named_in_the_page(tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, REPOSITORY / "benchmarks" / "run.py", "--quick", "--output", tmp_path),
            *("--only", "training_grid", "--peers", "mlflow"),
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "AUTOLOG_BENCH_MLFLOW_PYTHON": "/nowhere/python"},
        check=False,
    )
    assert ended.returncode == 1
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "MLflow" in text.partition("## Not measured")[2].partition("\n## ")[0]


def render(folder: Path) -> None:
    subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "run.py", "--render", "--output", folder],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
