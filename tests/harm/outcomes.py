"""A pytest plugin: it enables autolog if it is told to, and writes down how every test ended and what it warned of."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import traceback
import zlib
from pathlib import Path

import numpy
import pytest

ENABLED = os.environ["AUTOLOG_HARM_ENABLED"] == "1"
# What differs from one process to the next: addresses, folders of one's own, times, and the rule drawn beside a time.
_UNITS = "ns|us|µs|ms|s|sec|secs|seconds|min"
PASSING = re.compile(
    rf"[_-]{{9,}}|\[\d\d:\d\d:\d\d\]|0x[0-9a-f]+|/tmp/[^\s'\"]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?\s?(?:{_UNITS})\b"
)
# Some warnings hold a whole traceback; a hooked call has one frame of autolog's in it, by its file or by its name.
FRAME = re.compile(
    r'  File "(?:[^"]*autolog/\w+\.py[^"]*", line \d+, in \w+|[^"]*", line \d+, in <autolog>)\n(?:    .*\n)*'
)

outcomes: dict[str, str] = {}
warned: dict[str, set[str]] = {}
printed: dict[str, str] = {}
drawn: dict[str, int] = {}
complaints: list[str] = []


class Complaints(logging.Handler):
    """Keeps what autolog says of itself, with the traceback: nothing here should be too much for it."""

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else ""
        complaints.append(f"{record.getMessage()}\n{trace}")


if ENABLED:
    import autolog

    logging.getLogger("autolog").addHandler(Complaints(logging.WARNING))
    autolog.enable(system_metrics=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test with the same random numbers, since many draw from the global generators."""
    random.seed(0)
    numpy.random.seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item) -> None:
    """Note where a test has left the global generators: autolog draws nothing from them."""
    state = random.getstate(), numpy.random.get_state()[1].tobytes(), numpy.random.get_state()[2:]
    drawn[item.nodeid] = zlib.crc32(repr(state).encode())


def pytest_runtest_logreport(report) -> None:
    """Keep the worst outcome of a test's three phases, and what its call printed on stdout."""
    if report.when == "call" or report.outcome != "passed":
        outcome = f"xfail-{report.outcome}" if hasattr(report, "wasxfail") else report.outcome
        outcomes[report.nodeid] = outcome
    if report.when == "call" and report.capstdout:
        printed[report.nodeid] = PASSING.sub("…", report.capstdout)


def pytest_warning_recorded(warning_message, nodeid) -> None:
    """Keep the warnings of a test as a set: what, and from which file it seems to come."""
    place = Path(warning_message.filename)
    text = PASSING.sub("…", FRAME.sub("", str(warning_message.message)))
    warning = f"{warning_message.category.__name__} of {place.parent.name}/{place.name}: {text}"
    warned.setdefault(nodeid, set()).add(warning)


def pytest_sessionfinish() -> None:
    """Write it all."""
    stored = True
    if ENABLED:
        import autolog

        stored = autolog.flush(300)
    found = {
        "outcomes": outcomes,
        "warnings": {test: sorted(warnings) for test, warnings in warned.items()},
        "printed": printed,
        "random": drawn,
        "complaints": complaints,
        "stored": stored,
    }
    Path(os.environ["AUTOLOG_HARM_REPORT"]).write_text(json.dumps(found), encoding="utf-8")
