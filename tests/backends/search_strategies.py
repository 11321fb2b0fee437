"""Filters on runs as hypothesis makes them: trees, and the texts that a person might write for them."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from autolog.search import And, Comparison, Entity, Expression, Field, Not, Operator, Or

# A lone surrogate is a question mark in every store, and in every filter.
TEXTS: Final = st.characters(exclude_categories=["Cs"])
# Few, so that a random run often has what a random filter asks for; each has been mistaken for another by some store.
KEYS: Final = ("a", "A", "a ", "a b", "é", "e\u0301", "loss", "x`y", 'x"y', "a.b/c:d-e", "%")
VALUES: Final = (
    "",
    "a",
    "A",
    "a ",
    "ab",
    "aB",
    "a%",
    "a_",
    "ä",
    "Ä",
    "ß",
    "SS",
    "a'b",
    'a"b',
    "a\nb",
    "*",
    "[a]",
    "!",
    "\\",
    "🔑",
)
PATTERNS: Final = (*VALUES, "%", "_", "%a%", "a_", "%_", "__", "a%%", "[a]%", "!%", "\\%", "%\n%", "_\n_")
NUMBERS: Final = (0.0, -0.0, 1.0, -1.5, 0.1, 1e308, 5e-324, 1e-3, 3.0, 253402300799999.0)

_ALIASES: Final = {
    Entity.ATTRIBUTE: ("attributes", "attribute", "attr", "run"),
    Entity.METRIC: ("metrics", "metric"),
    Entity.PARAM: ("params", "param", "parameters", "parameter"),
    Entity.TAG: ("tags", "tag"),
    Entity.DATASET: ("datasets", "dataset"),
}
_TEXT_ATTRIBUTES: Final = ("run_id", "run_name", "status", "user_id", "lifecycle_stage", "experiment_id")
_NUMBER_ATTRIBUTES: Final = ("start_time", "end_time")

_keys = st.one_of(st.sampled_from(KEYS), st.text(TEXTS, min_size=1, max_size=4))
_texts = st.one_of(st.sampled_from(VALUES), st.text(TEXTS, max_size=4))
_numbers = st.one_of(st.sampled_from(NUMBERS), st.floats(allow_nan=False, allow_infinity=False))
_text_fields = st.one_of(
    st.builds(Field, st.sampled_from([Entity.PARAM, Entity.TAG]), _keys),
    st.builds(Field, st.just(Entity.ATTRIBUTE), st.sampled_from(_TEXT_ATTRIBUTES)),
    st.builds(Field, st.just(Entity.DATASET), st.sampled_from(["name", "digest", "context"])),
)
_number_fields = st.one_of(
    st.builds(Field, st.just(Entity.METRIC), _keys),
    st.builds(Field, st.just(Entity.ATTRIBUTE), st.sampled_from(_NUMBER_ATTRIBUTES)),
)
comparisons = st.one_of(
    st.builds(Comparison, _text_fields, st.sampled_from([Operator.EQ, Operator.NE]), _texts),
    st.builds(
        Comparison,
        _text_fields,
        st.sampled_from([Operator.LIKE, Operator.ILIKE]),
        st.one_of(st.sampled_from(PATTERNS), _texts),
    ),
    st.builds(
        Comparison,
        _text_fields,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.lists(_texts, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        Comparison,
        _number_fields,
        st.sampled_from([Operator.EQ, Operator.NE, Operator.LT, Operator.LE, Operator.GT, Operator.GE]),
        _numbers,
    ),
    st.builds(
        Comparison,
        st.one_of(_text_fields, _number_fields),
        st.sampled_from([Operator.IS_NULL, Operator.IS_NOT_NULL]),
        st.none(),
    ),
)


def _combine(clauses: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(clauses, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, clauses))


expressions = st.recursive(comparisons, _combine, max_leaves=6)


def write(expression: Expression, data: st.DataObject) -> str:
    """Write a filter as a person might: in either case, with or without spaces, by any name of a field."""
    match expression:
        case And(clauses) | Or(clauses):
            word = _in_some_case("AND" if isinstance(expression, And) else "OR", data)
            return f" {word} ".join(_as_clause(clause, data) for clause in clauses)
        case Not(clause):
            return f"{_in_some_case('NOT', data)} {_as_clause(clause, data)}"
    field = write_field(expression.field, data)
    operator = " ".join(_in_some_case(word, data) for word in expression.operator.value.split())
    value = expression.value
    if value is None:
        return f"{field} {operator}"
    space = data.draw(st.sampled_from(["", " ", "\n", "\t "]))
    if isinstance(value, tuple):
        return f"{field} {operator}{space}({f'{space},'.join(write_text(each, data) for each in value)})"
    if isinstance(value, str):
        return f"{field} {operator}{space}{write_text(value, data)}"
    return f"{field}{space}{operator}{space}{value!r}"


def _as_clause(expression: Expression, data: st.DataObject) -> str:
    text = write(expression, data)
    needed = isinstance(expression, (And, Or))
    return f"({text})" if needed or data.draw(st.booleans()) else text


def _in_some_case(word: str, data: st.DataObject) -> str:
    return data.draw(st.sampled_from([word, word.lower(), word.title()]))


def write_field(field: Field, data: st.DataObject) -> str:
    """Write a field by one of its names, its key quoted where that is needed or nice."""
    prefix = data.draw(st.sampled_from(_ALIASES[field.entity])) + "."
    if field.entity is Entity.ATTRIBUTE and data.draw(st.booleans()):
        prefix = ""
    is_plain = field.key.isascii() and field.key.replace("_", "a").isalnum()
    quotes = ["`", '"', *([""] if is_plain else [])]
    quote = data.draw(st.sampled_from(quotes))
    return f"{prefix}{quote}{field.key.replace(quote, quote * 2) if quote else field.key}{quote}"


def write_text(text: str, data: st.DataObject) -> str:
    """Write a text in either kind of quotes."""
    quote = data.draw(st.sampled_from(["'", '"']))
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"
