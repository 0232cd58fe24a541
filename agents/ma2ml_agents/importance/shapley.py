"""Coalitions of agents: Shapley values, interactions, and the variance of a score that their choices explain.

The worth of all coalitions of n players is an array of shape (2^n,); player i is in coalition S if bit i of its number
is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError

Floats = NDArray[np.float64]


def shapley_values(worth: Floats) -> Floats:
    """Returns the Shapley value of every player.

        phi_i = sum_{S without i} |S|! (n - |S| - 1)! / n! (worth(S + i) - worth(S))

    Args:
        worth: worth of every coalition, shape (2^n,).

    Returns:
        Shape (n,), in the unit of `worth`.

    Source: Shapley 1953.
    """
    n = len(worth).bit_length() - 1
    coalitions = np.arange(len(worth))
    sizes = [int(coalition).bit_count() for coalition in coalitions]
    weights = np.array([1.0 / (n * comb(n - 1, size)) if size < n else 0.0 for size in sizes])
    outside = [coalitions[(coalitions >> player) & 1 == 0] for player in range(n)]
    return np.array([weights[s] @ (worth[s | 1 << player] - worth[s]) for player, s in enumerate(outside)])


def harsanyi_dividends(worth: Floats) -> Floats:
    """Returns what each coalition adds to the worth of the smaller ones that it contains.

        d(T) = sum_{S in T} (-1)^(|T| - |S|) worth(S)

    Where the worth is the variance that a coalition's choices explain, d(T) is the variance of the interaction of
    exactly the players in T: the functional analysis of variance.

    Args:
        worth: worth of every coalition, shape (..., 2^n).

    Returns:
        Same shape and unit as `worth`.

    Source: Harsanyi 1963; Sobol' 1993 for the analysis of variance.
    """
    dividends = np.array(worth, dtype=float)
    coalitions = np.arange(dividends.shape[-1])
    for player in range(len(coalitions).bit_length() - 1):
        inside = coalitions[(coalitions >> player) & 1 == 1]
        dividends[..., inside] -= dividends[..., inside ^ 1 << player]
    return dividends


def explained_variances(scores: Floats) -> Floats:
    """Returns the variance of the mean score given the choices of each coalition, others being uniformly random.

    Args:
        scores: scores of all pipelines, one axis per player.

    Returns:
        Shape (2^n,).
    """
    axes = range(scores.ndim)
    others = [tuple(axis for axis in axes if not coalition >> axis & 1) for coalition in range(2**scores.ndim)]
    return np.array([scores.mean(axis=left_out).var() for left_out in others])


def shapley_effects(scores: Floats, agents: Sequence[str]) -> dict[str, float]:
    """Returns each agent's share of the variance of the score, over uniformly random pipelines.

    The worth of a coalition is the share of the variance that its choices explain. The shares are at least 0 and sum to
    1: an interaction is divided equally among its participants. If all scores are equal, every share is 0.

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
    worth = explained_variances(scores)
    if worth[-1] <= np.finfo(float).eps * float(np.abs(scores).max()) ** 2:
        return dict.fromkeys(agents, 0.0)
    return dict(zip(agents, (shapley_values(worth) / worth[-1]).tolist(), strict=True))
