"""Record what metrics of torchmetrics compute for the program, in the training loop that goes on.

A metric computes for itself as well, for every batch that it is called with: that is not recorded.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from autolog.hooks import Integration

torchmetrics: Final = Integration("torchmetrics", requires="torchmetrics>=1.0", package="torchmetrics")

_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# From the listener: what isolates its errors, the rerouted function, and the wrapper of the metric's compute().
_DEPTH: Final = 3
_FOR_A_BATCH: Final = ("forward", "_forward_")


@torchmetrics.listen("torchmetrics.utilities.data:_squeeze_if_scalar")
def note_result(result: Any, _: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Log what a metric has computed, under the name of its class."""
    frame = sys._getframe(_DEPTH)  # noqa: SLF001  the documented way to the caller
    if frame.f_code.co_name != "wrapped_func" or frame.f_back is None:
        return
    if frame.f_back.f_code.co_name.startswith(_FOR_A_BATCH):
        return
    from autolog.integrations.torch_threads import local
    from autolog.training import current_training

    loop = local.seen.loop
    if loop is None or loop.is_over or current_training() is not None:
        return
    name = _WORDS.sub("_", type(frame.f_locals.get("self")).__name__).lower()
    values = result if isinstance(result, dict) else {"": result}
    for key, value in values.items():
        if getattr(value, "numel", lambda: 0)() == 1:
            loop.log_score(f"{name}_{key}" if key else name, value.item() if value.is_cpu else value.detach())
