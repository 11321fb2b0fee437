"""Tests of what a backend keeps of experiments, runs and artifacts."""

# ruff: noqa: PLR2004 - tests assert, with figures, and their names say what

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from autolog.backend import Backend, ExperimentQuery, Reader, RunQuery
from autolog.backends import open_backend
from autolog.entities import Artifact, Experiment, LifecycleStage, RunStatus, ViewType
from autolog.errors import NotFound
from autolog.events import ExperimentUpdated, InputsLogged, ParamsLogged, RunUpdated, TagsSet
from autolog.testing.backend_fixtures import OTHER, TEST, TRAIN, BackendFixtures
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

# Each has been lost, merged with a neighbour or refused by some file system, collation, CSV reader or path.
HOSTILE_KEYS: Final = [
    *("", " ", "a", "A", "a ", " a", "a b", "a/b", "a.b", "a,b", "a;b", "a=b", "a:b", "a'b", 'a"b', "a`b", '"a"'),
    *("a\nb", "a\r\nb", "a\rb", "a\\nb", "a\\", "a\tb", "a\u2028b", "%", "_", "%s", "{a}", "../../a", "/a", "C:\\a"),
    *("é", "e\u0301", "e", "ß", "ss", "ключ", "鍵", "🔑", "null", "nan", "1", "1,2,3", "NULL", "a" * 10_000),
]


class ExperimentTests(BackendFixtures):
    """Experiments are made, found, changed and searched."""

    def test_an_experiment_is_found_by_its_id_and_its_name(
        self, backend: Backend, reader: Reader, journal: FakeJournal
    ) -> None:
        journal.write(
            backend, experiment_created("Größe / 1", "17", artifact_location="memory://place", tags={"team": "a"})
        )
        experiment = Experiment(
            experiment_id="17",
            name="Größe / 1",
            artifact_location="memory://place",
            creation_time=START,
            last_update_time=START,
            tags={"team": "a"},
        )
        assert reader.get_experiment("17") == experiment
        assert reader.get_experiment_by_name("Größe / 1") == experiment

    def test_experiments_that_are_not_there_are_not_found(self, reader: Reader) -> None:
        with pytest.raises(NotFound, match="17"):
            reader.get_experiment("17")
        assert reader.get_experiment_by_name("Größe / 1") is None

    def test_a_name_that_exists_is_used_as_it_is(
        self, backend: Backend, reader: Reader, journal: FakeJournal, other_journal: FakeJournal
    ) -> None:
        journal.write(backend, experiment_created("one", "1", tags={"first": "yes"}))
        other_journal.write(backend, experiment_created("one", "2", tags={"second": "yes"}), run_created("r", "one"))
        assert [each.experiment_id for each in reader.search_experiments(ExperimentQuery())] == ["1"]
        assert reader.get_experiment("1").tags == {"first": "yes"}
        assert reader.get_run("r").info.experiment_id == "1"

    def test_a_name_whose_id_is_taken_gets_another_id(
        self, backend: Backend, reader: Reader, journal: FakeJournal, other_journal: FakeJournal
    ) -> None:
        journal.write(backend, experiment_created("one", "1"))
        other_journal.write(backend, experiment_created("two", "1"), run_created("r", "two"))
        two = reader.get_experiment_by_name("two")
        assert two is not None
        assert two.experiment_id != "1"
        assert reader.get_run("r").info.experiment_id == two.experiment_id
        assert reader.get_experiment("1").name == "one"

    def test_names_that_differ_in_case_or_accents_are_different_experiments(
        self, backend: Backend, reader: Reader, journal: FakeJournal
    ) -> None:
        names = ["cafe", "Cafe", "café", "cafe ", "cafe/1", "cafe-1"]
        journal.write(backend, *(experiment_created(name, str(number)) for number, name in enumerate(names)))
        assert [reader.get_experiment(str(number)).name for number in range(len(names))] == names

    def test_a_renamed_experiment_leaves_its_name_free(
        self, backend: Backend, reader: Reader, journal: FakeJournal
    ) -> None:
        journal.write(
            backend,
            experiment_created("old", "1"),
            ExperimentUpdated(experiment_id="1", time=START + 5, name="new"),
            experiment_created("old", "2"),
        )
        assert reader.get_experiment("1").name == "new"
        assert reader.get_experiment("1").last_update_time == START + 5
        assert reader.get_experiment("2").name == "old"

    def test_an_experiment_keeps_its_name_where_the_new_one_is_taken(
        self, backend: Backend, reader: Reader, journal: FakeJournal, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="autolog"):
            journal.write(
                backend,
                experiment_created("one", "1"),
                experiment_created("two", "2"),
                ExperimentUpdated(experiment_id="2", time=START + 5, name="one", tags={"a": "b"}),
            )
        assert reader.get_experiment("2").name == "two"
        assert reader.get_experiment("2").tags == {"a": "b"}
        assert "one" in caplog.text

    def test_an_experiment_is_deleted_and_restored(
        self, backend: Backend, reader: Reader, journal: FakeJournal
    ) -> None:
        deleted = ExperimentUpdated(experiment_id="1", time=START, lifecycle_stage=LifecycleStage.DELETED)
        journal.write(backend, experiment_created("one", "1"), deleted)
        assert reader.get_experiment("1").lifecycle_stage is LifecycleStage.DELETED
        assert reader.get_experiment_by_name("one") is not None
        assert len(reader.search_experiments(ExperimentQuery())) == 0
        assert len(reader.search_experiments(ExperimentQuery(view=ViewType.DELETED_ONLY))) == 1
        journal.write(backend, ExperimentUpdated(experiment_id="1", time=START, lifecycle_stage=LifecycleStage.ACTIVE))
        assert len(reader.search_experiments(ExperimentQuery())) == 1

    def test_experiment_tags_are_set_and_removed(self, backend: Backend, reader: Reader, journal: FakeJournal) -> None:
        journal.write(
            backend,
            experiment_created("one", "1", tags={"a": "1", "b": "1"}),
            ExperimentUpdated(experiment_id="1", time=START, tags={"b": None, "c": "1", "a": "2"}),
        )
        assert reader.get_experiment("1").tags == {"a": "2", "c": "1"}

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            (ExperimentQuery(), ["c", "b", "a"]),
            (ExperimentQuery(filter="name = 'b'"), ["b"]),
            (ExperimentQuery(filter="tags.kind = 'x' OR experiment_id IN ('3')"), ["c", "a"]),
            (ExperimentQuery(filter=f"creation_time > {START}"), ["c", "b"]),
            (ExperimentQuery(order_by=["name"]), ["a", "b", "c"]),
            (ExperimentQuery(order_by=["tags.kind DESC", "name DESC"]), ["a", "c", "b"]),
            (ExperimentQuery(view=ViewType.ALL, order_by=["experiment_id DESC"]), ["d", "c", "b", "a"]),
        ],
    )
    def test_experiments_are_searched(
        self, backend: Backend, reader: Reader, journal: FakeJournal, query: ExperimentQuery, names: list[str]
    ) -> None:
        journal.write(
            backend,
            experiment_created("a", "1", tags={"kind": "x"}),
            experiment_created("b", "2", time=START + 1),
            experiment_created("c", "3", time=START + 2),
            experiment_created("d", "4", lifecycle_stage=LifecycleStage.DELETED),
        )
        assert [each.name for each in reader.search_experiments(query)] == names
        assert [each.name for each in _all_experiments(reader, query, size=1)] == names


class RunTests(BackendFixtures):
    """Runs keep whatever is said of them."""

    def test_a_run_has_what_it_began_with(self, backend: Backend, reader: Reader, journal: FakeJournal) -> None:
        journal.write(
            backend,
            experiment_created(),
            run_created("run1", user_id="ada", run_name="first", tags={"mlflow.source.name": "train.py"}),
        )
        run = reader.get_run("run1")
        assert run.info == msgspec.structs.replace(
            run.info,
            run_id="run1",
            experiment_id="0",
            run_name="first",
            user_id="ada",
            status=RunStatus.RUNNING,
            start_time=START,
            end_time=None,
            lifecycle_stage=LifecycleStage.ACTIVE,
            artifact_uri=backend.artifact_uri("run1"),
        )
        assert run.data.tags == {"mlflow.source.name": "train.py"}
        assert run.data.params == {}
        assert run.data.metrics == {}
        assert run.inputs.dataset_inputs == ()

    def test_a_run_that_exists_is_left_as_it_is(
        self, backend: Backend, reader: Reader, other_journal: FakeJournal, run: str
    ) -> None:
        other_journal.write(backend, experiment_created("two", "2"), run_created(run, "two", run_name="again"))
        assert reader.get_run(run).info.run_name == "name of run1"
        assert reader.get_run(run).info.experiment_id == "0"

    def test_a_run_ends_and_is_reopened(self, backend: Backend, reader: Reader, journal: FakeJournal, run: str) -> None:
        journal.write(backend, RunUpdated(run_id=run, status=RunStatus.FAILED, end_time=START + 9))
        assert (reader.get_run(run).info.status, reader.get_run(run).info.end_time) == (RunStatus.FAILED, START + 9)
        journal.write(backend, RunUpdated(run_id=run, status=RunStatus.RUNNING, reopen=True))
        assert (reader.get_run(run).info.status, reader.get_run(run).info.end_time) == (RunStatus.RUNNING, None)

    def test_a_run_is_renamed_deleted_and_restored(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        journal.write(backend, RunUpdated(run_id=run, run_name="new", lifecycle_stage=LifecycleStage.DELETED))
        assert reader.get_run(run).info.run_name == "new"
        assert reader.get_run(run).info.lifecycle_stage is LifecycleStage.DELETED
        assert reader.count_runs(RunQuery()) == 0
        assert reader.count_runs(RunQuery(view=ViewType.DELETED_ONLY)) == 1
        journal.write(backend, RunUpdated(run_id=run, lifecycle_stage=LifecycleStage.ACTIVE))
        assert reader.count_runs(RunQuery()) == 1

    def test_what_is_said_of_an_unknown_run_is_passed_over_with_a_warning(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="autolog"):
            journal.write(
                backend,
                ParamsLogged(run_id="ghost", params={"a": "1"}),
                RunUpdated(run_id="ghost", status=RunStatus.FINISHED),
                ParamsLogged(run_id=run, params={"a": "1"}),
                points={("ghost", "loss"): [(0, START, 1.0)], (run, "loss"): [(0, START, 1.0)]},
            )
        assert "ghost" in caplog.text
        assert reader.get_run(run).data.params == {"a": "1"}
        assert reader.get_run(run).data.metrics == {"loss": 1.0}
        with pytest.raises(NotFound, match="ghost"):
            reader.get_run("ghost")

    def test_the_last_value_of_a_param_counts(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        journal.write(
            backend,
            ParamsLogged(run_id=run, params={"a": "1", "b": "1"}),
            ParamsLogged(run_id=run, params={"a": "2"}),
        )
        journal.write(backend, ParamsLogged(run_id=run, params={"b": ""}))
        assert reader.get_run(run).data.params == {"a": "2", "b": ""}

    def test_a_value_of_a_megabyte_is_kept_whole(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        long = "größer\n" * 150_000
        journal.write(backend, ParamsLogged(run_id=run, params={"a": long}), TagsSet(run_id=run, tags={"b": long}))
        assert reader.get_run(run).data.params["a"] == long
        assert reader.get_run(run).data.tags["b"] == long

    def test_hostile_keys_stay_apart_and_whole(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        texts = {key: f"of {key}" for key in HOSTILE_KEYS}
        journal.write(
            backend,
            ParamsLogged(run_id=run, params=texts),
            TagsSet(run_id=run, tags={**texts}),
            points={(run, key): [(place, START, float(place))] for place, key in enumerate(HOSTILE_KEYS)},
        )
        data = reader.get_run(run).data
        assert data.params == texts
        assert data.tags == texts
        assert data.metrics == {key: float(place) for place, key in enumerate(HOSTILE_KEYS)}
        for place, key in enumerate(HOSTILE_KEYS):
            assert reader.metric_history(run, key).steps.tolist() == [place]

    def test_tags_are_set_and_removed(self, backend: Backend, reader: Reader, journal: FakeJournal, run: str) -> None:
        journal.write(backend, TagsSet(run_id=run, tags={"a": "1", "b": "1"}))
        journal.write(backend, TagsSet(run_id=run, tags={"b": None, "c": "1", "a": "2", "never": None}))
        assert reader.get_run(run).data.tags == {"a": "2", "c": "1"}
        journal.write(backend, TagsSet(run_id=run, tags={"c": None}), TagsSet(run_id=run, tags={"c": "3"}))
        assert reader.get_run(run).data.tags == {"a": "2", "c": "3"}

    def test_the_same_data_set_with_the_same_tags_counts_once(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        journal.write(backend, InputsLogged(run_id=run, inputs=(TRAIN, OTHER)))
        journal.write(backend, InputsLogged(run_id=run, inputs=(TRAIN, TEST)), InputsLogged(run_id=run, inputs=(TEST,)))
        inputs = reader.get_run(run).inputs.dataset_inputs
        assert len(inputs) == 3
        assert set(inputs) == {TRAIN, TEST, OTHER}


class RemovalTests(BackendFixtures):
    """What is deleted can be removed for ever."""

    @pytest.fixture
    def deleted(self, backend: Backend, journal: FakeJournal) -> str:
        """A deleted run with everything that a run can have, by its id; there is another that is not deleted."""
        journal.write(
            backend,
            experiment_created(),
            run_created("kept"),
            run_created("gone"),
            *(ParamsLogged(run_id=run_id, params={"a": "1"}) for run_id in ("kept", "gone")),
            *(TagsSet(run_id=run_id, tags={"b": "1"}) for run_id in ("kept", "gone")),
            InputsLogged(run_id="gone", inputs=(TRAIN, OTHER)),
            InputsLogged(run_id="kept", inputs=(TRAIN,)),
            points={
                (run_id, f"m{key}"): [(step, START, 1.0) for step in range(9)]
                for run_id in ("kept", "gone")
                for key in range(5)
            },
        )
        for run_id in ("kept", "gone"):
            backend.record_artifacts(run_id, [Artifact(path="a.txt", size=1, sha256="aa")])
        journal.write(backend, RunUpdated(run_id="gone", lifecycle_stage=LifecycleStage.DELETED))
        return "gone"

    def test_a_deleted_run_is_removed_with_all_that_it_has(
        self, backend: Backend, reader: Reader, journal: FakeJournal, deleted: str
    ) -> None:
        kept = reader.get_run("kept")
        backend.remove_deleted([deleted])
        for read in (reader.get_run, reader.artifacts, backend.artifact_uri):
            with pytest.raises(NotFound, match=deleted):
                read(deleted)
        with pytest.raises(NotFound, match=deleted):
            reader.metric_history(deleted, "m0")
        assert [run.info.run_id for run in reader.search_runs(RunQuery(view=ViewType.ALL))] == ["kept"]
        assert reader.get_run("kept") == kept
        assert len(reader.metric_history("kept", "m0")) == 9
        # Nothing of it is in the way of a new run, not even of one with its id.
        journal.write(backend, run_created(deleted), points={(deleted, "m0"): [(0, START, 2.0)]})
        assert reader.get_run(deleted).data.params == {}
        assert reader.get_run(deleted).inputs.dataset_inputs == ()
        assert reader.metric_history(deleted, "m0").values.tolist() == [2.0]

    @pytest.mark.usefixtures("deleted")
    def test_what_is_not_deleted_is_not_removed(self, backend: Backend, reader: Reader) -> None:
        backend.remove_deleted(["kept", "ghost"], ["0", "17"])
        backend.remove_deleted()
        assert reader.count_runs(RunQuery(view=ViewType.ALL)) == 2
        assert reader.get_run("kept").data.params == {"a": "1"}
        assert reader.get_experiment("0").name == "Default"

    def test_a_deleted_experiment_is_removed_with_its_runs(
        self, backend: Backend, reader: Reader, journal: FakeJournal, deleted: str
    ) -> None:
        journal.write(
            backend,
            experiment_created("other", "1"),
            run_created("elsewhere", "other"),
            ExperimentUpdated(experiment_id="0", time=START, lifecycle_stage=LifecycleStage.DELETED),
        )
        backend.remove_deleted(experiment_ids=["0"])
        assert [run.info.run_id for run in reader.search_runs(RunQuery(view=ViewType.ALL))] == ["elsewhere"]
        assert [each.name for each in reader.search_experiments(ExperimentQuery(view=ViewType.ALL))] == ["other"]
        assert reader.get_experiment_by_name("Default") is None
        with pytest.raises(NotFound, match="0"):
            reader.get_experiment("0")
        journal.write(backend, experiment_created(), run_created(deleted))
        assert reader.get_run(deleted).data.params == {}

    def test_what_a_journal_says_of_a_removed_run_is_passed_over_with_a_warning(
        self, url: str, reader: Reader, deleted: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        late = FakeJournal("20260101T000000-3-cccccccccccc")
        with contextlib.closing(open_backend(url)) as backend, contextlib.closing(open_backend(url)) as other:
            late.write(backend, TagsSet(run_id=deleted, tags={"c": "1"}))
            other.remove_deleted([deleted])
            with caplog.at_level(logging.WARNING, logger="autolog"):
                late.write(
                    backend,
                    TagsSet(run_id=deleted, tags={"c": "2"}),
                    TagsSet(run_id="kept", tags={"c": "2"}),
                    points={(deleted, "m0"): [(9, START, 2.0)]},
                )
        assert deleted in caplog.text
        assert reader.get_run("kept").data.tags == {"b": "1", "c": "2"}
        with pytest.raises(NotFound, match=deleted):
            reader.get_run(deleted)


class ArtifactTests(BackendFixtures):
    """Runs have artifacts."""

    def test_every_run_has_an_artifact_folder_of_its_own(
        self, backend: Backend, reader: Reader, journal: FakeJournal, run: str
    ) -> None:
        journal.write(backend, experiment_created("b", "2", artifact_location="memory://b"), run_created("run2", "b"))
        assert backend.artifact_uri("run2").startswith("memory://b/")
        assert backend.artifact_uri("run2") != backend.artifact_uri(run)
        assert reader.get_run(run).info.artifact_uri == backend.artifact_uri(run)
        with pytest.raises(NotFound, match="ghost"):
            backend.artifact_uri("ghost")

    def test_stored_artifacts_are_listed_by_path(self, backend: Backend, reader: Reader, run: str) -> None:
        assert list(reader.artifacts(run)) == []
        one, two = Artifact(path="model/MLmodel", size=3, sha256="aa"), Artifact(path="a b.txt", size=0, sha256="bb")
        backend.record_artifacts(run, [one])
        backend.record_artifacts(run, [two])
        assert list(reader.artifacts(run)) == [two, one]
        changed = Artifact(path=one.path, size=2**40, sha256="cc")
        backend.record_artifacts(run, [changed])
        assert list(reader.artifacts(run)) == [two, changed]
        with pytest.raises(NotFound, match="ghost"):
            reader.artifacts("ghost")


def _all_experiments(reader: Reader, query: ExperimentQuery, size: int) -> Iterator[Experiment]:
    page = reader.search_experiments(replace(query, max_results=size))
    yield from page
    while page.token is not None:
        page = reader.search_experiments(replace(query, max_results=size, page_token=page.token))
        yield from page
