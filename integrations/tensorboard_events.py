"""What PyTorch's writer and tensorboardX's hand over to their event files, and how it is recorded."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.tensorboard_runs import find_run, hold, store, tags_of
from autolog.run import ActiveRun

_KINDS_OF_IMAGES: Final = {b"\x89PNG": ".png", b"GIF8": ".gif", b"\xff\xd8\xff": ".jpg"}
_TEXT_SUFFIX: Final = "/text_summary"

# Seconds that an event may be away from the present.
_NOW: Final = 0.1

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
    folder = writer.get_logdir()
    if run is None:
        hold(functools.partial(_record, folder=folder, event=event), event.ByteSize())
    else:
        _record(run, folder, event)


def _record(run: ActiveRun, folder: Any, event: Any) -> None:
    for value in event.summary.value:
        number = value.simple_value
        # What is asked most is asked first: of a number that is not zero it is known that it is there.
        kind = "simple_value" if number else value.WhichOneof("value")
        if kind == "simple_value":
            _log(run, folder, event, value.tag, number)
        elif kind == "image":
            content = value.image.encoded_image_string
            suffix = next((end for start, end in _KINDS_OF_IMAGES.items() if content.startswith(start)), ".bin")
            store(run, "images", tags_of(run).name(folder, value.tag), event.step, suffix, content)
        elif kind == "histo":
            histogram = value.histo
            edges = [histogram.min, *histogram.bucket_limit]
            store_histogram(run, tags_of(run).name(folder, value.tag), event.step, edges, list(histogram.bucket))
        elif kind == "tensor":
            _record_tensor(run, folder, event, value)


def _record_tensor(run: ActiveRun, folder: Any, event: Any, value: Any) -> None:
    plugin = value.metadata.plugin_data.plugin_name
    if plugin == "text":
        name = tags_of(run).name(folder, value.tag.removesuffix(_TEXT_SUFFIX))
        store(run, "text", name, event.step, ".txt", b"\n".join(value.tensor.string_val))
    elif plugin == "scalars":
        numbers = [*value.tensor.float_val, *value.tensor.double_val]
        if len(numbers) == 1:
            _log(run, folder, event, value.tag, numbers[0])


def _log(run: ActiveRun, folder: Any, event: Any, tag: str, value: float) -> None:
    if _series and str(folder) in _series:
        tag = f"{tag}/{_series[str(folder)]}"
    moment = event.wall_time
    # A time of the user's own is told; to say which time it is anyway takes as long as all the rest.
    timestamp = None if -_NOW < moment - time.time() < _NOW else int(moment * 1000)
    run.log_metric(tags_of(run).name(folder, tag), value, event.step, timestamp)


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
