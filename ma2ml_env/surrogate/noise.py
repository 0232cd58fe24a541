"""How much two evaluations of one pipeline differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KNOTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)
BANDWIDTH = 0.5


@dataclass(frozen=True)
class Noise:
    """The standard deviation of an evaluation's accuracy, which depends on the accuracy.

    Attributes:
        accuracy: knots, rising.
        deviation: at each of them; linear between, constant beyond.

    Source: ours.
    """

    accuracy: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (0.0,)

    def __call__(self, accuracy: Floats) -> Floats:
        """The standard deviation at each `accuracy`, shape (B,)."""
        return np.interp(accuracy, self.accuracy, self.deviation)


def measure_noise(repeats: Iterable[Sequence[float]]) -> Noise:
    """From pipelines that were evaluated several times.

    The variances around the means, smoothed over the logit of the mean by a Gaussian kernel.

    Args:
        repeats: the accuracies of each pipeline; one that has fewer than two is passed over.

    Returns:
        No noise, if no pipeline has two.

    Source: Nadaraya and Watson's kernel regression.
    """
    groups = [np.asarray(group, dtype=float) for group in repeats if len(group) > 1]
    if not groups:
        return Noise()
    at = logit(np.array([group.mean() for group in groups]))
    variances = np.array([group.var(ddof=1) for group in groups])
    freedom = np.array([len(group) - 1 for group in groups])
    distances = (logit(np.array(KNOTS))[:, None] - at) / BANDWIDTH
    nearest = (distances**2).min(axis=1, keepdims=True)
    weights = np.exp(-0.5 * (distances**2 - nearest)) * freedom
    smooth = (weights @ variances) / weights.sum(axis=1)
    return Noise(KNOTS, tuple(float(value) for value in np.sqrt(smooth).round(5)))


def logit(accuracy: Floats, low: float = 0.02, high: float = 0.998) -> Floats:
    """log(a / (1 - a)) of accuracies that are clipped to [low, high]; spreads the crowd near 1.

    Source: the logistic function's inverse.
    """
    clipped = np.clip(accuracy, low, high)
    return np.asarray(np.log(clipped / (1.0 - clipped)))


def logistic(score: Floats) -> Floats:
    """The inverse of `logit`, in (0, 1).

    Source: the logistic function.
    """
    return np.asarray(1.0 / (1.0 + np.exp(-score)))
