"""Joint actions near others: mutants, crossovers, and complete one-decision neighborhoods."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Joint = NDArray[np.int64]


def neighbors(center: Joint, nvec: NDArray[np.int64]) -> Joint:
    """All joint actions that differ from one in exactly one decision.

    Args:
        center: shape (D,).
        nvec: choices per decision, shape (D,).

    Returns:
        Shape (sum of nvec - 1, D), by decision.
    """
    decisions = np.repeat(np.arange(len(nvec)), nvec - 1)
    steps = np.concatenate([np.arange(1, size) for size in nvec.tolist()])
    found = np.repeat(center[None], len(decisions), axis=0)
    found[np.arange(len(found)), decisions] = (center[decisions] + steps) % nvec[decisions]
    return found


def mutants(parents: Joint, nvec: NDArray[np.int64], changes: NDArray[np.int64], rng: np.random.Generator) -> Joint:
    """Copies in which a given number of decisions have another value, uniform among the others.

    Args:
        parents: shape (n, D).
        nvec: choices per decision, shape (D,).
        changes: number of decisions to change in each, shape (n,); at most those with two choices are changed.
        rng: source of randomness.

    Returns:
        Shape (n, D).
    """
    priority = np.where(nvec > 1, rng.random(parents.shape), 2.0)
    changed = (priority.argsort(axis=1).argsort(axis=1) < changes[:, None]) & (nvec > 1)
    return shifted(parents, changed, nvec, rng)


def shifted(parents: Joint, changed: NDArray[np.bool_], nvec: NDArray[np.int64], rng: np.random.Generator) -> Joint:
    """Copies in which the marked decisions have another value, uniform among the others.

    Args:
        parents: shape (n, D).
        changed: mask of decisions with at least two choices, shape (n, D).
        nvec: choices per decision, shape (D,).
        rng: source of randomness.

    Returns:
        Shape (n, D).
    """
    steps = rng.integers(1, np.maximum(nvec, 2), size=parents.shape)
    moved: Joint = np.where(changed, (parents + steps) % nvec, parents)
    return moved


def crossovers(mothers: Joint, fathers: Joint, rng: np.random.Generator) -> Joint:
    """Uniform crossover: each decision from either parent with equal probability, all of shape (n, D)."""
    crossed: Joint = np.where(rng.random(mothers.shape) < 0.5, mothers, fathers)
    return crossed
