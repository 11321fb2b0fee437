"""Note which function has loaded data: scikit-learn's data sets, and what pandas and polars read."""

from __future__ import annotations

from typing import Any, Final

from autolog.hooks import Call, Integration
from autolog.sources import Source, note_parts, note_source, to_location

loaders: Final = Integration("loaders")

# Of these the first argument is no path and no address.
_NO_LOCATION: Final = frozenset(
    {"read_sql", "read_sql_query", "read_sql_table", "read_database", "read_database_uri", "read_clipboard"}
    | {"read_iceberg", "scan_iceberg", "read_gbq", "scan_external_reader", "scan_pyarrow_dataset"}
    | {"scan_arrow_c_stream"}
)
# Of scikit-learn's loaders, those that are told where the data are.
_LOCATED: Final = frozenset({"load_svmlight_file", "load_files", "fetch_file"})
_PLAIN: Final = (str, int, float, bool)
_TELLING: Final = frozenset(
    {"name", "version", "data_id", "subset", "n_samples", "n_features", "n_class", "random_state"}
)


@loaders.follow("pandas:read_*", "polars:read_*", "polars:scan_*", within=True)
def read(call: Call) -> None:
    """Note the path or address that a table was read from."""
    function = call.function
    location = None
    if function.__name__ not in _NO_LOCATION:
        given = call.args[0] if call.args else next(iter(call.kwargs.values()), None)
        location = to_location(given)
    note_source(call.result, Source(f"{function.__module__.partition('.')[0]}.{function.__name__}", location))


@loaders.follow("sklearn.datasets:load_*", "sklearn.datasets:fetch_*", "sklearn.datasets:make_*", within=True)
def load(call: Call) -> None:
    """Note the name of a data set's loader, and which data it was asked for."""
    function = call.function
    names = _parameters(function)
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    location = to_location(next(iter(given.values()), None)) if function.__name__ in _LOCATED else None
    arguments = {name: str(value) for name, value in given.items() if name in _TELLING and type(value) in _PLAIN}
    note_source(call.result, Source(f"sklearn.datasets.{function.__name__}", location, arguments))


@loaders.follow("sklearn.model_selection:train_test_split", within=True)
def split(call: Call) -> None:
    """Note that parts of data come from where the data come from."""
    note_parts(call.result, *call.args)


def _parameters(function: Any) -> tuple[str, ...]:
    code = getattr(function, "__wrapped__", function).__code__
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names
