"""Record what programs write for TensorBoard: with PyTorch's writer, tensorboardX's, and ``tf.summary``.

What is listened to is the place where a writer hands an event over to its file: its values have been converted there,
its pictures encoded and its histograms counted, by the writer itself and once. The files are not touched.
"""

from __future__ import annotations

import functools
import os
from typing import Any, Final

from autolog.hooks import Integration

tensorboard: Final = Integration("tensorboard")

_TORCH: Final = "torch.utils.tensorboard.writer"
_X: Final = "tensorboardX.writer"


@functools.cache
def _events() -> Any:
    # An import statement that finds the module there takes as long as all that is done with a scalar.
    from autolog.integrations import tensorboard_events

    return tensorboard_events


@functools.cache
def _summaries() -> Any:
    from autolog.integrations import tensorboard_summaries

    return tensorboard_summaries


@tensorboard.listen(f"{_TORCH}:FileWriter.add_event", f"{_X}:FileWriter.add_event")
def add_event(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Record an event: a scalar, a picture, a histogram, a text."""
    _events().note_event(args[0], args[1])


@tensorboard.listen(f"{_TORCH}:SummaryWriter.add_scalars", before=True)
def add_scalars(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note that each of several scalars is to have a file of its own, under the tag that they have in common."""
    writer, tag, scalars = args[:3]
    folder = writer._get_file_writer().get_logdir()  # noqa: SLF001  as the method itself does
    _events().note_series({f"{folder}/{tag.replace('/', '_')}_{name}": name for name in scalars})


@tensorboard.listen(f"{_X}:SummaryWriter.add_scalars", before=True)
def add_scalars_to_folders(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note the same of tensorboardX, which has other names for the files."""
    writer, tag, scalars = args[:3]
    folder = str(writer._get_file_writer().get_logdir())  # noqa: SLF001  as the method itself does
    _events().note_series({os.path.join(folder, tag, name): name for name in scalars})  # noqa: PTH118  it is to be that text


@tensorboard.listen(f"{_TORCH}:SummaryWriter.add_hparams", f"{_X}:SummaryWriter.add_hparams")
def add_hparams(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Record hyperparameters; the metrics that are given with them come as scalars."""
    _events().note_hyperparameters(args[1])


@tensorboard.listen("tensorflow.python.ops.gen_summary_ops:write_summary")
def write_summary(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Record what ``tf.summary`` writes, where that is eager."""
    _summaries().note_summary(*args[1:5])


@tensorboard.listen("tensorflow.python.ops.summary_ops_v2:create_file_writer_v2")
def create_file_writer(result: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Note the folder that a writer of ``tf.summary`` writes to."""
    _summaries().note_writer(result, args[0])
