"""What tests of faulty databases have in common: servers of their own, trainings beside them, and what must hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from private_servers import PrivateServer
from proxy import Proxy
from steady_training import RUN, SteadyTraining

from autolog.backends import open_reader
from autolog.errors import AutologError
from autolog.recovery import scan

Train = Callable[..., SteadyTraining]

GONE, BACK = "the backend cannot be written", "the backend answers again; it gets what has waited in the journal"
# What is required: a step takes at most this many times as long while the store is away.
MOST = 1.05


class Trainings:
    """Trainings that end with their test."""

    @pytest.fixture
    def train(self, tmp_path: Path) -> Iterator[Train]:
        trainings = []

        def start(url: str, **options: Any) -> SteadyTraining:
            trainings.append(SteadyTraining(tmp_path, url, **options))
            return trainings[-1]

        yield start
        for training in trainings:
            training.kill()


class DatabaseFaults(Trainings):
    """A server with an empty store, and a proxy before it."""

    lend: Callable[[], AbstractContextManager[PrivateServer]]

    @pytest.fixture(scope="class")
    @classmethod
    def started(cls) -> Iterator[PrivateServer]:
        with cls.lend() as server:
            yield server

    @pytest.fixture
    def server(self, started: PrivateServer) -> PrivateServer:
        started.renew()
        return started

    @pytest.fixture
    def proxy(self, server: PrivateServer) -> Iterator[Proxy]:
        with Proxy(server.port, seed=3) as proxy:
            yield proxy

    def suffer_outage(self, server: PrivateServer, training: SteadyTraining, up: float, down: float) -> None:
        """Take the store away for some seconds between two stretches with it; these are the phases 2, 1 and 3."""
        training.wait_for_steps(1000)
        # Before that the writer has not come to the store yet, beside a loop that leaves it little time.
        wait_until_stored(training)
        time.sleep(1)
        for phase, seconds in ((1, up), (2, down), (3, up)):
            if phase == 2:
                server.stop()
            elif phase == 3:
                server.start()
            training.enter(phase)
            time.sleep(seconds)
            training.enter(0)
        training.finish()
        assert training.stdout == "True\n"
        first, second = training.stderr.splitlines()
        assert GONE in first
        assert second == BACK

    def cut_commits(self, proxy: Proxy, training: SteadyTraining, cuts: int) -> None:
        """Cut connections after a COMMIT has been carried out and before its answer arrives."""
        training.wait_for_steps(200)
        # A try has several, of connecting too; were most of them cut, the writer would wait longer and longer.
        proxy.cut_commits = 0.2
        deadline = time.monotonic() + 240
        while proxy.cuts < cuts and time.monotonic() < deadline:
            time.sleep(0.02)
        assert proxy.cuts >= cuts
        proxy.cut_commits = 0
        training.finish()
        assert training.stdout == "True\n"


def wait_until_stored(training: SteadyTraining) -> None:
    """Wait until the store has the beginning of what is logged."""
    deadline = time.monotonic() + 120
    with closing(open_reader(training.url)) as reader:
        while time.monotonic() < deadline:
            try:
                if reader.get_run(RUN).data.summaries:
                    return
            except AutologError:
                pass
            time.sleep(0.1)
    raise AssertionError("nothing has been stored")


def assert_stored_once(training: SteadyTraining, url: str) -> None:
    """Expect every step in the store, once and in order, and nothing left in the spool."""
    with closing(open_reader(url)) as reader:
        history = reader.metric_history(RUN, "loss")
        summary = reader.get_run(RUN).data.summaries["loss"]
    assert history.steps.tolist() == list(range(training.steps))
    assert (history.values == history.steps * 0.5).all()
    assert summary.count == training.steps
    assert scan(training.folder / "spool") == []


def compare_steps(training: SteadyTraining, what: str, *, up: tuple[int, ...], down: tuple[int, ...]) -> float:
    """Return how many times as long the median step took without the store, and print what the slowest took."""
    before, after = training.durations(*up), training.durations(*down)
    ratio = float(np.median(after) / np.median(before))
    slow = [1e6 * float(np.quantile(times, 0.999)) for times in (before, after)]
    print(
        f"{what}: {len(before)} steps with the store, {len(after)} without; medians {1e6 * np.median(before):.1f} µs "
        f"and {1e6 * np.median(after):.1f} µs, ratio {ratio:.3f}; p99.9 {slow[0]:.0f} µs and {slow[1]:.0f} µs"
    )
    return ratio


def through(proxy: Proxy, server: PrivateServer) -> str:
    """Return the URL of a server's store by way of a proxy."""
    return server.url.replace(f":{server.port}/", f":{proxy.port}/")
