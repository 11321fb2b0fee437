"""As many processes as a large job has, on one database."""

from __future__ import annotations

import contextlib

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from processes import check_points, check_runs, record_points, run_at_once, write_runs
from servers import MARIADB, POSTGRESQL


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    """A store that is not there yet, on each database in turn."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            yield f"sqlite:///{tmp_path / 'runs.db'}"
        else:
            server = POSTGRESQL if request.param == "postgresql" else MARIADB
            server.require()
            yield stack.enter_context(server.database())


def test_a_hundred_processes_make_a_store_at_once(url):
    run_at_once(write_runs, 100, url, 1)
    check_runs(url, processes=100, count=1)


def test_sixty_four_trainings_record_into_one_store_and_hear_nothing_of_each_other(url, tmp_path):
    run_at_once(record_points, 64, url, str(tmp_path), 20_000)
    check_points(url, processes=64, count=20_000)
