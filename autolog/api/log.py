"""The fluent functions that log values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autolog.api.runs import use_run
from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.errors import InvalidParameter
from autolog.run import active_runs
from autolog.values import to_text

# Looked up once: log_metric is called in the innermost loops of other people.
_active_runs = active_runs.get


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,  # noqa: ARG001  MLflow's; models are no part of a run's metrics yet
    dataset: Any = None,
) -> None:
    """Log one point of a metric to the active run; one is begun where none is active.

    Args:
        key: the metric's name.
        value: a number; NaN and ±inf are kept.
        step: an integer; 0 where it is not given, as in MLflow.
        synchronous: True waits until the store has it.
        timestamp: milliseconds since the epoch; now where it is not given.
        run_id: another run than the active one.
        model_id: accepted for MLflow's sake.
        dataset: the data set that the metric was computed on; it is recorded as an input of the run.

    Raises:
        InvalidParameter: the value is not a number, or the step not an integer.
        NotFound: there is no run with the id.
    """
    run = stack[-1] if run_id is None and (stack := _active_runs()) else use_run(run_id)
    run.log_metric(key, value, step, timestamp)
    if dataset is not None:
        run.log_inputs([_to_input(dataset)])
    if synchronous:
        run.flush()


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,  # noqa: ARG001  as above
    dataset: Any = None,
) -> None:
    """Log one point of each of several metrics. Arguments and errors are those of ``log_metric``."""
    run = use_run(run_id)
    run.log_metrics(metrics, step, timestamp)
    if dataset is not None:
        run.log_inputs([_to_input(dataset)])
    if synchronous:
        run.flush()


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Log a param of any length to the active run, and return its value; of a repeated key the last value counts."""
    log_params({key: value}, synchronous)
    return value


def log_params(params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Log params to the active run, or to another."""
    run = use_run(run_id)
    run.log_params(params)
    if synchronous:
        run.flush()


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set a tag on the active run."""
    set_tags({key: value}, synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Set tags on the active run."""
    run = use_run()
    run.set_tags(tags)
    if synchronous:
        run.flush()


def delete_tag(key: str) -> None:
    """Take a tag away from the active run."""
    use_run().delete_tag(key)


def log_input(
    dataset: Any = None,
    context: str | None = None,
    tags: Mapping[str, str] | None = None,
    model: Any = None,  # noqa: ARG001
) -> None:
    """Log the use of a data set by the active run.

    Args:
        dataset: a ``Dataset``, a data set of MLflow's, or the data itself, which is described and never copied.
        context: what it is used for, such as ``train``.
        tags: for this use.
        model: accepted for MLflow's sake.
    """
    if dataset is not None:
        use_run().log_inputs([_to_input(dataset, context, tags)])


def log_inputs(
    datasets: Sequence[Any] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, str] | None] | None = None,
    models: Any = None,  # noqa: ARG001
) -> None:
    """Log the use of several data sets by the active run.

    Args:
        datasets: as ``log_input`` takes one each.
        contexts: one for each data set.
        tags_list: the tags of each data set.
        models: accepted for MLflow's sake.

    Raises:
        InvalidParameter: the lists differ in length.
    """
    given = list(datasets or ())
    everywhere = [None] * len(given)
    try:
        rows = list(zip(given, contexts or everywhere, tags_list or everywhere, strict=True))
    except ValueError:
        raise InvalidParameter("log_inputs takes one context, and one dict of tags, for each data set") from None
    use_run().log_inputs([_to_input(*row) for row in rows if row[0] is not None])


def _to_input(data: Any, context: str | None = None, tags: Mapping[str, str] | None = None) -> DatasetInput:
    texts = {key: to_text(value) for key, value in (tags or {}).items()}
    if context is not None:
        texts["mlflow.data.context"] = context
    return DatasetInput(dataset=_to_dataset(data), tags=tuple(InputTag(*pair) for pair in texts.items()))


def _to_dataset(data: Any) -> Dataset:
    if isinstance(data, Dataset):
        return data
    to_dict = getattr(data, "to_dict", None)
    if hasattr(data, "digest") and hasattr(data, "source") and callable(to_dict):
        described: Any = to_dict()
        return Dataset(**{key: described.get(key) or "" for key in Dataset.__struct_fields__})
    from autolog.datasets import describe

    return describe(data)
