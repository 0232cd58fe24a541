"""Training that stands for the final one in a search: how long it may take, and its epochs and images."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import NamedTuple

LEAST_EPOCHS, USUAL_EPOCHS, GOOD_EPOCHS, MOST_EPOCHS = 5, 8, 12, 100
IMAGES_PER_CLASS = 10
"""Least number of training images per class in a search, on average."""
PIPELINES = 20
"""Number of pipelines that a search should be able to evaluate: below, it is little more than a guess."""
FINAL_THREADS = 4
"""Most CPU threads of a final training: small batches of small images have little work for more."""
FINAL_EPOCHS = 30
"""Least number of epochs of a final training that a finer stem than the search's is worth: 60 of them gained 5 points
over 120 of the coarser stem on 2,000 colored images."""
LARGEST_CUT = 4.0
"""Largest factor by which an evaluation is shortened for more pipelines: shorter ones no longer tell them apart."""
GPU_SHARING = 0.5
"""Exponent of the number of workers that share a GPU in the seconds by the clock of an evaluation: small networks took
1.3 and 1.9 times as long with 2 and 4 of them on an H100."""
BUSY = 1.1
"""Seconds by the clock per second of processor time from which others use the cores too."""


class Proxy(NamedTuple):
    """Training that stands for the final one in a search.

    Attributes:
        stem_stride: of the skeleton.
        epochs: number of epochs.
        train_images: number of training images, 0 for all.
        seconds: expected processor time of an evaluation; NaN if it was not measured.
        slowdown: seconds by the clock per second of processor time, while all workers are at work.
        shortened_from: processor time that was asked for, where it is shortened for the time limit; NaN elsewhere.
        final_stem_stride: of the final model's skeleton, 0 for the same.
        final_threads: CPU threads of the final training.
    """

    stem_stride: int
    epochs: int
    train_images: int = 0
    seconds: float = math.nan
    slowdown: float = 1.0
    shortened_from: float = math.nan
    final_stem_stride: int = 0
    final_threads: int = 1

    @property
    def wall(self) -> float:
        """Expected seconds of an evaluation by the clock."""
        return self.seconds * self.slowdown


class SearchTime(NamedTuple):
    """Time that there is for a search.

    Attributes:
        ends: `time.monotonic()` at which it must end.
        workers: number of evaluations in parallel.
        pipelines: number of pipelines that it should be able to evaluate.
        cores: number of processor cores.
        loading: processor time that a worker needs before its first evaluation.
        final: seconds for the final training.
    """

    ends: float = math.inf
    workers: int = 1
    pipelines: int = PIPELINES
    cores: int = 1
    loading: float = 0.0
    final: float = math.inf

    def slowdown(self, busy: float, device: str = "cpu") -> float:
        """Returns the expected seconds by the clock per second of processor time, while all workers are at work.

        Args:
            busy: the same of one training alone, measured. Above `BUSY`, others compete for the cores, and each further
                worker takes a core's share from all; else there are only too many workers for the cores.
            device: of the trainings; all workers share a GPU.
        """
        if device != "cpu":
            return float(self.workers**GPU_SHARING)
        if busy > BUSY:
            return busy + (self.workers - 1) / self.cores
        return max(1.0, self.workers / self.cores)

    def share(self, share: float) -> float:
        """Returns the `time.monotonic()` at which a share of the time that is left will have passed."""
        now = time.monotonic()
        return now + share * max(0.0, self.ends - now)

    def affordable(self, seconds: float, slowdown: float) -> float:
        """Returns the processor time of one evaluation: as asked, or less, so that enough pipelines fit.

        Args:
            seconds: processor time that was asked for.
            slowdown: seconds by the clock per second of processor time.
        """
        left = max(0.0, self.ends - time.monotonic() - self.loading * slowdown)
        return max(seconds / LARGEST_CUT, min(seconds, left * self.workers / self.pipelines / slowdown))


def fitting_proxy(
    stride: int, seconds: float, training: float, fixed: float, images: int, classes: int, all_images: bool
) -> tuple[Proxy, float]:
    """Returns the proxy that takes about so many seconds, and the epochs on all images that would.

    Where too few epochs on all images fit, it trains on a part of them.

    Args:
        stride: of the stem.
        seconds: processor time of one evaluation.
        training: seconds per image and epoch.
        fixed: seconds of the measurements of accuracy.
        images: number of training images.
        classes: number of classes.
        all_images: whether a part of the images is no choice.
    """
    epochs, least = (seconds - fixed) / (training * images), IMAGES_PER_CLASS * classes
    if epochs >= LEAST_EPOCHS or all_images or images <= least:
        whole = min(MOST_EPOCHS, max(LEAST_EPOCHS, int(epochs)))
        return Proxy(stride, whole, 0, fixed + whole * images * training), epochs
    some = max(least, int(images * epochs / USUAL_EPOCHS))
    return Proxy(stride, USUAL_EPOCHS, some, fixed + USUAL_EPOCHS * some * training), epochs


def final_stride(training: Mapping[int, float], images: int, seconds: float) -> int:
    """Returns the finest stride of the stem with which enough epochs fit into the final training, else the coarsest.

    Args:
        training: seconds per image and epoch, by stride.
        images: number of images of the final training.
        seconds: seconds for it.
    """
    fitting = (stride for stride in sorted(training) if seconds >= FINAL_EPOCHS * images * training[stride])
    return next(fitting, max(training))


def proxy_lines(proxy: Proxy, device: str) -> list[str]:
    """Describes what was measured, and whether evaluations are shorter than asked for; empty if nothing was measured.

    Args:
        proxy: of the search.
        device: of the trainings.
    """
    if math.isnan(proxy.seconds):
        return []
    core, text = "a core of this machine" if device == "cpu" else "this GPU", in_seconds(proxy.seconds)
    clock = f", {in_seconds(proxy.wall)} by the clock, as busy as it is" if proxy.slowdown > BUSY else ""
    lines = [f"measured: an evaluation takes about {text} of {core}{clock}"]
    if not math.isnan(proxy.shortened_from):
        asked = in_seconds(proxy.shortened_from)
        lines.append(f"shortened: from {asked}, since too few would fit in the time limit to choose from")
    return lines


def in_seconds(seconds: float) -> str:
    """Returns seconds as text, with a decimal below ten."""
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:,.0f} s"
