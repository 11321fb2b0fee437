"""What a trained Keras model is evaluated for: the metrics go to its run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from autolog.attribution import run_of_model
from autolog.callers import name_in, users_frame
from autolog.hooks import Call
from autolog.integrations.keras_data import describe_data
from autolog.integrations.keras_fits import progress_of
from autolog.integrations.keras_logs import read_logs
from autolog.predictions import EvaluatedData
from autolog.scores import describe_call, record_evaluation

_ARGUMENTS: Final = ("x", "y", "batch_size", "sample_weight", "steps")


def record(call: Call, model: Any, told: Mapping[str, Any]) -> None:
    """Log what ``evaluate`` has computed, as metrics with the name of the data set, at the epoch that was the last.

    Args:
        call: has returned.
        model: what was evaluated; nothing is logged where its run is not known.
        told: what Keras has computed, unless the call returns it with the names.
    """
    run = run_of_model(model)
    if run is None:
        return
    progress = progress_of(model, run)
    prefix = "" if progress is None else progress.prefix
    frame = users_frame(sys._getframe())  # noqa: SLF001  the documented way to the caller
    logs = read_logs(call.result if isinstance(call.result, dict) else told)
    data = call.argument("x")
    passed = {name: call.argument(name) for name in _ARGUMENTS if call.argument(name) is not None}
    record_evaluation(
        run,
        {prefix + name: value for name, value in logs.items()},
        EvaluatedData(data, None if frame is None else name_in(frame, data)),
        describe_call(f"{type(model).__name__}.evaluate", passed, frame),
        targets=call.argument("y"),
        step=None if progress is None else progress.step,
        describe=describe_data,
    )
