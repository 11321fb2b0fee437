"""A key may be any text: it comes back as it was, or is refused by a sentence; it never harms another."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from scripts import stored_points, stored_runs

import autolog
from autolog.errors import InvalidParameter

KEYS: Final = {
    "spaces around": "  a key  ",
    "only a space": " ",
    "newline": "a\nb",
    "newlines of every kind": "a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h",
    "escaped newline": "a\\nb",
    "backslashes": "\\\\\\",
    "quotes": "\"a\" 'b' `c` \u201cd\u201d",
    "two quotes": '""',
    "a line of points": "1,2,loss,0.5\n3,4,loss,0.25",
    "commas": ",,,",
    "path separators": "../../etc/passwd",
    "absolute path": "/etc/passwd",
    "Windows path": "C:\\Windows\\..\\NUL",
    "dots": "..",
    "percent": "%2e%2e%2f%00%s%d{0}",
    "SQL": "'; DROP TABLE runs; --",
    "regular expression": "(.*)+$^[a-z]{2,}\\d|?",
    "JSON": '{"status": "FAILED"}',
    "number": "1.0",
    "not a number": "NaN",
    "null": "null",
    "leading minus": "--backend",
    "NUL": "a\x00b",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x1b[31m",
    "right to left": "\u202e\u0645\u0641\u05de\u05e4\u202c",
    "combining": "e\u0301",
    "precomposed": "\u00e9",
    "upper case": "KEY",
    "lower case": "key",
    "full width": "\uff4b\uff45\uff59",
    "emoji": "\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308",
    "outside of the basic plane": "𝔘𐀀",
    "byte order mark": "\ufeffkey",
    "zero width": "a\u200bb",
    "10 kB": "k" * 10_000,
    "10 kB, one other": "k" * 9_999 + "j",
    "10 kB of emoji": "🙂" * 2_500,
}


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_keys_of_every_hostile_kind_come_back_as_they_were(scheme: str, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'runs'}" if scheme == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    with autolog.enable(url):
        with autolog.start_run() as run:
            for number, key in enumerate(KEYS.values()):
                for step in range(3):
                    autolog.log_metric(key, number * 0.5, step=step)
                autolog.log_param(key, key)
                autolog.set_tag(key, key)
        assert autolog.flush(60)
    stored = next(each for each in stored_runs(url) if each.info.run_id == run.info.run_id)
    assert stored.data.params == {key: key for key in KEYS.values()}
    assert stored.data.tags.items() >= {key: key for key in KEYS.values()}.items()
    assert stored.data.metrics == {key: number * 0.5 for number, key in enumerate(KEYS.values())}
    for number, key in enumerate(KEYS.values()):
        assert stored_points(url, run.info.run_id, key) == [(step, number * 0.5) for step in range(3)]
    assert [path for path in tmp_path.rglob("*") if path.name in {"passwd", "etc"}] == []


def test_what_no_encoding_has_becomes_a_question_mark(tmp_path: Path) -> None:
    with autolog.start_run() as run:
        autolog.log_metric("a\ud800b", 1.0)
        autolog.log_param("c\udfffd", "\ud83d")
    assert run.data.metrics == {"a?b": 1.0}
    assert run.data.params == {"c?d": "?"}


@pytest.mark.parametrize("key", ["", None, 5, b"bytes"])
def test_what_is_no_key_is_refused_and_nothing_is_recorded(key: object) -> None:
    with autolog.start_run() as run:
        for log in (autolog.log_metric, autolog.log_param, autolog.set_tag):
            with pytest.raises(InvalidParameter, match="cannot be used"):
                log(key, 1)  # type: ignore[arg-type]
    assert (run.data.metrics, run.data.params) == ({}, {})
