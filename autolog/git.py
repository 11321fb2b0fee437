"""The state of the git repository that a script belongs to, read through the ``git`` command.

Nothing is changed by reading: no lock is taken, no index refreshed, no daemon started, nothing fetched or asked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from autolog.redaction import REDACTED, redact_url

TIMEOUT: Final = 10.0
"""Seconds after which a git command is given up."""

DIFF_LIMIT: Final = 8 << 20
"""Bytes of a diff that are kept."""

# Lists are cut at this many bytes: a folder of a million untracked images is no reason to hold their names.
_LIST_LIMIT: Final = 1 << 20
# What a diff is taken against where nothing has been committed yet: the tree that every repository has.
_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SETTINGS: Final = (
    *("--no-pager", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "color.ui=false"),
    *("-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false", "-c", "diff.relative=false"),
)
_QUIET: Final = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
# A training started from a git hook inherits the hook's repository, which need not be the script's.
_INHERITED: Final = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})


class GitState(Struct, frozen=True, kw_only=True):
    """A working tree at one moment.

    ``commit`` is empty before the first one, ``branch`` where HEAD is detached. ``dirty`` says that tracked files
    differ from the commit, and ``diff`` how, staged or not, as ``git apply`` takes it; ``diff_truncated`` says that it
    was cut at ``DIFF_LIMIT`` bytes. Of files that git does not track, ``untracked`` has the names only.
    """

    root: str
    commit: str = ""
    branch: str = ""
    remote: str = ""
    dirty: bool = False
    diff: str = ""
    diff_truncated: bool = False
    untracked: tuple[str, ...] = ()


def read_git_state(folder: Path) -> GitState | None:
    """Return the state of the working tree that a folder is in; None where it is in none, or git is missing.

    What one git command cannot tell in time stays empty.
    """
    try:
        root = _run_git(folder, "rev-parse", "--show-toplevel").decode(errors="replace").rstrip("\n")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    commit = branch = remote = diff = ""
    dirty = truncated = False
    untracked: list[str] = []
    # Looking for untracked files can take for ever in a folder of data; without them git has to look at its own only.
    for untracked_files in ("normal", "no"):
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            commit, branch, dirty, untracked = _parse_status(
                _run_git(folder, "status", "--porcelain=v2", "--branch", "-z", f"--untracked-files={untracked_files}")
            )
            break
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        remote = _choose_remote(_run_git(folder, "config", "-z", "--get-regexp", r"^remote\..*\.url$"))
    if dirty:
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            diff, truncated = _read_diff(folder, commit)
    return GitState(
        root=root,
        commit=commit,
        branch=branch,
        remote=remote,
        dirty=dirty,
        diff=diff,
        diff_truncated=truncated,
        untracked=tuple(untracked),
    )


def _parse_status(status: bytes) -> tuple[str, str, bool, list[str]]:
    commit = branch = ""
    dirty = False
    untracked: list[str] = []
    entries = iter(status.decode(errors="replace").split("\0"))
    for entry in entries:
        kind, _, rest = entry.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid" and value != "(initial)":
                commit = value
            elif name == "branch.head" and value != "(detached)":
                branch = value
        elif kind == "?":
            untracked.append(rest)
        elif kind in {"1", "2", "u"}:
            dirty = True
            if kind == "2":
                next(entries, None)  # where a renamed file was
    return commit, branch, dirty, untracked


def _choose_remote(listed: bytes) -> str:
    urls: dict[str, str] = {}
    for entry in listed.decode(errors="replace").split("\0"):
        key, _, url = entry.partition("\n")
        urls.setdefault(key, url)
    url = urls.get("remote.origin.url") or next(iter(urls.values()), "")
    # Without the mark for what was taken out, so that the address can be cloned from.
    return redact_url(url).replace(f"{REDACTED}@", "", 1)


def _read_diff(folder: Path, commit: str) -> tuple[str, bool]:
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--binary", "--submodule=diff", "--find-renames")
    diff = _run_git(folder, "diff", *options, commit or _EMPTY_TREE, limit=DIFF_LIMIT + 1)
    return diff[:DIFF_LIMIT].decode(errors="replace"), len(diff) > DIFF_LIMIT


def _run_git(folder: Path, *arguments: str, limit: int = _LIST_LIMIT) -> bytes:
    """Return up to ``limit`` bytes of what a git command prints.

    Raises:
        OSError: git cannot be started.
        subprocess.SubprocessError: it failed, or took longer than ``TIMEOUT``.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _INHERITED} | _QUIET
    with subprocess.Popen(  # noqa: S603  every word is ours
        ("git", *_SETTINGS, *arguments),  # noqa: S607  the git that the user's own shell would run
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A group of its own, so that the filters it starts end with it, and Ctrl-C is the user's.
        start_new_session=True,
    ) as process:
        timer = threading.Timer(TIMEOUT, _kill, [process])
        timer.daemon = True
        timer.start()
        try:
            output = process.stdout.read(limit) if process.stdout else b""
            complete = len(output) < limit
            if not complete:
                _kill(process)
            code = process.wait()
        finally:
            timer.cancel()
            _kill(process)
    if code != 0 and complete:
        raise subprocess.CalledProcessError(code, process.args)
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
