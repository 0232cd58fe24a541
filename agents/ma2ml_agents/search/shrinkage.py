"""Expected values of several finalists, from a few noisy evaluations of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ma2ml_env.errors import MA2MLError

CONFIDENCE = 0.95
ESTIMATED = 3
"""Degrees of freedom that shrinkage costs: one for the common mean, two for the spread around it."""


@dataclass(frozen=True)
class Estimate:
    """Expected value of a finalist, with an interval that contains it with a probability of 95 %.

    Attributes:
        expected: mean of its evaluations, shrunk towards that of all finalists.
        low: lower end of the interval; None where the noise cannot be estimated, as from a single evaluation.
        high: upper end of the interval.
    """

    expected: float
    low: float | None = None
    high: float | None = None


def expected_values(again: Sequence[Sequence[float]], first: Sequence[float]) -> list[Estimate]:
    """Estimates the expected value of every finalist from evaluations that did not select it.

        m_i + t s / sqrt(n) and m_i - t s / sqrt(n),  m_i = m + (1 - B) (y_i - m),
        B = min(1, (k - 3) s^2 / n / sum_i (y_i - m)^2)

    y_i is the mean of finalist i's n evaluations, m that of all, s^2 the variance within finalists. The first
    evaluation, by which a finalist was selected, is mostly a lucky one and enters no mean. Shrinkage (from four
    finalists on) takes back what the best of several means owes to luck.

    Args:
        again: evaluations under other seeds, k finalists by n values in [0, 1].
        first: the evaluation of each in the search, k values. With n = 1 the variance of the differences from it takes
            the place of s^2, which it exceeds by the variance that selection has left in the first.

    Returns:
        One estimate per finalist, in order, within [0, 1].

    Raises:
        MA2MLError: if the finalists have no evaluation, or unequal numbers of them.

    Source: Efron and Morris, "Stein's estimation rule and its competitors", for the shrinkage towards the mean.
    """
    if not len(again) or len({len(values) for values in again}) != 1 or not len(again[0]) or len(first) != len(again):
        raise MA2MLError("every finalist needs the same number of evaluations, at least one, and a first one")
    values = np.asarray(again, dtype=np.float64)
    count, repeats = values.shape
    means = values.mean(axis=1)
    variance, freedom = _noise(values, np.asarray(first, dtype=np.float64))
    center = means.mean()
    spread = float(((means - center) ** 2).sum())
    shrinkage = 1.0 if spread <= 0 else min(1.0, max(0, count - ESTIMATED) * variance / repeats / spread)
    expected = center + (1.0 - shrinkage) * (means - center)
    if freedom < 1:
        return [Estimate(float(value)) for value in np.clip(expected, 0.0, 1.0)]
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * np.sqrt(variance / repeats)
    ends = np.clip(np.stack([expected, expected - half, expected + half]), 0.0, 1.0)
    return [Estimate(*map(float, column)) for column in ends.T]


def _noise(values: NDArray[np.float64], first: NDArray[np.float64]) -> tuple[float, int]:
    """Variance of an evaluation, and its degrees of freedom; (0, 0) where it cannot be estimated."""
    count, repeats = values.shape
    if repeats > 1:
        return float(values.var(axis=1, ddof=1).mean()), count * (repeats - 1)
    return (float((first - values[:, 0]).var(ddof=1)), count - 1) if count > 1 else (0.0, 0)
