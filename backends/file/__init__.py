"""A store in a folder: files that a person can read, grep and rsync, without a lock, on any file system.

Every file but ``experiment.json`` has one writer, the journal that it belongs to,
so that processes on many machines can add to one run over NFS::

    autolog-runs/
        store.json                      the format's version
        default-0/
            experiment.json
            3f2a…/
                run.json                the run as the journal that began it sees it
                metrics.csv             its points: time, step, key, value
                run.JOURNAL.json        what another journal changed
                metrics.JOURNAL.csv     and the points that it added
                artifacts/
"""

from autolog.backends.file.reader import FileReader
from autolog.backends.file.writer import FileBackend

__all__ = ["FileBackend", "FileReader"]
