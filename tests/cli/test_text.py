"""How values read in a terminal."""

import math

import pytest

from autolog.cli import text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.9736842105, "0.97368"),
        (1.0, "1"),
        (569.0, "569"),
        (2897.4567, "2897.5"),
        (-0.00001234567, "-1.2346e-05"),
        (1e300, "1e+300"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_a_number_has_five_significant_digits_and_a_whole_one_all_of_its_digits(value, expected):
    assert text.number(value) == expected


def test_a_column_of_numbers_lines_up_and_leaves_gaps_empty():
    assert text.numbers([0.95, 1.0, None]) == ["0.95000", "1.0000", ""]
    assert text.numbers([30.0, math.nan]) == ["30", "NaN"]
    assert text.numbers([123456.7]) == ["1.2346e+05"]


def test_a_long_number_in_a_param_is_shortened_and_everything_else_is_left():
    assert text.param("0.30000000000000004") == "0.3"
    assert text.param("1e-3") == "1e-3"
    assert text.param("(64,\n 32)") == "(64, 32)"
    assert text.param("nan") == "nan"


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1500, "1.5s"),
        (59_990, "1m 00s"),
        (125_000, "2m 05s"),
        (3_600_000, "1h 00m"),
        (90_000_000, "1d 01h"),
        (-5, "0ms"),
    ],
)
def test_a_duration_has_the_two_units_that_matter(milliseconds, expected):
    assert text.duration(milliseconds) == expected


def test_an_age_is_told_in_one_unit_and_becomes_a_date_after_a_month():
    now = 1_700_000_000_000
    ages = [text.age(now - seconds * 1000, now) for seconds in (0, 59, 60, 3599, 3600, 86_399, 86_400, 29 * 86_400)]
    assert ages == ["0s ago", "59s ago", "1m ago", "59m ago", "1h ago", "23h ago", "1d ago", "29d ago"]
    assert text.age(now - 40 * 86_400_000, now).startswith("2023-10-")
    assert text.age(now + 5000, now) == "0s ago"


def test_a_sparkline_shows_the_shape_and_leaves_a_gap_where_nothing_is_finite():
    assert text.sparkline([0.0, 1.0, 2.0, 7.0], 8) == "▁▂▃█"
    assert text.sparkline([0.0, math.nan, 1.0], 3) == "▁ █"
    assert text.sparkline([1.0] * 100, 5) == "▄▄▄▄▄"
    assert text.sparkline([math.nan, math.inf], 5) == ""
    assert len(text.sparkline(list(range(1000)), 24)) == 24


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB"), (2**50, "1024.0 TiB")],
)
def test_a_size_is_told_in_the_unit_that_reads_best(count, expected):
    assert text.size(count) == expected


def test_a_text_from_a_store_is_one_line_and_cannot_command_the_terminal():
    assert text.line("two\n  lines\t✓") == "two lines ✓"
    assert text.line("\x1b[2Jgone \u202eturned") == "�[2Jgone �turned"
