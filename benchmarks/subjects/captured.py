"""The scripts whose capture is compared, and how long one takes: what the subjects of both tools share."""

from __future__ import annotations

import io
import runpy
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

SCRIPTS: Final = Path(__file__).parent.parent / "captured"


def time_script(name: str, finish: Callable[[], object] = lambda: None) -> float:
    """Run a script as its own program, and return the seconds until it has ended and all is stored."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        finish()
        return time.perf_counter() - started
