"""What ``tf.summary`` writes, and how it is recorded.

Inside of ``tf.function`` the values belong to a graph, and no value passes through Python: nothing is recorded there.
"""

from __future__ import annotations

import functools
import importlib
import os
import time
import weakref
from typing import Any, Final

from autolog.integrations.tensorboard_events import store_histogram
from autolog.integrations.tensorboard_runs import find_run, hold, store, tags_of
from autolog.run import ActiveRun

# The folders that writers write to.
_folders: Final[weakref.WeakKeyDictionary[Any, str]] = weakref.WeakKeyDictionary()
# Which of TensorBoard's plugins a value is for, by its metadata; there are few of them.
_plugins: Final[dict[bytes, str]] = {}
_MOST_PLUGINS: Final = 1000


def note_writer(writer: Any, folder: Any) -> None:
    """Note the folder of a writer, where that is a plain path."""
    if isinstance(folder, (str, os.PathLike)):
        _folders[writer] = os.fspath(folder)


def note_summary(step: Any, value: Any, tag: Any, metadata: Any) -> None:
    """Record a value that has been written.

    Args:
        step: a number, or a tensor of one.
        value: a tensor, which ``tf.summary`` has brought into the computer's memory.
        tag: its name.
        metadata: TensorBoard's, as bytes.
    """
    if not hasattr(value, "numpy") or not isinstance(tag, str) or not isinstance(metadata, bytes):
        return
    plugin = _plugins.get(metadata)
    if plugin is None:
        plugin = _read_plugin(metadata)
    if plugin not in _RECORDERS:
        return
    write = functools.partial(
        _RECORDERS[plugin], folder=_folder(), tag=tag, step=int(step), value=value, moment=int(time.time() * 1000)
    )
    run = find_run()
    if run is None:
        hold(write, 8 * value._num_elements())  # noqa: SLF001  the public shape takes ten times as long
    else:
        write(run)


def _folder() -> str:
    from tensorflow.python.ops import summary_ops_v2

    return _folders.get(summary_ops_v2._summary_state.writer, "")  # noqa: SLF001  there is no public way


def _read_plugin(metadata: bytes) -> str:
    messages: Any = importlib.import_module("tensorboard.compat.proto.summary_pb2")
    plugin = str(messages.SummaryMetadata.FromString(metadata).plugin_data.plugin_name)
    if len(_plugins) < _MOST_PLUGINS:
        _plugins[metadata] = plugin
    return plugin


def _record_scalar(run: ActiveRun, folder: str, tag: str, step: int, value: Any, moment: int) -> None:
    run.log_metric(tags_of(run).name(folder, tag), float(value), step, moment)


def _record_images(run: ActiveRun, folder: str, tag: str, step: int, value: Any, moment: int) -> None:  # noqa: ARG001
    # The first two are the width and the height.
    for number, content in enumerate(value.numpy().tolist()[2:]):
        name = tags_of(run).name(folder, tag)
        store(run, "images", name if number == 0 else f"{name}-{number + 1}", step, ".png", content)


def _record_histogram(run: ActiveRun, folder: str, tag: str, step: int, value: Any, moment: int) -> None:  # noqa: ARG001
    bins = value.numpy().tolist()
    if bins:
        edges = [bins[0][0], *(right for _, right, _ in bins)]
        store_histogram(run, tags_of(run).name(folder, tag), step, edges, [count for _, _, count in bins])


def _record_text(run: ActiveRun, folder: str, tag: str, step: int, value: Any, moment: int) -> None:  # noqa: ARG001
    content = b"\n".join(value.numpy().ravel().tolist()) if value.shape.rank else value.numpy()
    store(run, "text", tags_of(run).name(folder, tag), step, ".txt", content)


_RECORDERS: Final = {
    "scalars": _record_scalar,
    "images": _record_images,
    "histograms": _record_histogram,
    "text": _record_text,
}
