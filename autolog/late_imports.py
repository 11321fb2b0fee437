"""Imports on threads of ours, kept apart from forks.

A child that is forked while another thread imports a module finds that module's lock taken for ever.
The user's program decides when it forks; so our threads import under a lock that a fork waits for.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager

_turn = threading.RLock()


def importing() -> AbstractContextManager[object]:
    """Return what a thread of ours holds, in a ``with`` block, while it imports."""
    return _turn


def _acquire() -> None:
    _turn.acquire()


def _release() -> None:
    _turn.release()


def _begin_child() -> None:
    global _turn  # noqa: PLW0603  the parent's lock was taken by a thread that the child does not have
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_begin_child)
