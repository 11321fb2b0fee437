"""Artifacts are stored whole or not at all, below their folder and nowhere else."""

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolog.artifact_store import ArtifactStore, validate_artifact_path
from autolog.entities import Artifact, FileInfo
from autolog.errors import InvalidParameter, NotFound


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return ArtifactStore(
        str(tmp_path / "a b/artifacts") if request.param == "folder" else f"memory://{uuid.uuid4()}/a b"
    )


@pytest.fixture
def staged(tmp_path):
    """A function that makes a local file with a content."""

    def stage(content):
        path = tmp_path / f"staged-{uuid.uuid4()}"
        path.write_bytes(content)
        return path

    return stage


def test_what_is_stored_is_described_and_read_back(store, staged):
    content = b"x" * 3_000_000
    artifact = store.put(staged(content), "plots/50%/[roc]*?.png")
    assert artifact == Artifact(
        path="plots/50%/[roc]*?.png", size=3_000_000, sha256=hashlib.sha256(content).hexdigest()
    )
    with store.open("plots/50%/[roc]*?.png") as file:
        assert file.read() == content


def test_content_in_memory_is_stored_as_a_file_is(store):
    artifact = store.put(b"\0\xff", "a/b.bin")
    assert artifact == Artifact(path="a/b.bin", size=2, sha256=hashlib.sha256(b"\0\xff").hexdigest())
    with store.open("a/b.bin") as file:
        assert file.read() == b"\0\xff"


def test_storing_again_replaces(store, staged):
    store.put(staged(b"one"), "a.txt")
    store.put(staged(b""), "a.txt")
    with store.open("a.txt") as file:
        assert file.read() == b""
    assert store.list() == [FileInfo("a.txt", is_dir=False, file_size=0)]


def test_a_folder_is_listed_level_by_level(store, staged):
    for path in ("b.txt", "model/MLmodel", "model/data/x", "a"):
        store.put(staged(b"12"), path)
    assert store.list() == [FileInfo("a", False, 2), FileInfo("b.txt", False, 2), FileInfo("model", True)]
    assert store.list("model") == [FileInfo("model/MLmodel", False, 2), FileInfo("model/data", True)]
    assert store.list("a") == []
    assert store.list("nothing") == []


def test_a_file_or_a_folder_is_downloaded_to_the_same_path(store, staged, tmp_path):
    for path in ("b.txt", "model/MLmodel", "model/data/x"):
        store.put(staged(path.encode()), path)
    assert store.download("model/data/x", tmp_path / "one").read_bytes() == b"model/data/x"
    assert store.download("model", tmp_path / "two") == tmp_path / "two/model"
    assert sorted(path.name for path in (tmp_path / "two").rglob("*") if path.is_file()) == ["MLmodel", "x"]
    assert (store.download("", tmp_path / "all") / "b.txt").read_bytes() == b"b.txt"


def test_a_file_or_a_folder_is_deleted(store, staged):
    for path in ("a*", "ab", "model/MLmodel", "model/data/x"):
        store.put(staged(b""), path)
    store.delete("a*")
    store.delete("model")
    # Some file systems keep a folder that has become empty.
    assert [info for info in store.list() if not info.is_dir] == [FileInfo("ab", False, 0)]


def test_what_is_not_there_is_not_found(store, tmp_path):
    for ask in (store.open, store.delete, lambda path: store.download(path, tmp_path)):
        with pytest.raises(NotFound, match="nothing"):
            ask("nothing/here")


def test_a_failed_upload_leaves_nothing(store, staged, tmp_path):
    store.put(staged(b"old"), "a.txt")
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "gone", "a.txt")
    with store.open("a.txt") as file:
        assert file.read() == b"old"
    assert [info.path for info in store.list()] == ["a.txt"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../a",
        "a/../b",
        "a/..",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "..\\a",
        "C:/a",
        "c:a",
        "a\0",
    ],
)
def test_a_path_out_of_the_folder_is_refused(store, staged, path):
    with pytest.raises(InvalidParameter, match="cannot be the path of an artifact"):
        store.put(staged(b""), path)


@pytest.mark.parametrize("path", ["a", "a/b.txt", "..a", "a..", "%2e%2e/a", "~", "a b/ü", "ab::c", "...", "$HOME/x"])
def test_what_looks_odd_but_stays_inside_is_a_path(path):
    assert validate_artifact_path(path) == path


@given(st.text(st.sampled_from("./\\aC:~%\0"), max_size=8))
def test_no_valid_path_leaves_its_folder(path):
    try:
        names = validate_artifact_path(path).split("/")
    except InvalidParameter:
        return
    assert names
    assert not {"", ".", ".."} & set(names)


def test_a_scheme_that_nobody_knows_is_refused():
    with pytest.raises(InvalidParameter, match="nowhere://"):
        ArtifactStore("nowhere://x")
