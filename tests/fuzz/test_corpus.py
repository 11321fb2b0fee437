"""What a fuzzer has found to reach different code is read without one, in every run of the tests."""

from __future__ import annotations

import pytest
from fuzz_targets import CORPUS, TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_is_read_or_refused(target: str) -> None:
    paths = sorted((CORPUS / target).iterdir())
    assert paths
    for path in paths:
        print(path)
        TARGETS[target](path.read_bytes())
