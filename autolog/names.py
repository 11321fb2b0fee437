"""Names for runs that nobody has named: easy to say and to remember."""

from __future__ import annotations

import os
from typing import Final

# fmt: off
_ADJECTIVES: Final = (
    "amber", "bold", "bright", "calm", "clear", "clever", "crisp", "eager", "fair", "fast", "gentle", "glad",
    "golden", "keen", "kind", "lively", "lucky", "merry", "neat", "noble", "patient", "proud", "quick", "quiet",
    "rapid", "ready", "sharp", "smooth", "solid", "steady", "sunny", "swift", "tidy", "true", "warm", "wise",
)
_NOUNS: Final = (
    "badger", "basin", "beacon", "birch", "brook", "canyon", "cedar", "comet", "coral", "crane", "delta", "eagle",
    "ember", "falcon", "fern", "fjord", "forest", "glacier", "harbor", "heron", "island", "lagoon", "lark", "lynx",
    "maple", "meadow", "moose", "orchid", "otter", "owl", "raven", "river", "robin", "summit", "trout", "willow",
)
# fmt: on


def invent_name() -> str:
    """Return a name such as ``quiet-otter-417``, drawn without touching the program's random state."""
    drawn = int.from_bytes(os.urandom(8), "big")
    drawn, adjective = divmod(drawn, len(_ADJECTIVES))
    drawn, noun = divmod(drawn, len(_NOUNS))
    return f"{_ADJECTIVES[adjective]}-{_NOUNS[noun]}-{drawn % 900 + 100}"
