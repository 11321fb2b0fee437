"""The search language: MLflow's filter grammar plus OR, NOT, IN and parentheses, and how results are ordered and paged.

A filter becomes a small tree of frozen dataclasses, which every backend reads in its own way:
the file backend calls ``matcher``, the SQL backend compiles the tree to a WHERE clause.

The logic has two values. A comparison with something that the record has not is false, except ``IS NULL``;
``NOT`` is the plain negation of what follows it. A comparison on ``dataset.*`` is true if any input of the run fits.
Metrics are compared by their latest value, as IEEE numbers: NaN is equal to nothing.
``LIKE`` knows ``%`` and ``_``, has no escape character, looks at the whole value and at the case of letters;
``ILIKE`` does not look at the case.
"""

from autolog.search.expression import (
    NUMERIC_ATTRIBUTES,
    And,
    Comparison,
    Entity,
    Expression,
    Field,
    Not,
    Operator,
    Or,
    OrderKey,
    OrderValue,
)
from autolog.search.grammar import parse_experiment_filter, parse_experiment_order, parse_run_filter, parse_run_order
from autolog.search.matching import matcher, matches, order_values, rank
from autolog.search.paging import check_max_results, decode_token, encode_token, fingerprint

__all__ = [
    "NUMERIC_ATTRIBUTES",
    "And",
    "Comparison",
    "Entity",
    "Expression",
    "Field",
    "Not",
    "Operator",
    "Or",
    "OrderKey",
    "OrderValue",
    "check_max_results",
    "decode_token",
    "encode_token",
    "fingerprint",
    "matcher",
    "matches",
    "order_values",
    "parse_experiment_filter",
    "parse_experiment_order",
    "parse_run_filter",
    "parse_run_order",
    "rank",
]
