"""Numeric encoding of joint actions for regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout


def one_hot(joint: NDArray[np.int64], layout: Layout) -> NDArray[np.float64]:
    """Concatenated one-hot decisions; all zero where a decision is inactive.

    Args:
        joint: canonical, shape (n, D).
        layout: the decisions.

    Returns:
        Shape (n, sum of nvec).

    Source: Once-for-All encodes absent layers as zeros.
    """
    found = np.zeros((len(joint), int(layout.nvec.sum())))
    found[np.arange(len(joint))[:, None], joint + layout.offsets] = layout.active(joint)
    return found
