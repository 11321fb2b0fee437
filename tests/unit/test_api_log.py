"""What the functions that log values take, and what comes back from a store."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import autolog
from autolog.errors import InvalidParameter, NotFound


@pytest.fixture(autouse=True, params=["file", "sqlite"])
def store(request, tmp_path, monkeypatch):
    """The URL of a store of each kind."""
    url = f"file:{tmp_path / 'runs'}" if request.param == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    monkeypatch.setenv("AUTOLOG_BACKEND", url)
    return url


class Tensor:
    """What a tensor of one element looks like from outside."""

    def __float__(self):
        return 0.125


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1, 1.0),
        (-0.0, 0.0),
        (True, 1.0),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.uint8(7), 7.0),
        (np.bool_(True), 1.0),
        (np.array(2.5), 2.5),
        (pd.Series([3.5]).iloc[0], 3.5),
        (pd.Series([3, 4]).sum(), 7.0),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (Tensor(), 0.125),
        (10**30, 1e30),
        (5e-324, 5e-324),
    ],
)
def test_a_metric_is_whatever_float_converts(value, stored):
    with autolog.start_run() as run:
        autolog.log_metric("loss", value)
    assert autolog.get_run(run.run_id).data.metrics == {"loss": stored}


def test_not_a_number_is_kept_as_a_point_and_as_the_latest_value():
    with autolog.start_run() as run:
        autolog.log_metric("loss", 1.0, step=0)
        autolog.log_metric("loss", math.nan, step=1)
    assert math.isnan(run.data.metrics["loss"])
    assert [math.isnan(point.value) for point in autolog.get_metric_history(run.run_id, "loss")] == [False, True]


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1.0], {}, 1j, np.array([1.0, 2.0]), 10**400])
def test_a_metric_that_is_no_number_is_refused_with_its_name_and_value(value):
    with autolog.start_run(), pytest.raises(InvalidParameter, match="the metric 'loss' has the value"):
        autolog.log_metric("loss", value)


@pytest.mark.parametrize("step", [3, np.int64(3), np.int32(3), np.uint8(3), 3.0, np.float64(3), np.array(3)])
def test_a_step_is_any_integer(step):
    with autolog.start_run() as run:
        autolog.log_metric("loss", 1.0, step=step)
        autolog.log_metric("loss", 1.0, step=step)
    assert [point.step for point in autolog.get_metric_history(run.run_id, "loss")] == [3, 3]


@pytest.mark.parametrize("step", ["3", 2.5, math.nan, 2**63, "late"])
def test_a_step_that_is_no_integer_is_refused(step):
    with autolog.start_run(), pytest.raises(InvalidParameter, match="which is not an integer of 64 bits"):
        autolog.log_metric("loss", 1.0, step=step)


def test_steps_may_be_negative_repeat_and_go_back():
    with autolog.start_run() as run:
        for step in (5, -1, 5, 2):
            autolog.log_metric("loss", float(step), step=step)
    assert [point.step for point in autolog.get_metric_history(run.run_id, "loss")] == [-1, 2, 5, 5]
    assert run.data.metrics["loss"] == 5.0


def test_a_timestamp_is_kept_to_the_millisecond():
    moments = [0, 1, 1_700_000_000_123, 1_700_000_000_124, 4_102_444_800_999]
    with autolog.start_run() as run:
        for step, moment in enumerate(moments):
            autolog.log_metric("loss", 1.0, step=step, timestamp=moment)
            autolog.log_metrics({"other": 1.0}, step=step, timestamp=moment)
    for key in ("loss", "other"):
        assert [point.timestamp for point in autolog.get_metric_history(run.run_id, key)] == moments


@pytest.mark.parametrize("timestamp", ["now", "", [], {}])
def test_a_timestamp_that_is_no_number_is_refused(timestamp):
    with autolog.start_run(), pytest.raises(InvalidParameter, match="timestamp"):
        autolog.log_metric("loss", 1.0, timestamp=timestamp)


KEYS = [
    "train/loss",
    "a b",
    "größe",
    "日本語",
    "🙂",
    "x" * 300,
    "a.b-c:d",
    "..",
    "/",
    "a//b",
    "C:\\x",
    "a,b\n\"c'",
    "\x00",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_any_text(key):
    with autolog.start_run() as run:
        autolog.log_metric(key, 0.5)
        autolog.log_param(key, "p")
        autolog.set_tag(key, "t")
    stored = autolog.get_run(run.run_id)
    assert stored.data.metrics == {key: 0.5}
    assert stored.data.params == {key: "p"}
    assert stored.data.tags[key] == "t"
    assert [point.value for point in autolog.get_metric_history(run.run_id, key)] == [0.5]


def test_a_lone_surrogate_becomes_a_question_mark():
    with autolog.start_run() as run:
        autolog.log_metric("loss\ud800", 0.5)
        autolog.log_param("\ud800", "a\udfff")
        autolog.set_tag("\ud800", "b\ud800")
        autolog.log_text("c\ud800", "text.txt")
    stored = autolog.get_run(run.run_id)
    assert stored.data.metrics == {"loss?": 0.5}
    assert stored.data.params == {"?": "a?"}
    assert stored.data.tags["?"] == "b?"
    assert autolog.artifacts.load_text(f"runs:/{run.run_id}/text.txt") == "c?"


@pytest.mark.parametrize("key", ["", None, 3, b"loss"])
def test_a_key_that_is_no_text_is_refused(key):
    with autolog.start_run():
        for log in (autolog.log_metric, autolog.log_param, autolog.set_tag):
            with pytest.raises(InvalidParameter, match="must be a text that is not empty"):
                log(key, 1)


@pytest.mark.parametrize(
    ("value", "stored"),
    [(None, "None"), (True, "True"), (0.1, "0.1"), ([1, 2], "[1, 2]"), ("", ""), ("ä\n", "ä\n"), ("\x00", "\x00")],
)
def test_a_param_and_a_tag_are_what_str_makes_of_the_value(value, stored):
    with autolog.start_run() as run:
        assert autolog.log_param("p", value) is value
        autolog.set_tag("t", value)
    assert autolog.get_run(run.run_id).data.params == {"p": stored}
    assert autolog.get_run(run.run_id).data.tags["t"] == stored


def test_a_param_of_a_megabyte_comes_back_whole():
    text = "äb" * 500_000
    with autolog.start_run() as run:
        autolog.log_param("long", text)
        autolog.set_tag("long", text)
    assert run.data.params["long"] == text
    assert run.data.tags["long"] == text


def test_of_a_param_that_is_logged_again_the_last_value_counts():
    with autolog.start_run() as run:
        autolog.log_param("C", 1)
        autolog.log_params({"C": 2, "D": 3}, synchronous=True)
        autolog.log_param("C", 4)
    assert run.data.params == {"C": "4", "D": "3"}


def test_a_tag_can_be_taken_away():
    with autolog.start_run(tags={"a": 1}) as run:
        autolog.set_tags({"b": 2, "c": 3})
        autolog.delete_tag("b")
        autolog.delete_tag("never")
    assert {key: value for key, value in run.data.tags.items() if key in "abc"} == {"a": "1", "c": "3"}


def test_a_run_is_begun_where_none_is_active():
    autolog.log_metric("loss", 1.0)
    assert autolog.active_run() is not None
    assert autolog.active_run().data.metrics == {"loss": 1.0}


def test_values_go_to_another_run_where_its_id_is_given():
    with autolog.start_run() as first:
        pass
    with autolog.start_run() as second:
        autolog.log_metric("loss", 1.0, run_id=first.run_id, dataset=np.zeros((3, 2)))
        autolog.log_metrics({"accuracy": 0.5}, run_id=first.run_id, step=2)
        autolog.log_params({"C": 1}, run_id=first.run_id)
    stored = autolog.get_run(first.run_id)
    assert stored.data.metrics == {"loss": 1.0, "accuracy": 0.5}
    assert stored.data.params == {"C": "1"}
    assert len(stored.inputs.dataset_inputs) == 1
    assert stored.info.status == "FINISHED"
    assert autolog.get_run(second.run_id).data.metrics == {}
    assert autolog.get_run(second.run_id).inputs.dataset_inputs == ()
    with pytest.raises(NotFound):
        autolog.log_metric("loss", 1.0, run_id="nowhere")


def test_data_sets_are_logged_with_their_context():
    train, test = np.zeros((4, 2)), np.ones((2, 2))
    with autolog.start_run() as run:
        autolog.log_input(train, context="train", tags={"kind": "zeros"})
        autolog.log_inputs([test, train], contexts=["eval", None], tags_list=[{"fold": "1"}, None])
        with pytest.raises(InvalidParameter, match="one context"):
            autolog.log_inputs([test], contexts=["a", "b"])
    tags = [{tag.key: tag.value for tag in used.tags} for used in run.inputs.dataset_inputs]
    assert {"kind": "zeros", "mlflow.data.context": "train"} in tags
    assert {"fold": "1", "mlflow.data.context": "eval"} in tags
    assert {} in tags
    assert len({used.dataset.digest for used in run.inputs.dataset_inputs}) == 2


def test_two_hundred_thousand_points_come_back_in_order():
    with autolog.start_run() as run:
        for step in range(200_000):
            run.log_metric("loss", step * 0.5, step)
    history = autolog.get_metric_history(run.run_id, "loss")
    assert [point.step for point in history] == list(range(200_000))
    assert history[-1].value == 99_999.5
