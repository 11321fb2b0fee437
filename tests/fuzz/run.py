"""Fuzz one target, or each in turn, from the corpus that is kept: ``run.py [--seconds N] [--keep] [target …]``.

What is found new goes to a folder of its own; ``--keep`` merges what of it reaches new code into the corpus.
An input that fails is left beside the corpus as ``crash-…``, and the command fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments, options = parser.parse_known_args()
    if arguments.inside:
        fuzz(arguments.targets[0], options)
    from fuzz_targets import CORPUS, TARGETS

    for target in arguments.targets or list(TARGETS):
        corpus = CORPUS / target
        with tempfile.TemporaryDirectory() as found:
            print(f"fuzzing {target} for {arguments.seconds} s", flush=True)
            limits = [f"-max_total_time={arguments.seconds}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=4096"]
            words = HERE / f"{target}.words"
            if words.exists():
                limits.append(f"-dict={words}")
            status = run_inside(target, *limits, f"-artifact_prefix={HERE}/{target}-", found, str(corpus))
            if status:
                return status
            if arguments.keep:
                keep(target, corpus, Path(found))
    return 0


def keep(target: str, corpus: Path, found: Path) -> None:
    """Replace the corpus by the smallest set of inputs that reaches what it and the new inputs reach."""
    with tempfile.TemporaryDirectory() as merged:
        if run_inside(target, "-merge=1", merged, str(corpus), str(found)) == 0 and any(Path(merged).iterdir()):
            for path in corpus.iterdir():
                path.unlink()
            for path in Path(merged).iterdir():
                (corpus / path.name[:16]).write_bytes(path.read_bytes())


def run_inside(target: str, *options: str) -> int:
    """Run libFuzzer, which ends the process that it runs in."""
    command = [sys.executable, __file__, "--inside", target, *options]
    return subprocess.run(command, check=False, env=os.environ | {"PYTHONUNBUFFERED": "1"}).returncode


def fuzz(target: str, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["autolog", "lark"]):
        import lark  # noqa: F401  autolog imports it late
        from fuzz_targets import TARGETS
    # A merge runs the command again for every input that fails, and puts it together without quotes.
    atheris.Setup([f"{sys.executable} {__file__} --inside {target}", *options], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
