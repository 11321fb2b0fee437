"""The data set of a run says which function has loaded it, and from where, as far as it can be followed."""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pandas as pd
import polars as pl
from scipy import sparse
from sklearn import datasets
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

import autolog
from autolog import sources
from autolog.datasets import describe
from autolog.sources import Source, digest_file, find_source, to_location


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    sources._tables.clear()
    with autolog.enable(strict=True):
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "houses.csv"
    rows = (f"{place},{place * 0.5},{place % 7},{'town' if place % 3 else 'village'}" for place in range(60))
    file.write_text("rooms,age,floor,where\n" + "\n".join(rows))
    return file


PANDAS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "itself": lambda df: df,
    "some columns": lambda df: df[["age", "rooms"]],
    "one column": lambda df: df["age"],
    "without a column": lambda df: df.drop(columns="where"),
    "a copy": lambda df: df.copy(),
    "with one more column": lambda df: df.assign(more=1),
    "encoded": pd.get_dummies,
    "filled": lambda df: df.fillna({"age": 0}),
    "an array": lambda df: df[["rooms", "floor"]].to_numpy(),
    "an array of another type": lambda df: np.asarray(df[["rooms", "floor"]], dtype=np.float32),
    "the values of one column": lambda df: df["age"].values,  # noqa: PD011
    "a half of a split": lambda df: train_test_split(df, random_state=0)[1],
    "a half of the targets": lambda df: train_test_split(df[["age"]], df["rooms"], random_state=0)[3],
}


@pytest.mark.parametrize("how", PANDAS)
def test_a_table_of_pandas_is_followed(path: Path, how: str) -> None:
    df = pd.read_csv(path)
    assert find_source(PANDAS[how](df)) == Source("pandas.read_csv", str(path))


def test_columns_of_a_half_of_a_split_are_followed(path: Path) -> None:
    train, test = train_test_split(pd.read_csv(path), random_state=0)
    assert find_source(train[["age", "floor"]]) == find_source(test.drop(columns="where")) is not None


def test_columns_are_followed_where_the_table_that_they_come_from_is_gone(path: Path) -> None:
    df = pd.read_csv(path)
    df = df.drop(columns="where")
    gc.collect()
    assert find_source(df) == Source("pandas.read_csv", str(path))


@pytest.mark.parametrize("how", ["itself", "select", "drop", "to_numpy", "one column"])
def test_a_table_of_polars_is_followed(path: Path, how: str) -> None:
    df = pl.read_csv(path)
    made = {
        "itself": df,
        "select": df.select("age", "rooms"),
        "drop": df.drop("where"),
        "to_numpy": df.drop("where").to_numpy(),
        "one column": df["age"],
    }[how]
    assert find_source(made) == Source("polars.read_csv", str(path))


def test_a_lazy_table_has_a_source_and_is_not_evaluated(path: Path) -> None:
    lazy = pl.scan_csv(path)
    path.unlink()
    assert find_source(lazy) == Source("polars.scan_csv", str(path))
    assert describe(lazy).source_type == "local"


BUNCH: dict[str, Callable[[], Any]] = {
    "a bunch": lambda: datasets.load_iris().data,
    "a tuple": lambda: datasets.load_iris(return_X_y=True)[0],
    "targets": lambda: datasets.load_iris(return_X_y=True)[1],
    "a frame": lambda: datasets.load_iris(as_frame=True).frame,
    "columns of a frame": lambda: datasets.load_iris(as_frame=True, return_X_y=True)[0].iloc[:, :2],
    "a slice": lambda: datasets.load_iris().data[10:20, :2],
    "a half of a split": lambda: train_test_split(*datasets.load_iris(return_X_y=True), random_state=0)[0],
    "a slice of a half": lambda: train_test_split(*datasets.load_iris(return_X_y=True), random_state=0)[1][:9],
}


@pytest.mark.parametrize("how", BUNCH)
def test_scikit_learns_data_sets_are_followed(how: str) -> None:
    assert find_source(BUNCH[how]()) == Source("sklearn.datasets.load_iris")


def test_an_array_in_a_frame_of_the_users_own_is_followed() -> None:
    iris = datasets.load_iris()
    assert find_source(pd.DataFrame(iris.data, columns=iris.feature_names)) == Source("sklearn.datasets.load_iris")


def test_generated_data_say_how_they_were_asked_for() -> None:
    features, _ = datasets.make_classification(50, random_state=3)
    assert find_source(features) == Source(
        "sklearn.datasets.make_classification", None, {"n_samples": "50", "random_state": "3"}
    )


def test_sparse_data_and_files_of_scikit_learn_are_followed(tmp_path: Path) -> None:
    file = tmp_path / "data.svm"
    datasets.dump_svmlight_file(np.eye(9), np.arange(9), str(file))
    features, _ = datasets.load_svmlight_file(str(file))
    assert sparse.issparse(features)
    assert find_source(features) == Source("sklearn.datasets.load_svmlight_file", str(file))


def test_what_cannot_be_followed_has_no_source(path: Path) -> None:
    df = pd.read_csv(path)
    iris = datasets.load_iris()
    others = (
        df[["age", "rooms"]].to_numpy() * 2,
        df[df["age"] > 3],
        pd.DataFrame({"made": np.arange(60) ** 2}),
        pd.DataFrame({"made": np.arange(60) ** 2}, index=df.index[::-1]),
        np.zeros((60, 2)),
        np.random.default_rng(0).random((150, 4)),
        iris.data + 1,
        [[1, 2]] * 60,
        iter(df["age"]),
        object(),
        None,
    )
    assert [find_source(one) for one in others] == [None] * len(others)


def test_of_two_tables_that_it_could_come_from_neither_is_said_to_be_the_source(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "again.csv"
    other.write_bytes(path.read_bytes())
    first, second = pd.read_csv(path), pd.read_csv(other)
    assert find_source(first[["age", "floor"]].to_numpy()) is None
    assert find_source(second) == Source("pandas.read_csv", str(other))


def test_a_run_tells_the_file_and_its_digest_in_mlflows_form(path: Path) -> None:
    df = pd.read_csv(path)
    Ridge().fit(df[["age", "floor"]], df["rooms"])
    assert autolog.flush(60)
    (entry,) = autolog.last_active_run().inputs.dataset_inputs
    assert entry.dataset.source_type == "local"
    assert json.loads(entry.dataset.source) == {
        "uri": str(path),
        "loader": "pandas.read_csv",
        "digest": digest_file(str(path)),
    }


def test_a_run_tells_the_loader_where_there_is_no_file() -> None:
    features, targets = datasets.load_diabetes(return_X_y=True)
    Ridge().fit(features, targets)
    assert autolog.flush(60)
    (entry,) = autolog.last_active_run().inputs.dataset_inputs
    assert entry.dataset.source_type == "code"
    assert json.loads(entry.dataset.source) == {"tags": {"autolog.dataset.loader": "sklearn.datasets.load_diabetes"}}


def test_secrets_in_an_address_are_taken_out_and_the_address_is_not_asked() -> None:
    data = np.arange(20.0)
    sources.note_source(data, Source("pandas.read_csv", "https://me:secret@nowhere.invalid/a.csv?token=abc&x=1"))
    described = describe(data)
    assert described.source_type == "http"
    assert json.loads(described.source) == {
        "url": "https://***@nowhere.invalid/a.csv?token=***&x=1",
        "loader": "pandas.read_csv",
    }


def test_locations_are_paths_and_addresses_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert to_location("a.csv") == str(tmp_path / "a.csv")
    assert to_location(Path("a.csv")) == str(tmp_path / "a.csv")
    assert to_location("s3://bucket/a.csv") == "s3://bucket/a.csv"
    with (tmp_path / "a.csv").open("w") as file:
        assert to_location(file) == str(tmp_path / "a.csv")
    for other in ('{"a": [1]}', "<html>", "a,b\n1,2", io.StringIO("a"), b"a.csv", 3, None, "", ["a.csv"]):
        assert to_location(other) is None


def test_a_query_is_no_location(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "a.db") as connection:
        df = pd.read_sql("select 1 as one", connection)
    connection.close()
    assert find_source(df) == Source("pandas.read_sql")


def test_the_digest_of_a_file_depends_on_its_content_and_large_ones_are_read_in_part(tmp_path: Path) -> None:
    one, other, large = tmp_path / "one", tmp_path / "other", tmp_path / "large"
    one.write_bytes(b"abc")
    other.write_bytes(b"abd")
    assert digest_file(str(one)) == digest_file(f"file://{one}") != digest_file(str(other))
    with large.open("wb") as file:
        file.truncate(3 << 30)
    assert digest_file(str(large))
    assert digest_file(str(tmp_path)) is None
    assert digest_file(str(tmp_path / "missing")) is None
    assert digest_file("https://nowhere.invalid/a.csv") is None


@pytest.mark.usefixtures("untraced")
def test_nothing_loaded_is_kept_alive_or_changed(path: Path) -> None:
    def load() -> list[weakref.ref[Any]]:
        df, array, table = pd.read_csv(path), datasets.load_wine().data, pl.read_csv(path)
        assert df.attrs == {}
        assert find_source(df[["age"]]) is not None
        halves = train_test_split(array)
        return [weakref.ref(one) for one in (df, array, table, *halves)]

    known = set(sources._owners)
    references = load()
    gc.collect()
    assert all(reference() is None for reference in references)
    assert set(sources._owners) <= known


def test_many_tables_are_forgotten_and_a_chunked_reader_is_left_alone(path: Path) -> None:
    kept = [pd.read_csv(path) for _ in range(100)]
    assert len(sources._tables) == 64
    assert find_source(kept[0]) == Source("pandas.read_csv", str(path))
    with pd.read_csv(path, chunksize=7) as chunks:
        assert sum(map(len, chunks)) == 60


PROGRAM = """
import warnings, pickle, sys, inspect
import pandas as pd
READERS = {{"csv": pd.read_csv}}
from pandas import read_csv
{enable}
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    table = read_csv("mixed.csv", dtype={{"a": "int64"}}, date_format=["odd"], sep=None)
print([(w.category.__name__, w.filename, w.lineno) for w in caught])
print(pickle.loads(pickle.dumps(READERS["csv"])) is read_csv is pd.read_csv, inspect.signature(read_csv))
print(inspect.getsource(pd.read_csv)[:300], pd.read_csv.__doc__[:100])
try:
    READERS["csv"]("missing.csv")
except FileNotFoundError as error:
    print(error)
"""


def test_warnings_pickles_and_signatures_of_loaders_are_as_without(tmp_path: Path) -> None:
    (tmp_path / "mixed.csv").write_text("a,b\n1,2\n3,4\n")
    outputs = []
    for enable in ("", "import autolog; autolog.enable(strict=True)"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(enable=enable)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert "ParserWarning" in outputs[0], "nothing was warned of"
