"""Standardization of rewards, so that one scale fits all tasks."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

Floats = NDArray[np.float64]
Standardization = Literal["ranks", "quartiles", "top"]
LOWEST = -5.0
SPREADS = {"quartiles": (0.25, 0.75, 1.349), "top": (0.5, 0.9, 1.2816)}
"""Two quantiles, and their distance in a standard normal, by the name of the standardization."""


def standardize(rewards: Tensor, kind: Standardization = "quartiles") -> Tensor:
    """Rewards with median 0 and the spread of a standard normal.

    Raw accuracies differ by about 0.01, log-probabilities of many decisions by tens: without this no `kl_coef` fits
    two tasks. The spread is a distance of quantiles since failed pipelines, of reward 0, would dominate a standard
    deviation; for the same reason nothing falls below -5.

    Args:
        rewards: shape (B,), at least one.
        kind: `ranks` are normal scores; `quartiles` divides by the distance of the quartiles, `top` by that of the
            median and the best tenth, each over what it is in a standard normal.

    Returns:
        Shape (B,), at least -5, without an upper limit; all 0 where the rewards are equal.
    """
    if kind == "ranks":
        return torch.from_numpy(normal_scores(rewards.numpy()))
    low, high, normal = SPREADS[kind]
    lower, median, upper = torch.quantile(rewards, torch.tensor([low, 0.5, high], dtype=rewards.dtype)).unbind()
    spread = (upper - lower) / normal
    if spread <= 0:
        spread = rewards.std(correction=0)
    return ((rewards - median) / spread.clamp(min=1e-8)).clamp(min=LOWEST)


def normal_scores(rewards: Floats) -> Floats:
    """Ranks of rewards as quantiles of the standard normal distribution; equal rewards share their mean.

    Args:
        rewards: shape (n,).

    Returns:
        Shape (n,), without the influence of outliers.
    """
    _, inverse, counts = np.unique(rewards, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * (counts + 1)
    scores: Floats = ndtri((middle[inverse] + 0.5) / len(rewards))
    return scores
