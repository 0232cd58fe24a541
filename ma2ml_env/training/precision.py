"""Number format of the networks' arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_chosen: ContextVar[str] = ContextVar("precision", default="auto")


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Chooses the number format of everything within the block.

    Args:
        name: `"auto"`, what `autocast` says, or `"float32"`, without TF32 in convolutions.
    """
    token, tf32 = _chosen.set(name), torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32 and name != "float32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
        _chosen.reset(token)


@contextmanager
def autocast(device: torch.device) -> Iterator[None]:
    """bfloat16 where it pays: on CUDA, not on a CPU, and not under `precision("float32")`."""
    pays = device.type == "cuda" and _chosen.get() != "float32"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=pays):
        yield
