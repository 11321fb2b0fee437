"""A database that goes away for a moment costs nothing; `make torture` does worse to more of them."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from database_faults import DatabaseFaults, Train, assert_stored_once, through
from private_servers import PrivateServer, lend_postgresql
from proxy import Proxy


class TestPostgresql(DatabaseFaults):
    lend = lend_postgresql

    def test_an_outage_of_three_seconds_loses_nothing_and_is_told_once(
        self, server: PrivateServer, train: Train
    ) -> None:
        training = train(server.url)
        self.suffer_outage(server, training, up=0.5, down=3)
        assert_stored_once(training, server.url)

    def test_a_connection_that_is_cut_after_the_commit_was_sent_doubles_nothing(
        self, server: PrivateServer, proxy: Proxy, train: Train
    ) -> None:
        training = train(through(proxy, server), rate=1000, flush_interval=0.05)
        self.cut_commits(proxy, training, cuts=4)
        assert_stored_once(training, server.url)
