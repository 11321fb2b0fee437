"""What the tests of PyTorch and Keras print of their results, for the runner to compare: every bit of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any


def show(*values: Any) -> None:
    """Print a checksum of values, in which every bit of every number counts."""
    print("digest", *(f"{zlib.crc32(b''.join(_parts(value))):08x}" for value in values))


def _parts(value: Any) -> Any:
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, (list, tuple)):
        yield f"{len(value)}".encode()
        for item in value:
            yield from _parts(item)
    elif hasattr(value, "detach"):
        yield from _parts_of_tensor(value.detach())
    elif hasattr(value, "tobytes") or hasattr(value, "__array__"):
        import numpy

        array = numpy.asarray(value)
        yield f"{array.dtype}{array.shape}".encode()
        yield array.tobytes()
    else:
        yield repr(value).encode()


def _parts_of_tensor(tensor: Any) -> Any:
    import torch

    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    yield f"{tensor.dtype}{tuple(tensor.shape)}{tensor.requires_grad}".encode()
    yield tensor.cpu().resolve_conj().resolve_neg().contiguous().numpy().tobytes()
