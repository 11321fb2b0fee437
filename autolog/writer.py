"""The writer: drains one journal into one backend, batch by batch, exactly once.

It knows a journal by its folder and a backend by its URL and nothing else of the process that trains,
so that it runs as well in a thread of that process as in another, while the process lives or after its death.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autolog.backend import Backend, Batch
from autolog.backends import open_backend
from autolog.committed import write_committed
from autolog.entities import Artifact
from autolog.errors import NotFound
from autolog.events import ArtifactLogged
from autolog.journal_reader import JournalReader
from autolog.late_imports import importing
from autolog.values import shorten

if TYPE_CHECKING:
    from autolog.artifact_store import ArtifactStore

logger = logging.getLogger("autolog")

# What could not be stored or read is kept in this folder of the spool.
DAMAGED: Final = "damaged"

# A file system that answers so will answer so again: the name is too long, or a folder is where a file should be.
_NEVER: Final = frozenset({errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP})


class Writer:
    """Moves the records of a journal into a backend.

    Args:
        folder: the journal's folder.
        url: of the backend, which is opened before the first batch, and again after a failure.
        finished: the journal's process is gone.
    """

    def __init__(self, folder: Path, url: str, *, finished: bool = False) -> None:
        self.reader = JournalReader(folder, finished=finished)
        self.committed = self.reader.position
        self._url = url
        self._backend: Backend | None = None
        self._pending: Batch | None = None

    def step(self) -> bool:
        """Move one batch; return whether there was one.

        A batch that fails stays pending and is the next to be tried: nothing is passed over.

        Raises:
            AutologError: the backend or the artifact store cannot take it now.
            OSError: the same, from below.
        """
        batch = self._pending or self.reader.read()
        if batch is None:
            return False
        self._pending = batch
        if self._backend is None:
            self._backend = open_backend(self._url)
        self._backend.write(batch)
        self._store_artifacts(self._backend, batch)
        self._pending = None
        self.committed = batch.end
        write_committed(self.reader.folder, batch.end)
        self.reader.release(batch.end)
        return True

    def reset(self) -> None:
        """Close the backend, so that the next step opens it anew."""
        if self._backend is not None:
            backend, self._backend = self._backend, None
            backend.close()

    def close(self) -> None:
        """Give everything back."""
        self.reader.close()
        self.reset()

    def _store_artifacts(self, backend: Backend, batch: Batch) -> None:
        logged: dict[str, list[ArtifactLogged]] = defaultdict(list)
        for _, fact in batch.facts:
            if isinstance(fact, ArtifactLogged):
                logged[fact.run_id].append(fact)
        if not logged:
            return
        with importing():
            from autolog.artifact_store import ArtifactStore
        for run_id, facts in logged.items():
            try:
                store = ArtifactStore(backend.artifact_uri(run_id))
            except NotFound as error:
                # Removed for ever while this process still logged to it.
                for fact in facts:
                    self._set_aside(fact, str(error))
                continue
            stored = [artifact for fact in facts if (artifact := self._store(store, fact)) is not None]
            backend.record_artifacts(run_id, stored)
            for fact in facts:
                if fact.content is None:
                    self._staged(fact).unlink(missing_ok=True)

    def _staged(self, fact: ArtifactLogged) -> Path:
        return self.reader.folder / "stage" / fact.staged

    def _store(self, store: ArtifactStore, fact: ArtifactLogged) -> Artifact | None:
        source: Path | bytes = self._staged(fact) if fact.content is None else fact.content
        if isinstance(source, Path) and not source.exists():
            # Stored in an earlier try of the same batch, which failed after it.
            return None
        try:
            return store.put(source, fact.path)
        except OSError as error:
            if error.errno not in _NEVER:
                raise
            self._set_aside(fact, error.strerror)
            return None

    def _set_aside(self, fact: ArtifactLogged, reason: str | None) -> None:
        """Keep a file that its store will never take, so that it does not hold up what comes after it."""
        staged = self._staged(fact)
        if fact.content is None and not staged.exists():
            return
        aside = self.reader.folder.parent / DAMAGED
        aside.mkdir(mode=0o700, exist_ok=True)
        if fact.content is None:
            kept = staged.replace(aside / f"{self.reader.folder.name}-{staged.name}")
        else:
            # The same in every try of a batch, so that it is kept once.
            name = hashlib.sha256(f"{fact.run_id}/{fact.path}/".encode() + fact.content).hexdigest()[:16]
            kept = aside / f"{self.reader.folder.name}-{name}"
            kept.write_bytes(fact.content)
        logger.warning(
            "the artifact %s of the run %s cannot be stored (%s); its content is kept as %s",
            shorten(fact.path),
            fact.run_id,
            reason,
            kept,
        )
