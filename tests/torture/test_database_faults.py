"""Whatever happens to a database, a training goes on at its pace, and the store holds everything once in the end."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from database_faults import MOST, DatabaseFaults, Train, Trainings, assert_stored_once, compare_steps, through
from private_servers import PrivateServer, lend_mariadb, lend_postgresql
from proxy import Proxy

from autolog.recovery import scan


class ServerFaults(DatabaseFaults):
    def test_an_outage_of_a_minute_slows_no_step_loses_nothing_and_is_told_once(
        self, server: PrivateServer, train: Train
    ) -> None:
        training = train(server.url)
        self.suffer_outage(server, training, up=10, down=60)
        assert_stored_once(training, server.url)
        assert compare_steps(training, "an outage of 60 s", up=(1, 3), down=(2,)) <= MOST

    def test_restarts_in_the_middle_of_batches_lose_and_double_nothing(
        self, server: PrivateServer, proxy: Proxy, train: Train
    ) -> None:
        training = train(through(proxy, server))
        training.wait_for_steps(1000)
        moments = random.Random(5)
        for _ in range(6):
            # So much has just been sent that a transaction is open.
            wait_for_bytes(proxy, 20_000)
            time.sleep(moments.uniform(0, 0.02))
            server.stop()
            time.sleep(moments.uniform(0, 0.5))
            server.start()
        training.finish()
        assert training.stdout == "True\n"
        assert_stored_once(training, server.url)

    def test_connections_that_are_cut_after_the_commit_was_sent_double_nothing(
        self, server: PrivateServer, proxy: Proxy, train: Train
    ) -> None:
        training = train(through(proxy, server), rate=1000, flush_interval=0.05)
        self.cut_commits(proxy, training, cuts=30)
        assert_stored_once(training, server.url)

    def test_connections_that_are_cut_at_any_moment_lose_and_double_nothing(
        self, server: PrivateServer, proxy: Proxy, train: Train
    ) -> None:
        training = train(through(proxy, server), rate=1000, flush_interval=0.05)
        moments = random.Random(11)
        for _ in range(25):
            # A batch in between keeps the writer from waiting longer and longer.
            wait_for_bytes(proxy, 20_000)
            time.sleep(moments.uniform(0, 0.03))
            proxy.cut_all()
        training.finish()
        assert training.stdout == "True\n"
        assert_stored_once(training, server.url)

    def test_a_server_that_answers_in_five_seconds_slows_no_step_and_sync_sends_what_it_has_not_taken(
        self, server: PrivateServer, proxy: Proxy, train: Train
    ) -> None:
        training = train(through(proxy, server), flush=3, exit_timeout=4)
        training.wait_for_steps(1000)
        time.sleep(1)
        for phase, delay in ((1, 0), (2, 5), (1, 0), (2, 5)):
            proxy.delay = delay
            training.enter(phase)
            time.sleep(12)
        training.finish()
        assert training.stdout == "False\n"
        said = re.search(
            r"^(\d+) records could not be sent to .*: run 'autolog sync' to send them$", training.stderr, re.MULTILINE
        )
        assert said, training.stderr
        (left,) = scan(training.folder / "spool")
        # A batch may be stored after the last word of the process, which a note beside the journal no longer says.
        assert 0 < left.left <= int(said[1])
        proxy.delay = 0
        command = [sys.executable, "-m", "autolog", "sync"]
        subprocess.run(command, env=training.environment, capture_output=True, timeout=120, check=True)
        assert_stored_once(training, server.url)
        assert compare_steps(training, "answers that take 5 s", up=(1,), down=(2,)) <= MOST


class TestPostgresql(ServerFaults):
    lend = lend_postgresql


class TestMariadb(ServerFaults):
    lend = lend_mariadb


class TestSqlite(Trainings):
    def test_a_file_that_another_process_locks_for_ten_seconds_is_waited_for_without_a_word(
        self, tmp_path: Path, train: Train
    ) -> None:
        url = f"sqlite:///{tmp_path / 'runs.db'}"
        training = train(url)
        training.wait_for_steps(1000)
        time.sleep(1)
        with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None, timeout=30)) as other:
            for _ in range(2):
                training.enter(1)
                time.sleep(10)
                other.execute("BEGIN IMMEDIATE")
                training.enter(2)
                time.sleep(10)
                other.execute("ROLLBACK")
        training.finish()
        assert training.stdout == "True\n"
        assert training.stderr == ""
        assert_stored_once(training, url)
        assert compare_steps(training, "a locked file", up=(1,), down=(2,)) <= MOST


def wait_for_bytes(proxy: Proxy, more: int) -> None:
    """Wait until a client has sent so much more."""
    goal, deadline = proxy.received + more, time.monotonic() + 60
    while proxy.received < goal:
        assert time.monotonic() < deadline, "nothing is sent any more"
        time.sleep(0.0005)
