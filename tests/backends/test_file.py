"""The file backend: the contract of a backend, and what crashes, neighbours and people do to a folder."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autolog.backend import Batch, Position, RunQuery
from autolog.backends.file import FileBackend, FileReader
from autolog.backends.file.atomic import create_file
from autolog.backends.file.layout import store_folder
from autolog.backends.system_errors import store_errors
from autolog.entities import Artifact, RunStatus
from autolog.errors import BackendError, BackendUnavailable, InvalidParameter, StoreCorrupted, StoreTooNew
from autolog.events import ParamsLogged, RunUpdated, TagsSet
from autolog.testing.backend_suite import BackendSuite
from autolog.testing.journals import START, FakeJournal, experiment_created, run_created


class TestFileBackend(BackendSuite):
    @pytest.fixture
    def url(self, tmp_path):
        return f"file:{tmp_path / 'store'}"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def backend(root):
    return FileBackend(str(root))


@pytest.fixture
def reader(root):
    return FileReader(str(root))


@pytest.fixture
def journal():
    return FakeJournal("journal1")


@pytest.fixture
def run_folder(backend, journal, root):
    """The folder of a run with two points."""
    journal.write(
        backend,
        experiment_created(),
        run_created("run1"),
        points={("run1", "loss"): [(0, START, 1.0), (1, START, 2.0)]},
    )
    return root / "default-0" / "run1"


def settle(folder):
    """Make a folder look as if nothing had happened in it for a while."""
    os.utime(folder, (time.time() - 100, time.time() - 100))


class TestUrls:
    @pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}", "FILE://localhost{}"])
    @pytest.mark.skipif(os.name == "nt", reason="paths of Windows have other forms")
    def test_an_absolute_path_can_be_written_in_several_ways(self, tmp_path, form):
        assert store_folder(form.format(tmp_path)) == tmp_path

    @pytest.mark.parametrize("url", ["file:./runs", "file:runs", "./runs", "runs"])
    def test_a_relative_path_stays_where_the_program_began(self, tmp_path, monkeypatch, url):
        monkeypatch.chdir(tmp_path)
        assert store_folder(url) == tmp_path / "runs"

    def test_only_a_url_with_slashes_is_decoded(self, tmp_path):
        assert store_folder(f"{tmp_path.as_uri()}/a%20b") == tmp_path / "a b"
        assert store_folder(f"file:{tmp_path}/a%20b") == tmp_path / "a%20b"

    @pytest.mark.parametrize("url", ["file://server/share", "file:", ""])
    def test_a_url_that_names_no_folder_of_this_machine_is_refused(self, url):
        with pytest.raises(InvalidParameter):
            store_folder(url)


class TestFilesForPeople:
    def test_run_json_says_what_the_run_is(self, backend, journal, run_folder):
        journal.write(
            backend,
            ParamsLogged(run_id="run1", params={"depth": "3"}),
            TagsSet(run_id="run1", tags={"team": "größte"}),
            RunUpdated(run_id="run1", status=RunStatus.FINISHED, end_time=START + 5),
            points={("run1", "auc"): [(0, START, float("nan"))]},
        )
        content = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
        assert content["status"] == "FINISHED"
        assert content["params"] == {"depth": "3"}
        assert content["tags"] == {"team": "größte"}
        assert content["metrics"]["loss"]["max"] == 2.0
        assert content["metrics"]["auc"]["value"] == "NaN"

    def test_metrics_csv_is_a_table_that_any_csv_reader_reads(self, backend, journal, run_folder):
        journal.write(backend, points={("run1", 'a,"b"\nc\\d'): [(7, START, float("-inf"))]})
        with (run_folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows[0] == {"time": str(START), "step": "0", "key": "loss", "value": "1.0"}
        assert rows[2] == {"time": str(START), "step": "7", "key": 'a,"b"\\nc\\\\d', "value": "-inf"}
        assert len((run_folder / "metrics.csv").read_bytes().splitlines()) == 4

    def test_a_point_takes_few_bytes(self, backend, journal, run_folder):
        journal.write(backend, points={("run1", "loss"): [(step, START, step / 7) for step in range(10_000)]})
        assert (run_folder / "metrics.csv").stat().st_size < 48 * 10_000

    def test_a_history_that_has_been_read_before_shows_what_was_added(self, backend, reader, journal, run_folder):
        for count in range(1, 6):
            journal.write(
                backend, points={("run1", "acc"): [(count, START, float(count))], ("run1", "5"): [(5, START, 5.0)]}
            )
            assert reader.metric_history("run1", "acc").values.tolist() == [float(step + 1) for step in range(count)]
            assert reader.metric_history("run1", "5").values.tolist() == [5.0] * count

    @pytest.mark.parametrize("in_place", [True, False])
    def test_a_history_that_has_been_read_before_shows_what_a_person_changed(self, reader, run_folder, in_place):
        before = reader.metric_history("run1", "loss")
        path = run_folder / "metrics.csv"
        content = path.read_bytes().replace(b",1.0", b",8.0")
        if not in_place:
            path.unlink()
        path.write_bytes(content)
        after = reader.metric_history("run1", "loss")
        assert before.values.tolist() == [1.0, 2.0]
        assert after.values.tolist() == [8.0, 2.0]

    def test_steps_that_no_double_holds_come_back_exactly(self, backend, reader, journal, run_folder):
        steps = [2**53 + 1, 2**62 + 1, -(2**62) - 1]
        journal.write(backend, points={("run1", "far"): [(step, START, 0.1) for step in steps]})
        assert reader.metric_history("run1", "far").steps.tolist() == sorted(steps)

    def test_a_store_can_be_moved(self, backend, journal, run_folder, root, tmp_path):
        shutil.move(root, tmp_path / "moved")
        moved = FileReader(str(tmp_path / "moved"))
        assert moved.get_run("run1").info.artifact_uri == str(tmp_path / "moved" / "default-0" / "run1" / "artifacts")
        assert len(moved.metric_history("run1", "loss")) == 2

    def test_names_and_ids_cannot_leave_the_store_or_meet_each_other(self, backend, reader, journal, root):
        ids = ["../../escape", "/etc", "A", "a", "nul:", "x" * 256, "é", "..", "."]
        journal.write(
            backend,
            experiment_created("../../escape", "../../escape"),
            *(run_created(run_id, "../../escape") for run_id in ids),
        )
        (root / "escape").write_text("a file of somebody else")
        assert {run.info.run_id for run in reader.search_runs(RunQuery())} == set(ids)
        assert [reader.get_run(run_id).info.run_id for run_id in ids] == ids
        assert {path.name for path in root.parent.iterdir()} == {"store"}


class TestCrashes:
    def test_points_beyond_the_committed_length_do_not_exist(self, backend, reader, journal, run_folder):
        with (run_folder / "metrics.csv").open("a") as file:
            file.write(f"{START},2,loss,3.0\n{START},3,lo")
        assert reader.metric_history("run1", "loss").values.tolist() == [1.0, 2.0]
        journal.write(backend, points={("run1", "loss"): [(2, START, 9.0)]})
        assert reader.metric_history("run1", "loss").values.tolist() == [1.0, 2.0, 9.0]
        assert "lo\n" not in (run_folder / "metrics.csv").read_text()

    def test_a_batch_is_completed_when_the_crash_came_between_its_two_files(
        self, backend, reader, journal, run_folder, root
    ):
        before = (run_folder / "run.json").read_bytes()
        batch = journal.write(backend, points={("run1", "loss"): [(2, START, 3.0)]})
        (run_folder / "run.json").write_bytes(before)
        FileBackend(str(root)).write(batch)
        assert reader.metric_history("run1", "loss").values.tolist() == [1.0, 2.0, 3.0]
        assert reader.get_run("run1").data.summaries["loss"].count == 3

    def test_a_run_that_was_not_made_to_the_end_is_made_by_the_next_try(self, backend, reader, journal, root):
        batch = journal.write(
            backend, experiment_created(), run_created("run1"), TagsSet(run_id="run1", tags={"a": "b"})
        )
        (root / "default-0" / "run1" / "run.json").unlink()
        assert reader.count_runs(RunQuery()) == 0
        FileBackend(str(root)).write(batch)
        assert reader.get_run("run1").data.tags == {"a": "b"}

    def test_what_an_interrupted_replacement_left_is_passed_over(self, backend, reader, journal, run_folder, root):
        for folder, name in ((run_folder, "run.json"), (run_folder.parent, "experiment.json"), (root, "store.json")):
            (folder / f".{name}.0123456789ab.tmp").write_text('{"run_i')
        journal.write(backend, TagsSet(run_id="run1", tags={"a": "b"}))
        assert reader.search_runs(RunQuery()).items[0].data.tags == {"a": "b"}

    def test_a_metrics_file_that_lost_its_end_goes_on_after_its_last_line(
        self, backend, reader, journal, run_folder, caplog
    ):
        path = run_folder / "metrics.csv"
        path.write_bytes(path.read_bytes()[:-3])
        assert reader.metric_history("run1", "loss").values.tolist() == [1.0]
        journal.write(backend, points={("run1", "loss"): [(2, START, 3.0)]})
        assert reader.metric_history("run1", "loss").values.tolist() == [1.0, 3.0]
        assert "lost 3 bytes" in caplog.text

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
    def test_everything_counts_once_after_a_writer_is_killed_at_any_moment(self, root, tmp_path, reader):
        program = """
            import sys
            from autolog.backends.file import FileBackend
            from autolog.testing.journals import START, FakeJournal, experiment_created, run_created

            journal = FakeJournal("journal1")
            backend = FileBackend(sys.argv[1])
            journal.write(backend, experiment_created(), run_created("run1"))
            print("ready", flush=True)
            for step in range(3000):
                journal.write(backend, points={("run1", "loss"): [(step, START, float(step))]})
            """
        for delay in (0.0, 0.02, 0.05):
            command = [sys.executable, "-c", textwrap.dedent(program), str(root)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd()) as child:
                child.stdout.readline()
                time.sleep(delay)
                child.kill()
        journal = FakeJournal("journal1")
        backend = FileBackend(str(root))
        journal.write(backend, experiment_created(), run_created("run1"))
        journal.write(backend, points={("run1", "loss"): [(step, START, float(step)) for step in range(3000)]})
        assert reader.metric_history("run1", "loss").values.tolist() == [float(step) for step in range(3000)]
        assert reader.get_run("run1").data.summaries["loss"].count == 3000


class TestDamage:
    def test_a_damaged_run_hides_no_other(self, backend, reader, journal, run_folder, caplog):
        journal.write(backend, run_created("run2"))
        (run_folder / "run.json").write_text('{"run_id": "run1", "par')
        settle(run_folder)
        for _ in range(3):
            assert [run.info.run_id for run in reader.search_runs(RunQuery())] == ["run2"]
        assert caplog.text.count("a run is left out") == 1
        with pytest.raises(StoreCorrupted, match=r"run\.json is damaged"):
            reader.get_run("run1")

    def test_a_damaged_experiment_is_said_once_and_not_written_over(self, backend, reader, journal, run_folder, caplog):
        (run_folder.parent / "experiment.json").write_text("")
        assert reader.count_runs(RunQuery()) == 0
        assert "an experiment is left out" in caplog.text
        with pytest.raises(StoreCorrupted, match=r"experiment\.json is damaged"):
            backend.write(Batch("journal2", Position(1, 0), [(0, experiment_created())]))

    @pytest.mark.parametrize("opened", [FileBackend, FileReader])
    def test_a_store_of_a_later_format_is_refused(self, backend, root, opened):
        (root / "store.json").write_text('{"format": 2, "new": true}')
        with pytest.raises(StoreTooNew, match="format 2"):
            opened(str(root))

    @pytest.mark.parametrize("opened", [FileBackend, FileReader])
    def test_a_store_whose_format_cannot_be_read_is_refused(self, backend, root, opened):
        (root / "store.json").write_text("format: 1")
        with pytest.raises(StoreCorrupted, match=r"store\.json"):
            opened(str(root))

    @pytest.mark.parametrize("opened", [FileBackend, FileReader])
    def test_a_file_in_place_of_the_folder_is_an_error_that_names_it_once(self, tmp_path, opened):
        (tmp_path / "store").write_text("")
        with pytest.raises(BackendError, match=r"^the store .* cannot be used: Not a directory; ") as raised:
            opened(str(tmp_path / "store"))
        assert str(raised.value).count(str(tmp_path / "store")) == 1

    @pytest.mark.parametrize("opened", [FileBackend, FileReader])
    def test_a_file_above_the_folder_is_an_error_that_names_it(self, tmp_path, opened):
        (tmp_path / "file").write_text("")
        with pytest.raises(BackendError, match=re.escape(f"({tmp_path / 'file'})")):
            opened(str(tmp_path / "file" / "team" / "store"))

    @pytest.mark.parametrize(
        ("number", "kind"),
        [(errno.ENOSPC, BackendUnavailable), (errno.ESTALE, BackendUnavailable), (errno.EACCES, BackendError)],
    )
    def test_only_what_may_pass_is_tried_again(self, tmp_path, number, kind):
        with pytest.raises(BackendError, match=re.escape(str(tmp_path))) as raised, store_errors(tmp_path):
            raise OSError(number, os.strerror(number))
        assert type(raised.value) is kind

    def test_a_store_that_somebody_deleted_is_made_anew(self, backend, reader, journal, run_folder, root):
        shutil.rmtree(root)
        journal.write(backend, run_created("run2"), TagsSet(run_id="run2", tags={"a": "b"}))
        assert reader.get_run("run2").data.tags == {"a": "b"}
        assert reader.get_run("run2").info.experiment_id == "0"


class TestNeighbours:
    def test_a_run_that_changes_after_it_was_read_is_read_again(self, backend, reader, journal, run_folder):
        for value in ("1", "2", "3"):
            journal.write(backend, TagsSet(run_id="run1", tags={"a": value}))
            settle(run_folder)
            for _ in range(2):
                assert reader.search_runs(RunQuery()).items[0].data.tags == {"a": value}

    def test_journals_that_begin_the_same_things_at_the_same_moment_agree(self, root, reader):
        start = threading.Barrier(6)

        def work(number):
            journal, backend = FakeJournal(f"journal{number}"), FileBackend(str(root))
            start.wait()
            journal.write(backend, experiment_created("shared", "7"), run_created("run1", "shared"))
            for step in range(20):
                journal.write(backend, points={("run1", "loss"): [(step, START, float(number))]})
            backend.record_artifacts("run1", [Artifact(path=f"{number}.txt", size=1, sha256="")])

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(work, range(6)))
        assert len(reader.metric_history("run1", "loss")) == 120
        assert reader.get_run("run1").data.summaries["loss"].count == 120
        assert len(reader.artifacts("run1")) == 6

    def test_every_file_of_a_run_has_one_writer(self, backend, journal, run_folder, root):
        own = (run_folder / "run.json").read_bytes(), (run_folder / "metrics.csv").read_bytes()
        FakeJournal("journal2").write(
            backend, TagsSet(run_id="run1", tags={"a": "b"}), points={("run1", "loss"): [(5, START, 1.0)]}
        )
        assert own == ((run_folder / "run.json").read_bytes(), (run_folder / "metrics.csv").read_bytes())
        assert {path.name for path in run_folder.iterdir()} == {
            *("run.json", "metrics.csv", "run.journal2.json", "metrics.journal2.csv"),
        }

    def test_a_file_is_made_once_where_there_are_no_hard_links(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
        assert create_file(tmp_path / "a", b"one")
        assert not create_file(tmp_path / "a", b"two")
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"one")]

    def test_more_runs_than_are_kept_in_memory_stay_whole(self, backend, reader, journal):
        ids = [f"run{number}" for number in range(300)]
        journal.write(backend, experiment_created(), *(run_created(run_id) for run_id in ids))
        for step in range(2):
            journal.write(backend, points={(run_id, "loss"): [(step, START, 1.0)] for run_id in ids})
        assert {run.data.summaries["loss"].count for run in reader.search_runs(RunQuery())} == {2}
