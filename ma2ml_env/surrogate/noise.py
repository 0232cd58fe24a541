"""Noise of evaluations: the difference between two evaluations of one pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KNOTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)
BANDWIDTH = 0.4
"""Bandwidth in logits; held-out pipelines were as likely with 0.3 and 0.5, less likely with 0.2 and 0.7."""


@dataclass(frozen=True)
class Noise:
    """The standard deviation of an evaluation's accuracy, which depends on the accuracy.

    Attributes:
        accuracy: knots, rising.
        deviation: at each of them; linear between, constant beyond.
    """

    accuracy: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (0.0,)

    def __call__(self, accuracy: Floats) -> Floats:
        """The standard deviation at each `accuracy`, shape (B,)."""
        return np.interp(accuracy, self.accuracy, self.deviation)


def measure_noise(repeats: Iterable[Sequence[float]]) -> Noise:
    """Estimates the noise from pipelines that were evaluated several times.

    The variances around the means, smoothed over the logit of the mean by a Gaussian kernel: as variances of the logit,
    which vary much less along it than those of the accuracy, so that outliers near 1/2 hardly count near 1.

    Args:
        repeats: the accuracies of each pipeline; one that has fewer than two is ignored.

    Returns:
        No noise, if no pipeline has two.

    Source: Nadaraya and Watson's kernel regression.
    """
    groups = [np.asarray(group, dtype=float) for group in repeats if len(group) > 1]
    if not groups:
        return Noise()
    knots, at = logit(np.array(KNOTS)), logit(np.array([group.mean() for group in groups]))
    variances = np.array([group.var(ddof=1) for group in groups]) / slope(at) ** 2
    freedom = np.array([len(group) - 1 for group in groups])
    distances = (knots[:, None] - at) / BANDWIDTH
    nearest = (distances**2).min(axis=1, keepdims=True)
    weights = np.exp(-0.5 * (distances**2 - nearest)) * freedom
    deviations = slope(knots) * np.sqrt((weights @ variances) / weights.sum(axis=1))
    return Noise(KNOTS, tuple(deviations.round(5).tolist()))


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


def slope(score: Floats) -> Floats:
    """Derivative of an accuracy by its logit, a (1 - a): the ratio of the accuracy's noise to the logit's.

    Source: the logistic function's derivative.
    """
    return np.asarray(logistic(score) * (1.0 - logistic(score)))
