"""Exact importance of agents and decisions, where all pipelines can be scored."""

from __future__ import annotations

import numpy as np

from ma2ml_agents.importance.choices import Choices, Floats, Score, check_variance
from ma2ml_agents.importance.effects import Importance
from ma2ml_agents.importance.shapley import explained_variances, harsanyi_dividends, shapley_values


def enumerate_all(choices: Choices, score: Score) -> Importance:
    """Returns the exact importance over all pipelines.

    Args:
        choices: few enough to score every pipeline.
        score: scores of one model.

    Raises:
        ValueError: if all pipelines score the same.

    Source: Owen 2014, "Sobol' indices and Shapley value", for the agents; Sobol' indices by sums over the whole array.
    """
    pipelines = np.indices(tuple(choices.nvec)).reshape(len(choices.nvec), -1).T
    scores = score(pipelines)[0].reshape(tuple(choices.nvec))
    check_variance(scores)
    sizes = [int(np.prod(choices.nvec[choices.owner == number])) for number in range(len(choices.agents))]
    by_agent = scores.reshape(sizes)
    worth = explained_variances(by_agent) / scores.var()
    interactions = [(share, 0.0) for share in harsanyi_dividends(worth)]
    own = [alone for alone, _ in _sobol(by_agent)]
    agents = [(share, 0.0, alone) for share, alone in zip(shapley_values(worth), own, strict=True)]
    return Importance.of(choices, agents, interactions, _sobol(scores))


def _sobol(scores: Floats) -> list[tuple[float, float]]:
    """Exact first-order and total effect of every axis."""
    axes = range(scores.ndim)
    means = [scores.mean(axis=tuple(other for other in axes if other != axis)) for axis in axes]
    return [(m.var() / scores.var(), scores.var(axis=axis).mean() / scores.var()) for axis, m in enumerate(means)]
