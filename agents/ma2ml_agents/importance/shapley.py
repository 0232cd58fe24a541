"""Exact Shapley effects of the agents, where the score of every pipeline is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError


def shapley_effects(scores: NDArray[np.float64], agents: Sequence[str]) -> dict[str, float]:
    """Returns each agent's share of the variance of the score, over uniformly random pipelines.

        v(S) = Var(E[score | x_S]) / Var(score)
        share_i = sum_{S without i} |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))

    The value of a coalition is the share of the variance that its choices explain, others being random. The shares are
    at least 0 and sum to 1: an interaction is divided equally among its participants. All expectations are
    sums over the whole array; with n agents there are 2^n coalitions. If all scores are equal, every share is 0.

    Args:
        scores: scores of all pipelines, one axis per agent (or per decision, for their shares), at least one.
        agents: names of the axes.

    Returns:
        {agent: share}.

    Raises:
        ValueError: if the number of names is not that of the axes, or a score is not finite.

    Source: Owen 2014, "Sobol' indices and Shapley value", for independent inputs.
    """
    if scores.ndim != len(agents) or not agents:
        raise MA2MLError(f"scores have {scores.ndim} axes, one per agent, but the agents are {list(agents)}")
    if not np.isfinite(scores).all():
        raise MA2MLError("every score must be finite")
    n = len(agents)
    coalitions = [frozenset(s) for size in range(n + 1) for s in combinations(range(n), size)]
    value = {coalition: _explained(scores, coalition) for coalition in coalitions}
    total = value[frozenset(range(n))]
    if total <= np.finfo(float).eps * float(np.abs(scores).max()) ** 2:
        return dict.fromkeys(agents, 0.0)
    return {
        name: sum((value[s | {i}] - value[s]) / (n * comb(n - 1, len(s))) for s in coalitions if i not in s) / total
        for i, name in enumerate(agents)
    }


def _explained(scores: NDArray[np.float64], coalition: frozenset[int]) -> float:
    """Variance of the mean score given the coalition's choices."""
    others = tuple(axis for axis in range(scores.ndim) if axis not in coalition)
    return float(scores.mean(axis=others).var())
