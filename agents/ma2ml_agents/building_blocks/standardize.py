"""Standardization of rewards, so that one scale fits all tasks."""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST = -5.0


def standardize(rewards: Tensor) -> Tensor:
    """Rewards with median 0 and the spread of a standard normal.

    Raw accuracies differ by about 0.01, log-probabilities of many decisions by tens: without this no `kl_coef` fits
    two tasks. Median and quartiles are used since failed pipelines, of reward 0, would dominate a standard deviation;
    for the same reason nothing falls below -5.

    Args:
        rewards: shape (B,), at least one.

    Returns:
        Shape (B,), at least -5, without an upper limit; all 0 where the rewards are equal.
    """
    low, median, high = torch.quantile(rewards, torch.tensor([0.25, 0.5, 0.75], dtype=rewards.dtype)).unbind()
    spread = (high - low) / 1.349
    if spread <= 0:
        spread = rewards.std(correction=0)
    return ((rewards - median) / spread.clamp(min=1e-8)).clamp(min=LOWEST)
