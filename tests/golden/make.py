"""Make a store of every kind with today's code: ``python tests/golden/make.py FOLDER``.

The results for each released format lie beside this file, and are never made anew: what made them is of the past.
When a format changes, make those of the new format and add them. ``golden_content.py`` says what is in all of them.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import msgspec
from golden_content import ARTIFACT, EXPERIMENT, FACTS, POINTS, RUN, SECONDS

from autolog.backends import open_backend
from autolog.backends.sql.schema import SCHEMA_VERSION
from autolog.journal import Journal, read_info
from autolog.segments import POINT_MARK, pack_point
from autolog.testing.journals import FakeJournal


def main(folder: Path) -> None:
    """Make them in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fill(f"file:{folder / 'file-format-1'}")
    fill(f"sqlite:///{folder / f'sqlite-schema-{SCHEMA_VERSION}.db'}")
    make_journal(folder)


def fill(url: str) -> None:
    """Write a store."""
    backend = open_backend(url)
    points = {
        (RUN, key): [(step, int(SECONDS + place) * 1000, value) for place, (step, value) in enumerate(rows)]
        for key, rows in POINTS.items()
    }
    FakeJournal("golden").write(backend, EXPERIMENT, *FACTS, points=points)
    backend.record_artifacts(RUN, [ARTIFACT])
    backend.close()


def make_journal(folder: Path) -> None:
    """Write a journal of which nothing has been sent, and pack it: most of its files are zeros."""
    journal = Journal(folder / "spool", "file:/nowhere")
    for fact in (EXPERIMENT, *FACTS):
        journal.append(fact)
    for key, rows in POINTS.items():
        series = journal.define_series(RUN, key) or 0
        for place, (step, value) in enumerate(rows):
            journal.append_point(pack_point(series, POINT_MARK, step, SECONDS + place, value) * 2)
    journal.close()
    journal.release(remove=False)
    info = msgspec.structs.replace(read_info(journal.folder), journal="journal", host="golden", pid=1).seal()
    (journal.folder / "journal.json").write_bytes(msgspec.json.encode(info))
    with tarfile.open(folder / "journal-format-1.tar.gz", "w:gz") as archive:
        archive.add(journal.folder, "journal", filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]))
