"""Build a store of many finished runs, through ``Backend.write`` as the writer does."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from autolog_store import store_url
from stored_runs import START, StoredRun, stored_runs
from subject import read_arguments, report

from autolog.backends import open_backend
from autolog.entities import RunStatus
from autolog.events import Fact, ParamsLogged, RunUpdated
from autolog.testing.journals import FakeJournal, Point, experiment_created, run_created

PORTION = 500

arguments = read_arguments()


def facts_of(run: StoredRun) -> Iterator[Fact]:
    yield run_created(
        run.run_id, start_time=run.start_time, run_name=run.name, user_id="ada", tags={"mlflow.runName": run.name}
    )
    yield ParamsLogged(run_id=run.run_id, params=run.params)
    yield RunUpdated(run_id=run.run_id, status=RunStatus.FINISHED, end_time=run.start_time + 1_000)


def points_of(run: StoredRun) -> dict[tuple[str, str], list[Point]]:
    return {
        (run.run_id, key): [(step, run.start_time + step, value) for step, value in enumerate(values)]
        for key, values in run.metrics.items()
    }


np.seterr(all="raise")
backend = open_backend(store_url(arguments))
journal = FakeJournal("benchmark")
journal.write(backend, experiment_created(time=START))
runs = stored_runs(arguments["runs"])
while portion := list(islice(runs, PORTION)):
    points: dict[tuple[str, str], list[Point]] = {}
    for each in portion:
        points |= points_of(each)
    journal.write(backend, *(fact for each in portion for fact in facts_of(each)), points=points)
backend.close()
if store_url(arguments).startswith("postgresql"):
    import psycopg

    # What its autovacuum does a minute later, where nobody has turned it off.
    with psycopg.connect(store_url(arguments), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
report({})
