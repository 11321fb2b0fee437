"""Page tokens: where a page ended, as the order values of its last row.

The next page is what sorts after that row, so pages neither repeat nor skip a record while new ones arrive,
and the hundredth page costs what the first did. A token carries a fingerprint of its query,
because in any other query the place would mean nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from autolog.backend import MAX_RESULTS, ExperimentQuery, RunQuery
from autolog.errors import InvalidParameter
from autolog.search.expression import OrderKey, OrderValue


def check_max_results(max_results: int) -> None:
    """Raise InvalidParameter unless a page may have this size."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise InvalidParameter(f"max_results is {max_results}; a page holds from 1 to {MAX_RESULTS:,} results")


def fingerprint(query: RunQuery | ExperimentQuery) -> str:
    """Return a short digest of what decides which records a query finds and in which order."""
    identity: list[object] = [type(query).__name__, query.filter, query.view.value, list(query.order_by)]
    if isinstance(query, RunQuery) and query.experiment_ids is not None:
        identity.append(sorted(set(query.experiment_ids)))
    return hashlib.blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest()


def encode_token(values: Sequence[OrderValue], fingerprint: str) -> str:
    """Return the token of the page that begins after the row with these order values."""
    text = json.dumps([fingerprint, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode_token(token: str, fingerprint: str, order: Sequence[OrderKey]) -> tuple[OrderValue, ...]:
    """Return the order values in a token.

    Raises:
        InvalidParameter: it is not a token, or not one of this query.
    """
    try:
        content = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"{_shown(token)} is not a page token") from error
    if not isinstance(content, list) or len(content) != len(order) + 1 or content[0] != fingerprint:
        raise InvalidParameter(
            f"the page token {_shown(token)} belongs to another query; "
            "filter, order_by, view and experiments must be those of the page that gave it",
        )
    for value, key in zip(content[1:], order, strict=True):
        fits = isinstance(value, (int, float)) if key.field.is_numeric else isinstance(value, str)
        if value is not None and (not fits or isinstance(value, bool)):
            raise InvalidParameter(f"{_shown(token)} is not a page token")
    return tuple(content[1:])


def _shown(token: str) -> str:
    return repr(token if len(token) <= 40 else token[:40] + "…")  # noqa: PLR2004 - enough to recognise it
