"""What PyTorch's writer and tensorboardX's hand over to their event files, and how it is recorded."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.tensorboard_runs import find_run, hold, store, tags_of
from autolog.run import ActiveRun

_KINDS_OF_IMAGES: Final = {b"\x89PNG": ".png", b"GIF8": ".gif", b"\xff\xd8\xff": ".jpg"}
_TEXT_SUFFIX: Final = "/text_summary"

# By the folders of files that hold one scalar of several under a tag: which one it is.
_series: Final[dict[str, str]] = {}


def note_series(names: Mapping[str, str]) -> None:
    """Note the folders that the scalars of one tag go to, each with what it is called there."""
    _series.update(names)


def note_hyperparameters(values: Any) -> None:
    """Record hyperparameters as params; a tensor among them is not read."""
    plain = {str(key): value for key, value in values.items() if isinstance(value, (str, int, float, bool))}
    described = describe_values(plain)

    def write(run: ActiveRun) -> None:
        log_params(run, "hparams", described)

    run = find_run()
    if run is None:
        hold(write, 0)
    else:
        write(run)


def note_event(writer: Any, event: Any) -> None:
    """Record an event, or hold it until there is a run.

    Args:
        writer: of one file.
        event: TensorBoard's message, which is not kept longer than that.
    """
    run = find_run()
    folder = str(writer.get_logdir())
    if run is None:
        hold(functools.partial(_record, folder=folder, event=event), event.ByteSize())
    else:
        _record(run, folder, event)


def _record(run: ActiveRun, folder: str, event: Any) -> None:
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        tag = value.tag
        if kind == "simple_value":
            _log(run, folder, event, tag, value.simple_value)
        elif kind == "image":
            content = value.image.encoded_image_string
            suffix = next((end for start, end in _KINDS_OF_IMAGES.items() if content.startswith(start)), ".bin")
            store(run, "images", tags_of(run).name(folder, tag), event.step, suffix, content)
        elif kind == "histo":
            histogram = value.histo
            edges = [histogram.min, *histogram.bucket_limit]
            store_histogram(run, tags_of(run).name(folder, tag), event.step, edges, list(histogram.bucket))
        elif kind == "tensor":
            _record_tensor(run, folder, event, value)


def _record_tensor(run: ActiveRun, folder: str, event: Any, value: Any) -> None:
    plugin = value.metadata.plugin_data.plugin_name
    if plugin == "text":
        name = tags_of(run).name(folder, value.tag.removesuffix(_TEXT_SUFFIX))
        store(run, "text", name, event.step, ".txt", b"\n".join(value.tensor.string_val))
    elif plugin == "scalars":
        numbers = [*value.tensor.float_val, *value.tensor.double_val]
        if len(numbers) == 1:
            _log(run, folder, event, value.tag, numbers[0])


def _log(run: ActiveRun, folder: str, event: Any, tag: str, value: float) -> None:
    if _series and folder in _series:
        tag = f"{tag}/{_series[folder]}"
    run.log_metric(tags_of(run).name(folder, tag), value, event.step, int(event.wall_time * 1000))


def store_histogram(run: ActiveRun, name: str, step: int, edges: Sequence[float], counts: Sequence[float]) -> None:
    """Store a histogram as JSON: the edges of its bins, one more than there are, and what is in each.

    Args:
        run: where to.
        name: the tag's.
        step: when.
        edges: ascending.
        counts: of every bin.
    """
    content = json.dumps({"tag": name, "step": step, "edges": list(edges), "counts": list(counts)})
    store(run, "histograms", name, step, ".json", content.encode())
