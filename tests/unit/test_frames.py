"""Runs become a table with MLflow's columns, whatever each of them has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolog.entities import MetricSummary, Run, RunData, RunInfo
from autolog.frames import runs_to_frame

pandas = pytest.importorskip("pandas")

keys = st.sampled_from(["a", "b", "c.d", "run_id"])
texts = st.dictionaries(keys, st.sampled_from(["", "1", "x"]), max_size=3)
numbers = st.dictionaries(keys, st.sampled_from([0.5, math.nan, math.inf]), max_size=3)


def make_run(number, params, tags, metrics):
    summaries = {key: MetricSummary(value, 0, 0, value, value, 1) for key, value in metrics.items()}
    return Run(
        info=RunInfo(run_id=f"run{number}", experiment_id="0", start_time=number),
        data=RunData(params=params, tags=tags, summaries=summaries),
    )


@given(st.lists(st.tuples(texts, texts, numbers), max_size=6))
def test_every_run_is_a_row_and_every_key_a_column(contents):
    runs = [make_run(number, *content) for number, content in enumerate(contents)]
    frame = runs_to_frame(runs)
    assert frame["run_id"].tolist() == [run.info.run_id for run in runs]
    expected = ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    for prefix, place in (("metrics", 2), ("params", 0), ("tags", 1)):
        for content in contents:
            expected += [name for key in content[place] if (name := f"{prefix}.{key}") not in expected]
        for key in {key for content in contents for key in content[place]}:
            column = frame[f"{prefix}.{key}"]
            for content, found in zip(contents, column.tolist(), strict=True):
                if key in content[place]:
                    assert str(found) == str(content[place][key])
                else:
                    assert pandas.isna(found)
            assert (column.dtype == float) == (prefix == "metrics")
    assert list(frame.columns) == expected
