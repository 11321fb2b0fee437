"""Who else watches what PyTorch does: compilers, tracers and modes, which must not see what is ours."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch

_internals: Final[Any] = torch._C  # noqa: SLF001  there is no public way to ask any of this

is_compiling: Final = torch.compiler.is_compiling
function_modes: Final = _internals._len_torch_function_stack  # noqa: SLF001  as above
dispatch_modes: Final = _internals._len_torch_dispatch_stack  # noqa: SLF001  as above
_tracer: Final = _internals._get_tracing_state  # noqa: SLF001  what torch.jit.is_tracing() asks


def can_observe() -> bool:
    """Say whether a number may be read from a tensor now, with nobody taking that for a part of the program.

    Modes that functions are dispatched through, as counters of operations and fake tensors use them, see everything.
    """
    return not dispatch_modes() and _tracer() is None


def unseen_by_modes() -> AbstractContextManager[object]:
    """Return what hides our own operations from the modes of the program's that see calls of functions.

    ``torch.set_default_device`` is one of them.
    """
    if not function_modes():
        return nullcontext()
    hiding: AbstractContextManager[object] = _internals.DisableTorchFunction()
    return hiding


def leave_uncompiled(*functions: Any) -> None:
    """Have Dynamo run functions, and what they call, as they are, where it meets them outside of what it compiles."""
    evaluation = _internals._dynamo.eval_frame  # noqa: SLF001  what torch.compiler.disable() uses, which imports Dynamo
    if not hasattr(evaluation, "set_code_exec_strategy"):
        # Before PyTorch 2.7 there is no such way: what Dynamo meets of ours ends at is_compiling().
        return
    skip = evaluation._FrameAction.SKIP  # noqa: SLF001  as above
    for function in functions:
        evaluation.set_code_exec_strategy(function.__code__, evaluation._FrameExecStrategy(skip, skip))  # noqa: SLF001
