"""Latency of a model on this machine: one image, one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

WARM_UP, REPETITIONS, LEAST, MOST_SECONDS = 5, 51, 5, 5.0
"""Unmeasured and measured repetitions; these end early, but not below the least number, after so many seconds."""

Logits = Callable[[Tensor], Tensor]


def median_latency(logits: Logits, shape: tuple[int, int, int]) -> float:
    """Median seconds of the logits of one image, after a warm-up; threads are those that `logits` uses.

    Args:
        logits: uint8 pixels to logits.
        shape: channels, rows and columns of an image.
    """
    pixels, seconds = torch.zeros(1, *shape, dtype=torch.uint8), list[float]()
    for _ in range(WARM_UP):
        logits(pixels)
    while len(seconds) < LEAST or (len(seconds) < REPETITIONS and sum(seconds) < MOST_SECONDS):
        started = time.perf_counter()
        logits(pixels)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits torch to one thread of a CPU within a `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
