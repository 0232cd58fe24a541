"""Number format of the networks' arithmetic, and its denormal numbers."""

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
def denormals_flushed() -> Iterator[None]:
    """Takes denormal numbers for zero in a CPU's arithmetic within the block; afterwards they are as before.

    Weights that have become irrelevant decay to such numbers, with which a training is five times as slow. It applies
    to the calling thread, and to those that torch starts within the block.
    """
    before = _are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _are_flushed() -> bool:
    tiny = torch.finfo(torch.float32).tiny
    return not bool((torch.tensor(tiny) / 2).view(torch.int32))


@contextmanager
def autocast(device: torch.device) -> Iterator[None]:
    """bfloat16 where it pays: on CUDA, not on a CPU, and not under `precision("float32")`."""
    pays = device.type == "cuda" and _chosen.get() != "float32"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=pays):
        yield
