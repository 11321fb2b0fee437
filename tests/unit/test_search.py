"""The search language: what it means, what it refuses and in which words, and how pages are cut."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolog.backend import ExperimentQuery, RunQuery
from autolog.entities import Experiment, MetricSummary, Run, RunData, RunInfo, ViewType
from autolog.errors import InvalidFilter, InvalidParameter
from autolog.search import (
    And,
    Comparison,
    Entity,
    Field,
    Not,
    Operator,
    Or,
    OrderKey,
    decode_token,
    encode_token,
    fingerprint,
    matches,
    order_values,
    parse_experiment_filter,
    parse_experiment_order,
    parse_run_filter,
    parse_run_order,
    rank,
)


def attribute(key):
    return Field(Entity.ATTRIBUTE, key)


def make_run(run_id="r", **parts):
    metrics = {key: MetricSummary(value, 0, 0, value, value, 1) for key, value in parts.pop("metrics", {}).items()}
    data = RunData(params=parts.pop("params", {}), tags=parts.pop("tags", {}), summaries=metrics)
    return Run(info=RunInfo(run_id=run_id, experiment_id="0", **parts), data=data)


A, B, C = (Comparison(Field(Entity.PARAM, key), Operator.EQ, "1") for key in "abc")


class TestFilters:
    @pytest.mark.parametrize("text", ["", "  \n\t"])
    def test_an_empty_filter_is_none_and_fits_everything(self, text):
        assert parse_run_filter(text) is None
        assert matches(parse_run_filter(text), make_run())

    @pytest.mark.parametrize(
        ("text", "field"),
        [
            ("metrics.acc", Field(Entity.METRIC, "acc")),
            ("metric.a.b", Field(Entity.METRIC, "a.b")),
            ("metrics.val/loss-1:x", Field(Entity.METRIC, "val/loss-1:x")),
            ("params.lr", Field(Entity.PARAM, "lr")),
            ("param.lr", Field(Entity.PARAM, "lr")),
            ("parameter.lr", Field(Entity.PARAM, "lr")),
            ("parameters.lr", Field(Entity.PARAM, "lr")),
            ("tag.mlflow.source.name", Field(Entity.TAG, "mlflow.source.name")),
            ("tags.`a b`", Field(Entity.TAG, "a b")),
            ('tags."a b"', Field(Entity.TAG, "a b")),
            ("tags.`a``b'\"`", Field(Entity.TAG, "a`b'\"")),
            ("tags.``", Field(Entity.TAG, "")),
            ("tags.größe", Field(Entity.TAG, "größe")),
            ("tags.and", Field(Entity.TAG, "and")),
            ("status", attribute("status")),
            ("attributes.status", attribute("status")),
            ("attribute.status", attribute("status")),
            ("attr.status", attribute("status")),
            ("run.status", attribute("status")),
            ("`run_name`", attribute("run_name")),
            ("created", attribute("start_time")),
            ("datasets.name", Field(Entity.DATASET, "name")),
            ("dataset.context", Field(Entity.DATASET, "context")),
        ],
    )
    def test_a_field_has_many_spellings(self, text, field):
        assert parse_run_filter(f"{text} IS NULL") == Comparison(field, Operator.IS_NULL, None)

    @pytest.mark.parametrize(
        ("text", "value"),
        [("1", 1.0), ("-1.5", -1.5), ("+2", 2.0), (".5", 0.5), ("5.", 5.0), ("1e-3", 0.001), ("-2.5E+10", -2.5e10)],
    )
    def test_a_number_has_the_forms_of_a_literal(self, text, value):
        assert parse_run_filter(f"metrics.a >= {text}") == Comparison(Field(Entity.METRIC, "a"), Operator.GE, value)
        assert parse_run_filter(f"metrics.a>={text}") == parse_run_filter(f"metrics.a >= {text}")

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("'a'", "a"),
            ('"a"', "a"),
            ("''", ""),
            ("'it''s'", "it's"),
            ('"say ""x"""', 'say "x"'),
            ("'AND\n('", "AND\n("),
        ],
    )
    def test_a_text_is_in_either_quotes(self, text, value):
        assert parse_run_filter(f"run_name != {text}") == Comparison(attribute("run_name"), Operator.NE, value)

    @pytest.mark.parametrize(
        ("text", "expression"),
        [
            ("{a} AND {b} AND {c}", And((A, B, C))),
            ("{a} or {b} OR {c}", Or((A, B, C))),
            ("{a} OR {b} AND {c}", Or((A, And((B, C))))),
            ("({a} OR {b}) AND {c}", And((Or((A, B)), C))),
            ("NOT {a} AND {b}", And((Not(A), B))),
            ("not ({a} and {b})", Not(And((A, B)))),
            ("NOT NOT {a}", Not(Not(A))),
            ("((({a})))", A),
            ("NOT({a})OR({b})", Or((Not(A), B))),
        ],
    )
    def test_not_binds_before_and_before_or(self, text, expression):
        assert parse_run_filter(text.format(a="params.a = '1'", b="params.b='1'", c="params.c = '1'")) == expression

    def test_a_list_compares_with_each_of_its_texts(self):
        field = Field(Entity.TAG, "a")
        assert parse_run_filter("tags.a IN ('x')") == Comparison(field, Operator.IN, ("x",))
        assert parse_run_filter("tags.a not  in ('x', \"y\")") == Comparison(field, Operator.NOT_IN, ("x", "y"))

    def test_the_expression_of_a_long_list_is_flat(self):
        expression = parse_run_filter(" OR ".join(f"run_id = '{number}'" for number in range(5000)))
        assert len(expression.clauses) == 5000
        assert matches(expression, make_run("4999"))

    def test_experiments_have_attributes_of_their_own(self):
        expression = parse_experiment_filter("name LIKE 'a%' AND tags.x = '1' AND creation_time > 5")
        assert matches(expression, Experiment(experiment_id="1", name="abc", tags={"x": "1"}, creation_time=6))
        assert not matches(expression, Experiment(experiment_id="1", name="abc", tags={"x": "1"}, creation_time=5))


class TestBadFilters:
    @pytest.mark.parametrize(
        ("text", "words", "mark"),
        [
            ("metrics.acc >", "a number", ""),
            ("metrics.acc > abc", "expected text in quotes or a number, found 'abc'", "abc"),
            ("metrics.acc == 1", "found '= 1'|found '='", "= 1"),
            ("metrics.acc", "expected a comparison", ""),
            ("metrics.acc > 1 xor run_id = 'a'", "expected AND, OR or the end, found 'xor'", "xor"),
            ("(run_id = 'a'", r"expected AND, OR or '\)', found the end", ""),
            ("run_id = 'a')", r"expected AND, OR or the end, found '\)'", ")"),
            ("run_id = 'abc", "quote that opens here is not closed", "'abc"),
            ("metrics.`abc > 1", "quote that opens here is not closed", "`abc"),
            ("accuracy > 0.5", "no attribute 'accuracy'.*metrics.accuracy", "accuracy"),
            ("statsu = 'RUNNING'", "did you mean 'status'", "statsu"),
            ("metrik.acc > 1", "no 'metrik'.*did you mean 'metric", "metrik"),
            ("dataset.size = '1'", "name, digest, context", "dataset"),
            ("metrics. > 1", "names no key", "metrics. "),
            ("metrics.acc > '1'", "holds numbers; write a number without quotes", "'1'"),
            ("params.lr = 0.1", "holds text; write '0.1' in quotes", "0.1"),
            ("params.lr < '0.1'", "holds text, which is compared with =, !=, LIKE or ILIKE, not with <", "< "),
            ("metrics.acc LIKE '1'", "holds numbers.*not with LIKE", "LIKE"),
            ("start_time IN ('1')", "holds numbers", "start_time"),
            ("run_id IN ()", "expected text in quotes", ")"),
            ("run_id IN (1)", "expected text in quotes", "1"),
            (") run_id = 'a'", "expected a field", ")"),
            ("run_id =\n'a' foo", "found 'foo'", "foo"),
        ],
    )
    def test_the_message_says_what_would_fit_and_points_at_the_character(self, text, words, mark):
        with pytest.raises(InvalidFilter) as raised:
            parse_run_filter(text)
        problem, shown, caret = str(raised.value).split("\n")
        assert re.search(words, problem)
        assert shown == "  " + text.replace("\n", " ")
        position = caret.index("^") - 2
        assert text[position:].startswith(mark) if mark else position >= len(text.rstrip())

    def test_a_long_filter_is_shown_around_the_character(self):
        with pytest.raises(InvalidFilter) as raised:
            parse_run_filter(" OR ".join(["run_id = 'a'"] * 100) + " OR oops = 'a'" + " OR run_id = 'b'" * 100)
        _, shown, caret = str(raised.value).split("\n")
        assert len(shown) < 120
        assert shown[caret.index("^") :].startswith("oops")

    def test_a_filter_without_an_end_to_its_nesting_is_refused(self):
        with pytest.raises(InvalidFilter, match="levels deep"):
            parse_run_filter("NOT " * 10_000 + "run_id = 'a'")
        assert parse_run_filter("(" * 10_000 + "run_id = 'a'" + ")" * 10_000) is not None

    def test_experiments_have_no_metrics(self):
        with pytest.raises(InvalidFilter, match=r"fields begin with attributes\. or tags\."):
            parse_experiment_filter("metrics.a > 1")


class TestMatching:
    @pytest.mark.parametrize("operator", ["= 1", "!= 1", "< 1", "<= 1", "> 1", ">= 1"])
    def test_a_comparison_with_nothing_is_false_and_its_negation_true(self, operator):
        assert not matches(parse_run_filter(f"metrics.a {operator}"), make_run())
        assert matches(parse_run_filter(f"NOT metrics.a {operator}"), make_run())

    def test_nan_compares_as_in_ieee_754(self):
        run = make_run(metrics={"a": float("nan")})
        found = [
            sign for sign in ("=", "!=", "<", "<=", ">", ">=") if matches(parse_run_filter(f"metrics.a {sign} 1"), run)
        ]
        assert found == ["!="]
        assert matches(parse_run_filter("metrics.a IS NOT NULL"), run)

    @given(
        st.lists(st.sampled_from(["%", "_", "a", "A", ".", "*", "[", "\\", "\n", "é"]), max_size=6).map("".join),
        st.text(st.sampled_from("aA.*[\\\né"), max_size=6),
    )
    def test_like_means_what_sql_means_by_it(self, pattern, text):
        def like(pattern, text):
            if not pattern:
                return not text
            if pattern[0] == "%":
                return any(like(pattern[1:], text[begin:]) for begin in range(len(text) + 1))
            return bool(text) and pattern[0] in ("_", text[0]) and like(pattern[1:], text[1:])

        field = Field(Entity.PARAM, "p")
        run = make_run(params={"p": text})
        assert matches(Comparison(field, Operator.LIKE, pattern), run) == like(pattern, text)
        assert matches(Comparison(field, Operator.ILIKE, pattern), run) == like(pattern.lower(), text.lower())

    def test_a_pattern_of_many_wildcards_is_no_trap(self):
        pattern = Comparison(Field(Entity.PARAM, "p"), Operator.LIKE, "%a" * 200 + "b")
        assert not matches(pattern, make_run(params={"p": "a" * 10_000}))


class TestOrder:
    def test_an_order_is_completed_so_that_it_is_total(self):
        by_id, by_time = (
            OrderKey(attribute("run_id"), ascending=True),
            OrderKey(attribute("start_time"), ascending=False),
        )
        by_metric = OrderKey(Field(Entity.METRIC, "a b"), ascending=False)
        assert parse_run_order([]) == (by_time, by_id)
        assert parse_run_order(["metrics.`a b` DESC"]) == (by_metric, by_id)
        assert parse_run_order(["created desc", "start_time", "run_id"]) == (by_time, by_id)
        assert [key.field.key for key in parse_experiment_order(["name"])] == ["name", "experiment_id"]
        assert [key.field.key for key in parse_experiment_order([])] == ["creation_time", "experiment_id"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("dataset.name", "several data sets"),
            ("start_time DOWN", "expected ASC or DESC"),
            ("metrics.a DESC, b", "expected the end"),
            ("", "expected a field"),
        ],
    )
    def test_a_bad_order_is_refused(self, text, words):
        with pytest.raises(InvalidFilter, match=words):
            parse_run_order([text])

    @given(
        st.lists(st.tuples(st.none() | st.floats(), st.none() | st.text(max_size=2)), max_size=8),
        st.booleans(),
        st.booleans(),
    )
    def test_what_is_missing_is_last_in_both_directions(self, rows, metric_ascending, param_ascending):
        order = (
            OrderKey(Field(Entity.METRIC, "m"), metric_ascending),
            OrderKey(Field(Entity.PARAM, "p"), param_ascending),
        )
        runs = [
            make_run(metrics={} if metric is None else {"m": metric}, params={} if param is None else {"p": param})
            for metric, param in rows
        ]
        values = order_values(order)
        found = [values(run) for run in sorted(runs, key=lambda run: rank(values(run), order))]
        for place, ascending in ((0, metric_ascending), (1, param_ascending)):
            column = [row[place] for row in found if place == 0 or row[0] == found[0][0]]
            present = [value for value in column if value is not None]
            assert column == present + [None] * (len(column) - len(present))
            assert present == sorted(present, reverse=not ascending)


class TestTokens:
    @given(
        st.none() | st.floats(allow_nan=False),
        st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        st.text("ab"),
    )
    def test_a_token_gives_back_the_place_of_a_row(self, number, text, run_id):
        order = parse_run_order(["metrics.a", "params.b"])
        token = encode_token((number, text, run_id), "query")
        assert re.fullmatch(r"[\w=-]+", token)
        assert decode_token(token, "query", order) == (number, text, run_id)

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "!",
            "ü",
            "W10=",
            encode_token((1.0, "r"), "another query"),
            encode_token((1.0,), "query"),
            encode_token(("1", "r"), "query"),
            encode_token((1.0, 2.0), "query"),
            encode_token((True, "r"), "query"),
            encode_token(({}, "r"), "query"),
        ],
    )
    def test_what_is_no_token_of_the_query_is_refused(self, token):
        with pytest.raises(InvalidParameter, match="page token"):
            decode_token(token, "query", parse_run_order([]))

    def test_a_fingerprint_is_that_of_what_is_found_not_of_how_much(self):
        query = RunQuery(["1", "2"], filter="status = 'a'")
        assert fingerprint(query) == fingerprint(
            RunQuery(["2", "1"], filter="status = 'a'", max_results=5, params=False)
        )
        others = [
            RunQuery(["1"], filter="status = 'a'"),
            RunQuery(["1", "2"]),
            RunQuery(filter="status = 'a'"),
            RunQuery(["1", "2"], filter="status = 'a'", view=ViewType.ALL),
            RunQuery(["1", "2"], filter="status = 'a'", order_by=["status"]),
            RunQuery(),
            ExperimentQuery(),
        ]
        assert len({fingerprint(other) for other in [query, *others]}) == 8


def test_a_lone_surrogate_in_a_filter_is_the_question_mark_that_stores_keep_of_it():
    assert parse_run_filter("params.`a\ud800` = 'b\udfff'") == parse_run_filter("params.`a?` = 'b?'")
    assert parse_run_order(["params.`a\ud800`"]) == parse_run_order(["params.`a?`"])
