"""What a PyTorch module is: its class, its parameters, and its layers as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from autolog.run import ActiveRun

_MOST_LAYERS: Final = 2000


def describe_module(module: Any) -> dict[str, Any]:
    """Return a module's class and how many parameters it has, as params."""
    parameters = list(module.parameters())
    return {
        "model_class": f"{type(module).__module__}.{type(module).__qualname__}",
        "total_parameters": _count(parameters),
        "trainable_parameters": _count(one for one in parameters if one.requires_grad),
    }


def log_summary(run: ActiveRun, module: Any, path: str = "model_summary.txt") -> None:
    """Log a module's layers as a text.

    Args:
        run: where.
        module: is only read, and never called.
        path: the artifact's.
    """
    run.log_content(path, summarize(module).encode(errors="replace"))


def summarize(module: Any) -> str:
    """Return a table of a module's layers, each with its class, the shapes of its parameters and their number."""
    rows = [("layer", "class", "shapes", "parameters", "trainable"), *_rows(module)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            text.rjust(width) if column > 2 else text.ljust(width)  # noqa: PLR2004  the last two are numbers
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    parameters = list(module.parameters())
    trainable = _count(one for one in parameters if one.requires_grad)
    total = _count(parameters)
    size = sum(one.numel() * one.element_size() for one in parameters if not _is_lazy(one))
    return "\n".join(
        [*lines, "", f"parameters            {total:,}", f"trainable parameters  {trainable:,}", f"bytes  {size:,}", ""]
    )


def _rows(module: Any) -> Iterator[tuple[str, str, str, str, str]]:
    layers = list(module.named_modules())
    for name, layer in layers[:_MOST_LAYERS]:
        own = list(layer.parameters(recurse=False))
        every = list(layer.parameters())
        shapes = ", ".join("?" if _is_lazy(one) else "x".join(map(str, one.shape)) or "()" for one in own)
        trainable = _count(one for one in every if one.requires_grad)
        yield name or "(whole)", type(layer).__name__, shapes, f"{_count(every):,}", f"{trainable:,}"
    if len(layers) > _MOST_LAYERS:
        yield f"… {len(layers) - _MOST_LAYERS:,} more", "", "", "", ""


def _count(parameters: Iterable[Any]) -> int:
    return sum(one.numel() for one in parameters if not _is_lazy(one))


def _is_lazy(parameter: Any) -> bool:
    """Say whether a parameter gets its shape with the first batch."""
    return type(parameter).__name__ == "UninitializedParameter"
