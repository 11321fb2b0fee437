"""Error isolation: what goes wrong in autolog's own code is one line on the logger, never the user's problem."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Final

logger = logging.getLogger("autolog")

_reported: Final[set[str]] = set()


class Strictness:
    """Whether autolog's own errors are raised, as tests and CI want, instead of logged."""

    enabled = False


class guard:  # noqa: N801  it reads as a statement, as contextlib's do
    """Run a block of autolog's own code so that its errors stay inside.

    ``KeyboardInterrupt`` and the like are the user's and pass; a ``SystemExit`` can only come from code of the user's
    that we called, and must not end the training that we called it for.
    Each place reports its first error and is silent about later ones.

    Args:
        where: what the block does, for the log line.
    """

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> bool:
        if not isinstance(error, (Exception, SystemExit)) or Strictness.enabled:
            return False
        _tell(self.where, error)
        return True


def report(where: str, error: Exception) -> None:
    """Deal with an error of autolog's own as ``guard`` does, where a block costs too much.

    Args:
        where: as of ``guard``.
        error: being handled; raised again in strict mode.
    """
    if Strictness.enabled:
        raise error
    _tell(where, error)


def _tell(where: str, error: BaseException) -> None:
    if where in _reported:
        return
    _reported.add(where)
    # As text: a log record that is kept must not keep the error's frames, and the user's data in them.
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    logger.warning("autolog failed in %s (%s); your code is not affected, the record is incomplete", where, text)
    logger.debug("the failure in %s", where, exc_info=error)
