"""Database servers of the tests' own, which can be stopped, killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError


class PrivateServer:
    """A server in a temporary folder, on a free port of this machine.

    Args:
        user: of the system, that the server runs as where the tests run as root.
        initialize: makes the folder's content; is given the folder.
        command: starts the server in the foreground; is given folder and port.
        url: of its store, with ``{port}``.
        administration: URL of the database in which the store's is made, with ``{port}``.
        immediate: the signal that ends it without writing anything down.
    """

    def __init__(
        self,
        user: str,
        initialize: Callable[[Path], list[str]],
        command: Callable[[Path, int], list[str]],
        url: str,
        administration: str,
        immediate: signal.Signals,
    ) -> None:
        self._user = user if os.getuid() == 0 else None
        self._command = command
        self._immediate = immediate
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="autolog-server-"))
        if self._user:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run(initialize(self.folder)).wait(120)
        self.port = free_port()
        self.url = url.format(port=self.port)
        self._administration = create_engine(
            administration.format(port=self.port), isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._process = self._run(self._command(self.folder, self.port))
        deadline = time.monotonic() + 60
        while not self.answers():
            if time.monotonic() > deadline:
                log = (self.folder / "log").read_text()
                self.close()
                pytest.fail(f"the server does not start:\n{log[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server at once: whatever it was doing is cut off."""
        if self._process is not None:
            self._process.send_signal(self._immediate)
            self._process.wait(60)
            self._process = None

    def answers(self) -> bool:
        try:
            with self._administration.connect():
                return True
        except SQLAlchemyError:
            return False

    def renew(self) -> None:
        """Take everything out of the store."""
        with closing(self._administration.connect()) as connection:
            connection.execute(text("DROP DATABASE IF EXISTS store"))
            connection.execute(text("CREATE DATABASE store"))

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user, cwd=self.folder
            )


@contextmanager
def lend_postgresql() -> Iterator[PrivateServer]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folder = programs[-1] if programs else find("initdb").parent
    server = PrivateServer(
        user="postgres",
        initialize=lambda data: [str(folder / "initdb"), "-D", f"{data}/data", "-U", "postgres", "-A", "trust", "-N"],
        command=lambda data, port: [
            *(str(folder / "postgres"), "-D", f"{data}/data", "-p", str(port), "-k", str(data)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
        ],
        url="postgresql://postgres@127.0.0.1:{port}/store",
        administration="postgresql+psycopg://postgres@127.0.0.1:{port}/postgres",
        immediate=signal.SIGQUIT,
    )
    with _ended(server):
        yield server


@contextmanager
def lend_mariadb() -> Iterator[PrivateServer]:
    install, daemon = find("mariadb-install-db"), find("mariadbd")
    server = PrivateServer(
        user="mysql",
        initialize=lambda data: [
            *(str(install), "--no-defaults", f"--datadir={data}/data", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        ],
        command=lambda data, port: [
            *(str(daemon), "--no-defaults", f"--datadir={data}/data", f"--port={port}", f"--socket={data}/socket"),
            *("--bind-address=127.0.0.1", "--skip-name-resolve"),
        ],
        url="mysql://root@127.0.0.1:{port}/store",
        administration="mysql+pymysql://root@127.0.0.1:{port}/mysql",
        immediate=signal.SIGKILL,
    )
    with _ended(server):
        yield server


@contextmanager
def _ended(server: PrivateServer) -> Iterator[PrivateServer]:
    try:
        yield server
    finally:
        server.close()


def find(program: str) -> Path:
    """Return a program's path, or skip the test; on CI, where every server is installed, that is a failure."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        message = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Path(found)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
