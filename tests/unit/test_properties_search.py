"""Every filter that the grammar knows is understood as it was meant, and every other text is refused with a place."""

from __future__ import annotations

from fuzz_targets import check_message
from hypothesis import assume, given
from hypothesis import strategies as st
from search_strategies import TEXTS, comparisons, expressions, write, write_field

from autolog.errors import InvalidFilter
from autolog.search import (
    Comparison,
    Entity,
    Expression,
    OrderKey,
    parse_experiment_filter,
    parse_run_filter,
    parse_run_order,
)

WORDS = [
    *("metrics.", "params.", "tags.", "dataset.", "attributes.", "status", "start_time", "name", "a", "a b", "é", "."),
    *("=", "!=", "<", "<=", ">", ">=", "LIKE", "ilike", "IN", "IS", "NULL", "NOT", "AND", "or", "(", ")", ",", "'a'"),
    *('"a"', "`a`", "'", '"', "`", "''", "0", "-1.5e3", "1e999", "1_0", "٣", "\0", "\n", "\ud800", "🔑", "ASC", "DESC"),
]
broken = st.one_of(
    st.text(TEXTS), st.lists(st.sampled_from(WORDS)).map(" ".join), st.lists(st.sampled_from(WORDS)).map("".join)
)


@given(expression=expressions, data=st.data())
def test_a_filter_that_is_written_out_is_understood_as_the_same(expression: Expression, data: st.DataObject) -> None:
    assert parse_run_filter(write(expression, data)) == expression


@given(expression=expressions, data=st.data())
def test_a_filter_that_is_damaged_is_refused_with_a_place_or_means_something(
    expression: Expression, data: st.DataObject
) -> None:
    text = write(expression, data)
    place = data.draw(st.integers(0, len(text)))
    with_something_else = text[:place] + data.draw(st.sampled_from(["", *WORDS])) + text[place + 1 :]
    assert_parsed_or_refused(with_something_else)


@given(text=broken)
def test_any_text_is_a_filter_or_refused_with_a_place(text: str) -> None:
    assert_parsed_or_refused(text)


def assert_parsed_or_refused(text: str) -> None:
    for parse in (parse_run_filter, parse_experiment_filter, lambda order: parse_run_order([order])):
        try:
            parsed = parse(text)
        except InvalidFilter as error:
            check_message(text, str(error))
        else:
            assert parsed == parse(text)


@given(expression=comparisons, ascending=st.booleans(), data=st.data())
def test_an_order_that_is_written_out_is_understood_as_the_same(
    expression: Comparison, ascending: bool, data: st.DataObject
) -> None:
    field = expression.field
    assume(field.entity is not Entity.DATASET)
    text = f"{write_field(field, data)} {'ASC' if ascending else data.draw(st.sampled_from(['DESC', 'desc']))}"
    assert parse_run_order([text])[0] == OrderKey(field, ascending)
