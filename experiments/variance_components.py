"""Variance components of crossed random effects: how much each agent, and each pair of agents, decides."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

AGENTS = ("aug", "nas", "hpo")


def components(table: NDArray[np.float64]) -> dict[str, float]:
    """Variance components of crossed random effects, by expected mean squares.

    Args:
        table: accuracies, shape (blocks, augmentations, architectures, recipes).

    Returns:
        {effect: variance}; `rest` is the three-way interaction and noise. Estimates below 0 stay.
    """
    axes = dict(zip(AGENTS, (1, 2, 3), strict=True))
    sizes = {agent: table.shape[axis] for agent, axis in axes.items()}
    effects: dict[tuple[str, ...], NDArray[np.float64]] = {}
    squares: dict[tuple[str, ...], float] = {}
    for order in (0, 1, 2, 3):
        for names in itertools.combinations(AGENTS, order):
            others = tuple(axis for agent, axis in axes.items() if agent not in names)
            effect = table.mean(axis=others, keepdims=True) if others else table
            for smaller in effects:
                if set(smaller) < set(names):
                    effect = effect - effects[smaller]
            effects[names] = effect
            freedom = len(table) * np.prod([sizes[name] - 1 for name in names])
            repeated = np.prod([sizes[agent] for agent in AGENTS if agent not in names])
            squares[names] = float((effect**2).sum() * repeated / freedom) if names else 0.0
    rest = squares[AGENTS]
    found: dict[str, float] = {}
    for pair in itertools.combinations(AGENTS, 2):
        (third,) = set(AGENTS) - set(pair)
        found[" x ".join(pair)] = (squares[pair] - rest) / sizes[third]
    for agent in AGENTS:
        others = [name for name in AGENTS if name != agent]
        pairs = [tuple(sorted((agent, other), key=AGENTS.index)) for other in others]
        own = squares[agent,] - sum(squares[pair] for pair in pairs) + rest
        found[agent] = own / (sizes[others[0]] * sizes[others[1]])
    return {**{agent: found[agent] for agent in AGENTS}, **found, "rest": rest}
