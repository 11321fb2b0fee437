"""A TCP proxy on this machine that does to connections what networks do."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import time
from types import TracebackType
from typing import Final

# The statement, and not READ COMMITTED.
_COMMIT: Final = re.compile(rb"COMMIT(?!T)")


class Proxy:
    """Passes bytes on between clients and a server.

    ``delay`` is how many seconds every answer takes; ``cut_commits`` is the share of connections that are cut
    when a COMMIT has reached the server and before the client hears of it.

    Args:
        port: of the server.
        seed: of the choice of connections that are cut.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self.delay = 0.0
        self.cut_commits = 0.0
        self.cuts = 0
        self.received = 0
        self._server = port
        self._random = random.Random(seed)
        self._links: set[_Link] = set()
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def cut_all(self) -> None:
        """Cut every connection that there is."""
        with self._turn:
            links = list(self._links)
        for link in links:
            link.close()

    def close(self) -> None:
        # It wakes the thread that waits for the next client; closing alone would not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            with self._turn:
                self._links.add(link)
            for pump in (link.ask, link.answer):
                threading.Thread(target=pump, name="proxy", daemon=True).start()

    def _forget(self, link: _Link) -> None:
        with self._turn:
            self._links.discard(link)

    def _shall_cut(self) -> bool:
        with self._turn:
            if self._random.random() >= self.cut_commits:
                return False
            self.cuts += 1
            return True


class _Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._is_to_be_cut = False

    def ask(self) -> None:
        """Pass on what the client says."""
        with contextlib.suppress(OSError):
            while data := self._client.recv(1 << 16):
                self._proxy.received += len(data)
                if _COMMIT.search(data) and self._proxy._shall_cut():
                    # The server's answer to it, which says that it is done, is what the client does not get.
                    self._is_to_be_cut = True
                self._server.sendall(data)
        self.close()

    def answer(self) -> None:
        """Pass on what the server says."""
        with contextlib.suppress(OSError):
            while (data := self._server.recv(1 << 16)) and not self._is_to_be_cut:
                if self._proxy.delay:
                    time.sleep(self._proxy.delay)
                self._client.sendall(data)
        self.close()

    def close(self) -> None:
        self._proxy._forget(self)
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
