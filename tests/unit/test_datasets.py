"""A data set is described in MLflow's forms, at a bounded cost, and is neither copied, evaluated nor kept."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from autolog import digests
from autolog.callers import variable_name
from autolog.datasets import describe
from autolog.sampling import SAMPLE_BYTES, SAMPLE_ROWS, choose, count, indexes

GENERATOR = np.random.default_rng(0)
LARGE = GENERATOR.random((200_000, 6))


def digest(data, targets=None):
    return describe(data, targets).digest


def schema(data, targets=None):
    return json.loads(describe(data, targets).schema)


def profile(data, targets=None):
    return json.loads(describe(data, targets).profile)


def columns(data):
    return {column["name"]: (column["type"], column["required"]) for column in schema(data)["mlflow_colspec"]}


# -- MLflow's forms, as MLflow 3.17 writes them ------------------------------------------------------------------------


def test_arrays_have_mlflows_tensor_schema_and_profile():
    described = describe(np.zeros((5, 3)), np.zeros(5, dtype=int))
    features = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]'
    targets = '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
    assert described.schema == json.dumps({"mlflow_tensorspec": {"features": features, "targets": targets}})
    assert described.profile == (
        '{"features_shape": [5, 3], "features_size": 15, "features_nbytes": 120, '
        '"targets_shape": [5], "targets_size": 5, "targets_nbytes": 40}'
    )
    assert (described.name, described.source_type, described.source) == ("dataset", "code", "{}")
    assert len(described.digest) == 16


def test_frames_have_mlflows_column_schema_and_profile():
    frame = pd.DataFrame({"a": [1.0, 2.0], ("b", 1): [1, 2]})
    assert describe(frame).schema == (
        '{"mlflow_colspec": [{"type": "double", "name": "a", "required": true}, '
        '{"type": "long", "name": ["b", 1], "required": true}]}'
    )
    found = profile(frame)
    assert (found["num_rows"], found["num_elements"]) == (2, 4)


def test_every_kind_of_pandas_column_has_mlflows_type():
    frame = pd.DataFrame(
        {
            "double": [1.0, None],
            "float": np.array([1, 2], "float32"),
            "long": [1, 2],
            "integer": np.array([1, 2], "int16"),
            "boolean": [True, False],
            "string": ["x", None],
            "texts": np.array(["x", "y"], dtype=object),
            "category": pd.Categorical(["u", "v"]),
            "codes": pd.Categorical([1, 2]),
            "datetime": pd.to_datetime(["2020", None]),
            "zoned": pd.date_range("2020", periods=2, tz="Europe/Paris"),
            "nullable": pd.array([1, None], dtype="Int64"),
            "binary": [b"x", b"y"],
            "unsigned": np.array([1, 2], "uint64"),
            "duration": pd.to_timedelta([1, 2]),
            "mixed": [1, "x"],
            "lists": [[1], [2]],
        }
    )
    assert columns(frame) == {
        "double": ("double", False),
        "float": ("float", True),
        "long": ("long", True),
        "integer": ("integer", True),
        "boolean": ("boolean", True),
        "string": ("string", False),
        "texts": ("string", True),
        "category": ("string", True),
        "codes": ("long", True),
        "datetime": ("datetime", False),
        "zoned": ("datetime", True),
        "nullable": ("long", False),
        "binary": ("binary", True),
        "unsigned": ("any", True),
        "duration": ("any", True),
        "mixed": ("any", True),
        "lists": ("any", True),
    }


def test_a_series_is_one_column_and_as_targets_a_tensor():
    assert columns(pd.Series([1.0], name="age")) == {"age": ("double", True)}
    assert schema(pd.Series([1.0])) == {"mlflow_colspec": [{"type": "double", "required": True}]}
    found = schema(np.zeros((2, 3)), pd.Series([0, 1], name="label"))
    assert json.loads(found["mlflow_tensorspec"]["targets"]) == [
        {"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}
    ]


def test_polars_and_arrow_frames_have_mlflows_column_schema():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1.5, None], "b": [1, 2], "c": ["x", "y"], "d": [True, None]}).with_columns(
        polars.col("c").cast(polars.Categorical).alias("e")
    )
    expected = {
        "a": ("double", False),
        "b": ("long", True),
        "c": ("string", True),
        "d": ("boolean", False),
        "e": ("string", True),
    }
    assert columns(frame) == expected
    assert profile(frame)["num_rows"] == 2
    pytest.importorskip("pyarrow")
    table = frame.to_arrow()
    assert columns(table) == expected
    assert columns(table.to_batches()[0]) == expected


def test_sparse_matrices_have_the_schema_of_a_tensor():
    found = schema(sp.csr_matrix(np.eye(3)), np.zeros(3))
    assert json.loads(found["mlflow_tensorspec"]["features"])[0]["tensor-spec"] == {
        "dtype": "float64",
        "shape": [-1, 3],
    }


@pytest.mark.parametrize(
    ("source", "source_type", "recorded"),
    [
        ("data/train.csv", "local", {"uri": "data/train.csv"}),
        ("https://me:hunter22@host/a.csv?token=hunter22", "http", {"url": "https://***@host/a.csv?token=***"}),
        ("s3://bucket/a.parquet", "s3", {"uri": "s3://bucket/a.parquet"}),
    ],
)
def test_a_source_is_recorded_in_mlflows_form_and_without_secrets(source, source_type, recorded):
    described = describe(np.zeros(1), source=source, name="mine")
    assert (described.name, described.source_type, json.loads(described.source)) == ("mine", source_type, recorded)


# -- the digest --------------------------------------------------------------------------------------------------------

SMALL = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    "same",
    [
        SMALL.copy(),
        np.asfortranarray(SMALL),
        np.repeat(SMALL, 2, axis=1)[:, ::2],
        np.ascontiguousarray(SMALL[::-1])[::-1],
    ],
    ids=["copy", "columns first", "strided", "backwards"],
)
def test_an_array_has_one_digest_however_it_lies_in_memory(same):
    assert digest(same) == digest(SMALL)


def test_a_large_array_has_one_digest_however_it_lies_in_memory(tmp_path):
    mapped = np.memmap(tmp_path / "data", dtype=LARGE.dtype, mode="w+", shape=LARGE.shape)
    mapped[:] = LARGE
    assert digest(LARGE) == digest(LARGE.copy(order="F")) == digest(mapped)


def changed(array, *place, value):
    other = array.copy()
    other[place] = value
    return other


@pytest.mark.parametrize(
    "other",
    [
        changed(SMALL, 3, 2, value=0.5),
        changed(SMALL, 0, 0, value=np.nan),
        SMALL.astype("float32"),
        SMALL.reshape(3, 4),
        SMALL.reshape(-1),
        SMALL[:3],
        pd.DataFrame(SMALL),
        SMALL.tolist(),
    ],
)
def test_another_value_shape_or_type_gives_another_digest(other):
    assert digest(other) != digest(SMALL)


def test_targets_count_for_the_digest():
    ones, zeros = np.ones(4), np.zeros(4)
    assert len({digest(SMALL), digest(SMALL, ones), digest(SMALL, zeros), digest(SMALL, ones.tolist())}) == 4


@pytest.mark.parametrize("row", [0, -1])
def test_the_first_and_the_last_row_of_large_data_count(row):
    other = changed(LARGE, row, 3, value=7)
    assert digest(other) != digest(LARGE)
    assert digest(pd.DataFrame(other)) != digest(pd.DataFrame(LARGE))
    assert digest(sp.csr_matrix(other)) != digest(sp.csr_matrix(LARGE))


def test_what_is_read_of_large_data_is_written_in_the_profile():
    assert profile(LARGE)["features_digest_of"].startswith("1024 of 200000 rows, ")
    assert "features_digest_of" not in profile(SMALL)
    assert profile(SMALL, LARGE[:, 0].repeat(4))["targets_digest_of"].startswith("1024 of 800000 rows")
    assert "of 2000000 columns" in profile(np.zeros((3, 2_000_000)))["features_digest_of"]


def test_a_frame_is_known_by_its_values_names_and_types():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    others = [
        frame.rename(columns={"a": "c"}),
        frame.assign(b=["x", "y"]),
        frame.assign(a=[1, 3]),
        frame.astype({"a": "int32"}),
        frame[["b", "a"]],
        frame.astype({"b": "category"}),
    ]
    assert len({digest(one) for one in [frame, *others]}) == 7
    assert digest(frame) == digest(frame.copy()) == digest(frame.set_index(pd.Index([8, 9])))


def test_what_lies_under_a_mask_does_not_count_and_the_mask_does():
    mask = [False, True, False]
    one = np.ma.masked_array([1.0, 2.0, 3.0], mask)
    assert digest(one) == digest(np.ma.masked_array([1.0, 9.0, 3.0], mask))
    assert digest(one) != digest(np.ma.masked_array([1.0, 2.0, 3.0], [True, False, False]))


def test_what_lies_between_the_fields_of_a_record_does_not_count():
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one, other = np.zeros(4, dtype), np.zeros(4, dtype)
    other.view(np.uint8).reshape(4, -1)[:, 1:8] = 255
    assert digest(one) == digest(other)
    other["b"][2] = 1
    assert digest(one) != digest(other)


def test_the_digest_is_the_same_in_every_process():
    program = """
import numpy as np, pandas as pd
from autolog.datasets import describe
frame = pd.DataFrame({"s": ["x", "y", None], "c": pd.Categorical(["u", "v", "u"]), "o": [{"k": 1}, (1, "z"), {3, 4}],
                      "t": pd.date_range("2020", periods=3, tz="UTC"), "i": pd.array([1, None, 3], dtype="Int64")})
data = [frame, [["a", 1.5, None], ["b", 2**80, "\\ud800"]], np.array(["x", 1, b"y"], dtype=object), object()]
print([describe(one).digest for one in data])
"""
    root = Path(digests.__file__).parents[1]

    def run(seed):
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True).stdout

    first = run("1")
    assert len(set(json.loads(first.decode().replace("'", '"')))) == 4
    assert first == run("2")


# -- every shape of data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((0, 5)), np.zeros(0), np.array(3.0), np.zeros((2, 3, 4)), np.zeros((2000, 64, 64, 3), "u1"),
        np.array(["2020", "NaT"], "M8[s]"), np.array(["x", "yy"]), np.array([b"x"]), np.array([1j]), np.zeros(2, "g"),
        np.array([None, "x", 2**100, object()], dtype=object), np.zeros(3, "U0"), np.zeros(3, "V5"), np.zeros((4, 0)),
        np.zeros(100_000, dtype=object), np.zeros(1, "S6000000"), np.ma.masked_all((2, 2)), np.float64(3),
        pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame(index=range(3)),
        pd.DataFrame([[1, 2.0]], columns=["a", "a"]),
        pd.DataFrame([[1, 2.0]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])),
        pd.DataFrame({float("nan"): [1], None: [2], pd.Timestamp("2020"): [3], b"x": [4]}),
        pd.DataFrame({"s": pd.arrays.SparseArray([0.0, 1.0]), "p": pd.period_range("2020", periods=2)}),
        pd.DataFrame({"text": ["long " * 5000] * 2000}), pd.Series([], dtype=float), pd.Series(["x"]),
        *(sp.random(50, 40, 0.1, format=kind) for kind in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")),
        sp.csr_array((0, 3)), sp.csr_array(np.eye(3)),
        [], [[]], [1, "x", None], [[1.0, 2.0], [3.0]], (1, 2), [np.zeros(3), np.ones(3)], [{"a": 1}],
        [[[["x"]]]], ["\ud800"],
        {"a": 1}, "text", b"bytes", 5, object(), range(3), {1, 2},
    ],
    ids=lambda data: type(data).__name__,
)  # fmt: skip
def test_data_of_every_shape_is_described(data):
    described = describe(data, data)
    assert len(described.digest) == 16
    assert json.loads(described.profile)
    assert described.schema is None or json.loads(described.schema)
    assert described == describe(data, data)


def test_a_frame_of_many_columns_keeps_its_whole_schema():
    frame = pd.DataFrame(np.zeros((4, 20_000)))
    assert len(schema(frame)["mlflow_colspec"]) == 20_000


def test_a_list_that_refers_to_itself_is_described():
    loop: list[object] = [1]
    loop.append(loop)
    first: list[object] = []
    first.append(first)
    assert describe(loop).digest == describe(loop).digest
    assert describe(first).digest


# -- what is never done ------------------------------------------------------------------------------------------------


class Untouchable:
    """Anything that is done with it is an error, as with a lazy object that would begin to compute."""

    def _refuse(self, *_):
        raise AssertionError("touched")

    __len__ = __iter__ = __getitem__ = __array__ = __bool__ = __eq__ = __hash__ = __repr__ = __getattr__ = _refuse
    __class__ = property(_refuse)


class LazyList(list):
    __len__ = __iter__ = __getitem__ = Untouchable._refuse


def test_what_is_lazy_or_unknown_is_named_and_not_touched():
    for data in (Untouchable(), LazyList()):
        found = profile(data)
        assert set(found) == {"type"}
        assert found["type"].endswith(type(data).__name__)


def test_iterators_and_generators_keep_all_they_have():
    numbers, letters = iter([1, 2]), (letter for letter in "ab")
    describe(numbers, letters)
    assert list(numbers) == [1, 2]
    assert list(letters) == ["a", "b"]


def test_a_lazy_polars_frame_is_not_collected():
    polars = pytest.importorskip("polars")

    def refuse(frame):
        raise AssertionError("collected")

    frame = polars.DataFrame({"a": [1]}).lazy().map_batches(refuse)
    assert describe(frame).schema is None
    assert profile(frame) == {"type": "polars.lazyframe.frame.LazyFrame"}


def test_an_object_inside_the_data_is_not_asked_for_its_text():
    class Secretive:
        def __repr__(self):
            raise AssertionError("asked")

        __str__ = __repr__

    array = np.empty(1, dtype=object)
    array[0] = Secretive()
    assert describe(array).digest
    assert describe([Secretive()]).digest
    assert describe(pd.DataFrame({"a": array})).digest


@pytest.mark.parametrize("make", [lambda: np.zeros((3, 2)), lambda: pd.DataFrame({"a": [1]})])
def test_no_reference_to_the_data_is_kept(make):
    data = make()
    described = describe(data, data)
    alive = weakref.ref(data)
    del data
    gc.collect()
    assert alive() is None
    assert described.digest


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_array_is_not_copied(order):
    import tracemalloc

    array = np.zeros((4_000_000, 8), order=order)  # 256 MB, of which the system has given next to nothing yet
    frame = pd.DataFrame(array, copy=False)
    tracemalloc.start()
    describe(array[:, ::2], frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * SAMPLE_BYTES


def test_reading_does_not_change_the_data():
    frame = pd.DataFrame({"a": [1, None], "b": ["x", "y"]})
    before = frame.copy(deep=True)
    describe(frame, frame["a"])
    pd.testing.assert_frame_equal(frame, before)


def test_no_data_library_is_imported():
    program = (
        "import sys, autolog.datasets as d; d.describe([[1, 2]], iter(())); "
        "print(sorted({'pandas', 'polars', 'pyarrow', 'scipy', 'torch'} & set(sys.modules)))"
    )
    root = Path(digests.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    printed = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True).stdout
    assert printed.strip() == b"[]"


# -- sampling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "cell"),
    [
        ((60_000, 784), 4),
        ((10**9,), 8),
        ((3, 10**9), 8),
        ((10**6, 10**6), 8),
        ((10, 100_000), 256),
        ((5000, 64, 64, 3), 1),
    ],
)
def test_a_sample_is_bounded_and_runs_from_the_first_row_to_the_last(shape, cell):
    chosen = choose(shape, cell)
    assert chosen is not None
    assert count(chosen[0]) <= SAMPLE_ROWS
    assert np.prod([count(runs) for runs in chosen]) * cell <= 2 * SAMPLE_BYTES
    for runs, length in zip(chosen, shape, strict=True):
        taken = indexes(runs)
        assert taken == sorted(set(taken))
        assert taken[0] == 0
        assert len(taken) == 1 or taken[-1] == length - 1


# -- the name in the user's code ---------------------------------------------------------------------------------------

module_data = object()


def frame_here():
    return sys._getframe(1)


def test_data_has_the_name_of_the_callers_variable():
    X_train = object()
    assert variable_name(X_train, frame_here()) == "X_train"


def test_data_has_the_name_of_a_global_variable_that_a_function_uses():
    assert variable_name(module_data, frame_here()) == "module_data"


def test_data_without_a_variable_has_no_name():
    assert variable_name(object(), frame_here()) is None
    assert variable_name(object(), None) is None


def test_an_equal_object_is_not_the_same_one():
    X_train = [1]
    assert variable_name([1], frame_here()) is None
    assert X_train == [1]


def test_a_name_that_ipython_gave_counts_less():
    _ = _1 = data = object()
    assert variable_name(_, frame_here()) == "data"
    assert _1 is data


def run_as(name, file, source, **names):
    namespace = {"__name__": name, "frame_here": frame_here, **names}
    exec(compile(source, file, "exec"), namespace)
    return namespace


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("autolog.hooks", "/anywhere/autolog/hooks.py"),
        ("autolog.integrations.sklearn", "/checkout/integrations/sklearn.py"),
        ("sklearn.base", "/env/lib/python3/site-packages/sklearn/base.py"),
        ("functools", str(Path(os.__file__).parent / "functools.py")),
    ],
)
def test_names_inside_autolog_and_libraries_are_passed_over(module, file):
    library = run_as(module, file, "def fit(X):\n    inner = X\n    return find(X, frame_here())", find=variable_name)
    wine = object()
    assert library["fit"](wine) == "wine"
    assert library["fit"](object()) is None


def test_the_innermost_frame_of_the_user_decides():
    def train(features):
        return variable_name(features, frame_here())

    wine = object()
    assert train(wine) == "features"


def test_a_name_in_a_script_is_found(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nfrom autolog.callers import variable_name\nprices = [1]\n"
        "print(variable_name(prices, sys._getframe()))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(digests.__file__).parents[1])}
    printed = subprocess.run([sys.executable, str(script)], env=environment, check=True, capture_output=True).stdout
    assert printed.strip() == b"prices"


@pytest.mark.usefixtures("untraced")
def test_looking_for_a_name_keeps_no_local_of_the_caller_alive_and_changes_no_dictionary_of_his() -> None:
    class Data:
        pass

    def call() -> None:
        data, other = Data(), Data()
        assert variable_name(data, sys._getframe()) == "data"
        reference = weakref.ref(other)
        del other
        assert reference() is None

    def call_with_a_dictionary() -> None:
        data = Data()
        kept = locals()
        later = Data()
        # Before Python 3.13 to read the locals would bring the dictionary up to date.
        assert variable_name(data, sys._getframe()) == ("data" if sys.version_info >= (3, 13) else None)
        assert set(kept) == {"data", "Data"}
        assert later is not data

    call_with_a_dictionary()
    gc.disable()
    try:
        call()
    finally:
        gc.enable()
