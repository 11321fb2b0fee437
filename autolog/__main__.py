"""``python -m autolog`` is the command line."""

from __future__ import annotations

from autolog.cli import main

main()
