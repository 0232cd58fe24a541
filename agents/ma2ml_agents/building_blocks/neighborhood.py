"""Joint actions near others: mutants, crossovers, and complete one-decision neighborhoods."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout

Joint = NDArray[np.int64]


def neighbors(center: Joint, layout: Layout, rng: np.random.Generator) -> Joint:
    """All joint actions that differ from one in exactly one active decision.

    Decisions that become active by the change are uniform.

    Args:
        center: canonical, shape (D,).
        layout: the decisions.
        rng: source of randomness for the newly active ones.

    Returns:
        Canonical, shape (sum of n_d - 1 over active decisions, D), by decision.
    """
    active = layout.active(center[None])[0]
    decisions = np.repeat(np.arange(len(layout)), np.where(active, layout.nvec - 1, 0))
    steps = np.concatenate([np.arange(1, size) for size in layout.nvec[active].tolist()])
    found = _with_uniform_inactive(np.repeat(center[None], len(decisions), axis=0), layout, rng)
    found[np.arange(len(found)), decisions] = (center[decisions] + steps) % layout.nvec[decisions]
    return layout.canonical(found)


def mutants(parents: Joint, changes: NDArray[np.int64], layout: Layout, rng: np.random.Generator) -> Joint:
    """Copies in which a given number of active decisions have another value, uniform among the others.

    Args:
        parents: canonical, shape (n, D).
        changes: number of decisions to change in each, shape (n,); at most all that have two choices are changed.
        layout: the decisions.
        rng: source of randomness.

    Returns:
        Canonical, shape (n, D).
    """
    free = (layout.nvec > 1) & layout.active(parents)
    priority = np.where(free, rng.random(parents.shape), 2.0)
    changed = (priority.argsort(axis=1).argsort(axis=1) < changes[:, None]) & free
    return shifted(parents, changed, layout, rng)


def shifted(parents: Joint, changed: NDArray[np.bool_], layout: Layout, rng: np.random.Generator) -> Joint:
    """Copies in which the marked decisions have another value, uniform among the others.

    Args:
        parents: canonical, shape (n, D).
        changed: mask of active decisions with at least two choices, shape (n, D).
        layout: the decisions.
        rng: source of randomness.

    Returns:
        Canonical, shape (n, D).
    """
    steps = rng.integers(1, np.maximum(layout.nvec, 2), size=parents.shape)
    children = _with_uniform_inactive(parents, layout, rng)
    return layout.canonical(np.where(changed, (parents + steps) % layout.nvec, children))


def crossovers(mothers: Joint, fathers: Joint, layout: Layout, rng: np.random.Generator) -> Joint:
    """Uniform crossover: each decision from either parent with equal probability, all of shape (n, D)."""
    return layout.canonical(np.where(rng.random(mothers.shape) < 0.5, mothers, fathers))


def _with_uniform_inactive(parents: Joint, layout: Layout, rng: np.random.Generator) -> Joint:
    """Copies in which inactive decisions are uniform, for the case that a change activates them."""
    if not layout.conditional:
        return parents.copy()
    free: Joint = np.where(layout.active(parents), parents, rng.integers(layout.nvec, size=parents.shape))
    return free
