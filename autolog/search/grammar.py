"""From text to expressions and orderings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from autolog.errors import InvalidFilter
from autolog.search.expression import And, Comparison, Entity, Expression, Field, Not, Operator, Or, OrderKey

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

_GRAMMAR: Final = r"""
?filter: conjunction (_OR conjunction)*
?conjunction: _test (_AND _test)*
_test: negation | comparison | list_comparison | null_comparison | "(" filter ")"
negation: _NOT _test
comparison: FIELD (COMPARATOR | LIKE) (STRING | NUMBER)
list_comparison: FIELD _IN _list -> in | FIELD _NOT _IN _list -> not_in
null_comparison: FIELD _IS _NULL -> is_null | FIELD _IS _NOT _NULL -> is_not_null
_list: "(" STRING ("," STRING)* ")"

order: FIELD [DIRECTION]

FIELD: /([^\W\d]\w*\.)?(`([^`]|``)*`|"([^"]|"")*"|\w[\w.\/:-]*)/
STRING: /'([^']|'')*'|"([^"]|"")*"/
NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w.])/
COMPARATOR: "=" | "!=" | "<=" | "<" | ">=" | ">"
LIKE.2: /I?LIKE(?!\w)/i
DIRECTION.2: /(ASC|DESC)(?!\w)/i
_AND.2: /AND(?!\w)/i
_OR.2: /OR(?!\w)/i
_NOT.2: /NOT(?!\w)/i
_IN.2: /IN(?!\w)/i
_IS.2: /IS(?!\w)/i
_NULL.2: /NULL(?!\w)/i
%import common.WS
%ignore WS
"""

# The words for what would fit, in the order in which a message names them.
_EXPECTED: Final = {
    "FIELD": "a field such as metrics.accuracy, params.max_depth or status",
    "COMPARATOR": "a comparison (=, !=, <, <=, > or >=)",
    "LIKE": "LIKE or ILIKE",
    "_IN": "IN",
    "_IS": "IS",
    "_NOT": "NOT",
    "_NULL": "NULL",
    "STRING": "text in quotes",
    "NUMBER": "a number",
    "_AND": "AND",
    "_OR": "OR",
    "LPAR": "'('",
    "COMMA": "','",
    "RPAR": "')'",
    "DIRECTION": "ASC or DESC",
    "$END": "the end",
}

_ENTITIES: Final = {
    **dict.fromkeys(("attributes", "attribute", "attr", "run"), Entity.ATTRIBUTE),
    **dict.fromkeys(("metrics", "metric"), Entity.METRIC),
    **dict.fromkeys(("params", "param", "parameters", "parameter"), Entity.PARAM),
    **dict.fromkeys(("tags", "tag"), Entity.TAG),
    **dict.fromkeys(("datasets", "dataset"), Entity.DATASET),
}
_NUMBER_OPERATORS: Final = (Operator.EQ, Operator.NE, Operator.LT, Operator.LE, Operator.GT, Operator.GE)
_TEXT_OPERATORS: Final = (Operator.EQ, Operator.NE, Operator.LIKE, Operator.ILIKE)

# Deeper filters are no person's, and whatever reads the tree is recursive.
_MAX_DEPTH: Final = 100
# How much of a long filter is shown on each side of the character in question.
_MARGIN: Final = 50


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is searched, and the fields that it has."""

    noun: str
    keys: dict[Entity, tuple[str, ...]]
    aliases: dict[str, str]
    default_order: tuple[OrderKey, ...]
    last_order: OrderKey


def _attribute(key: str) -> Field:
    return Field(Entity.ATTRIBUTE, key)


_RUNS: Final = _Subject(
    noun="run",
    # Where no keys are listed, the user's own names are the keys.
    keys={
        Entity.ATTRIBUTE: (
            "run_id",
            "run_name",
            "status",
            "user_id",
            "artifact_uri",
            "experiment_id",
            "lifecycle_stage",
            "start_time",
            "end_time",
        ),
        Entity.METRIC: (),
        Entity.PARAM: (),
        Entity.TAG: (),
        Entity.DATASET: ("name", "digest", "context"),
    },
    aliases={"created": "start_time"},
    default_order=(OrderKey(_attribute("start_time"), ascending=False),),
    last_order=OrderKey(_attribute("run_id"), ascending=True),
)
_EXPERIMENTS: Final = _Subject(
    noun="experiment",
    keys={
        Entity.ATTRIBUTE: ("experiment_id", "name", "lifecycle_stage", "creation_time", "last_update_time"),
        Entity.TAG: (),
    },
    aliases={},
    default_order=(OrderKey(_attribute("creation_time"), ascending=False),),
    last_order=OrderKey(_attribute("experiment_id"), ascending=True),
)


def parse_run_filter(text: str) -> Expression | None:
    """Parse a filter on runs; None for an empty one.

    Raises:
        InvalidFilter: it does not parse; the message points at the character and says what would fit.
    """
    return _parse_filter(text, _RUNS)


def parse_experiment_filter(text: str) -> Expression | None:
    """Parse a filter on experiments; None for an empty one. Raises InvalidFilter."""
    return _parse_filter(text, _EXPERIMENTS)


def parse_run_order(order_by: Sequence[str]) -> tuple[OrderKey, ...]:
    """Parse an ordering of runs, such as ``["metrics.accuracy DESC", "start_time"]``.

    ``start_time DESC`` stands in for an empty one, and ``run_id`` always decides last, so that the order is total.
    Raises InvalidFilter.
    """
    return _parse_order(order_by, _RUNS)


def parse_experiment_order(order_by: Sequence[str]) -> tuple[OrderKey, ...]:
    """Parse an ordering of experiments; completed by ``creation_time DESC`` and ``experiment_id``.

    Raises InvalidFilter.
    """
    return _parse_order(order_by, _EXPERIMENTS)


@lru_cache(maxsize=256)
def _parse_filter(text: str, subject: _Subject) -> Expression | None:
    # A lone surrogate is kept as a question mark, and so it is found.
    text = text.encode(errors="replace").decode()
    return _Builder(text, subject).expression(_parse(text, "filter")) if text.strip() else None


def _parse_order(order_by: Sequence[str], subject: _Subject) -> tuple[OrderKey, ...]:
    keys: dict[Field, OrderKey] = {}
    texts = [text.encode(errors="replace").decode() for text in order_by]
    named = [_Builder(text, subject).order_key(_parse(text, "order")) for text in texts]
    for key in (*(named or subject.default_order), subject.last_order):
        keys.setdefault(key.field, key)
    return tuple(keys.values())


@cache
def _parser() -> Lark:
    # Imported and built by the first search, so that nothing else pays for it.
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", start=["filter", "order"])


def _parse(text: str, start: str) -> Tree[Token]:
    from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        return _parser().parse(text, start=start)
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        position = len(text) if at_end or error.pos_in_stream is None else error.pos_in_stream
        if isinstance(error, UnexpectedCharacters) and text[position] in "'\"`":
            raise _invalid(text, position, "the quote that opens here is not closed") from None
        # The state at the error no longer knows what it could have taken before its last reduction.
        until = _parser().parse_interactive(text[:position], start=start)
        until.exhaust_lexer()
        fitting = until.accepts()  # type: ignore[no-untyped-call]  # lark leaves it untyped
        expected = _listed([words for name, words in _EXPECTED.items() if name in fitting])
        found = "the end" if position >= len(text.rstrip()) else repr(text[position:].split(maxsplit=1)[0][:_MARGIN])
        raise _invalid(text, position, f"expected {expected}, found {found}") from None


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _invalid(text: str, position: int, problem: str) -> InvalidFilter:
    begin, end = max(0, position - _MARGIN), position + _MARGIN
    before, after = " " * 2 + "…" * (begin > 0), "…" * (end < len(text))
    # One line, so that the caret stands under its character.
    shown = "".join(" " if letter.isspace() else letter for letter in text[begin:end])
    return InvalidFilter(f"{problem}:\n{before}{shown}{after}\n{' ' * (len(before) + position - begin)}^")


class _Builder:
    """Turns the parsed tree of one text into expressions, and knows where in the text each part stands."""

    def __init__(self, text: str, subject: _Subject) -> None:
        self._text = text
        self._subject = subject

    def order_key(self, tree: Tree[Token]) -> OrderKey:
        name, *direction = _tokens(tree)
        field = self._field(name)
        if field.entity is Entity.DATASET:
            raise self._error(name, "a run may have several data sets, so runs cannot be ordered by them")
        return OrderKey(field, ascending=not direction or direction[0].upper() == "ASC")

    def expression(self, tree: Tree[Token], depth: int = 0) -> Expression:
        if depth > _MAX_DEPTH:
            raise InvalidFilter(f"the filter is nested more than {_MAX_DEPTH} levels deep")
        if tree.data in ("filter", "conjunction", "negation"):
            clauses = tuple(self.expression(child, depth + 1) for child in tree.children if not isinstance(child, str))
            if tree.data == "negation":
                return Not(clauses[0])
            return Or(clauses) if tree.data == "filter" else And(clauses)
        name, *rest = _tokens(tree)
        field = self._field(name)
        match tree.data:
            case "is_null":
                return Comparison(field, Operator.IS_NULL, None)
            case "is_not_null":
                return Comparison(field, Operator.IS_NOT_NULL, None)
            case "in" | "not_in":
                operator = Operator.IN if tree.data == "in" else Operator.NOT_IN
                if field.is_numeric:
                    raise self._error(name, f"{name} holds numbers, and {operator.value} compares text")
                return Comparison(field, operator, tuple(_unquoted(token) for token in rest))
            case _:
                return self._comparison(name, field, *rest)

    def _comparison(self, name: Token, field: Field, sign: Token, literal: Token) -> Comparison:
        operator = Operator(sign.upper())
        fitting = _NUMBER_OPERATORS if field.is_numeric else _TEXT_OPERATORS
        kind = "numbers" if field.is_numeric else "text"
        if operator not in fitting:
            choice = _listed([each.value for each in fitting])
            raise self._error(sign, f"{name} holds {kind}, which is compared with {choice}, not with {operator.value}")
        if field.is_numeric != (literal.type == "NUMBER"):
            hint = "a number without quotes" if field.is_numeric else f"'{literal}' in quotes"
            raise self._error(literal, f"{name} holds {kind}; write {hint}")
        return Comparison(field, operator, float(literal) if field.is_numeric else _unquoted(literal))

    def _field(self, token: Token) -> Field:
        prefix, dot, name = ("", "", token) if token[0] in '`"' else token.partition(".")
        if not dot:
            prefix, name = "attribute", token
        entity = _ENTITIES.get(prefix)
        if entity is None or entity not in self._subject.keys:
            known = [alias for alias, entity in _ENTITIES.items() if entity in self._subject.keys]
            raise self._error(
                token,
                f"{self._subject.noun}s have no {prefix!r}{_suggestion(prefix, known)}; "
                f"fields begin with {_listed([f'{each.value}s.' for each in self._subject.keys])}",
            )
        if not name:
            raise self._error(token, f"{token} names no key")
        key = _unquoted(name) if name[0] in '`"' else str(name)
        key = self._subject.aliases.get(key, key) if entity is Entity.ATTRIBUTE else key
        keys = self._subject.keys[entity]
        if keys and key not in keys:
            elsewhere = [f"{other.value}s.{key[:_MARGIN]}" for other, names in self._subject.keys.items() if not names]
            raise self._error(
                token,
                f"{self._subject.noun}s have no {entity.value} {key[:_MARGIN]!r}{_suggestion(key, keys)}; "
                f"there are {', '.join(keys)}, and {_listed(elsewhere)} if one of those is meant",
            )
        return Field(entity, key)

    def _error(self, token: Token, problem: str) -> InvalidFilter:
        return _invalid(self._text, token.start_pos or 0, problem)


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [child for child in tree.children if isinstance(child, str)]


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


def _suggestion(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
