"""Restarts of one agent at a time while the best result does not move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def agents_to_restart(rewards: NDArray[np.float64], newest: int, patience: int, agents: int) -> list[int]:
    """Agents whose policies restart now, the agents in turn; mostly none.

    There is one each time that another `patience` results have not exceeded the best reward.

    Args:
        rewards: all so far, in order, shape (n,).
        newest: results since the last call.
        patience: at least 1, or 0 for no restarts.
        agents: number of agents.
    """
    if not patience or not len(rewards):
        return []
    stagnant = len(rewards) - 1 - int(np.argmax(rewards))
    before = max(stagnant - newest, 0) // patience
    due = range(before, stagnant // patience)
    return sorted({number % agents for number in due})
