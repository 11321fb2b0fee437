"""Record what Accelerate does to a loop of plain PyTorch: the loss before it is divided, and how it is run.

The loop itself is recorded by the hooks for plain PyTorch, which these notes are for.
"""

from __future__ import annotations

from typing import Final

from autolog.hooks import Integration

accelerate: Final = Integration("accelerate", requires="accelerate>=0.30")

_NOTES: Final = "autolog.integrations.accelerate_notes"

accelerate.listen("accelerate.accelerator:Accelerator.backward")(f"{_NOTES}:note_backward")
accelerate.listen("accelerate.optimizer:AcceleratedOptimizer.step")(f"{_NOTES}:note_step")
