"""Expected improvement of proposals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """E[max(f - best, 0)] for f ~ N(mean, deviation^2).

        EI = s (u Phi(u) + phi(u)),  u = (mean - best) / s

    Args:
        mean: shape (n,).
        deviation: above 0, shape (n,).
        best: value to improve on.

    Returns:
        Shape (n,), at least 0.

    Source: Mockus; Jones et al., "Efficient Global Optimization of Expensive Black-Box Functions".
    """
    u = (mean - best) / deviation
    density = np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi)
    improvement: Floats = np.maximum(deviation * (u * ndtr(u) + density), 0.0)
    return improvement
