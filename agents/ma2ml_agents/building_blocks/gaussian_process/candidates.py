"""Candidates for the next proposal, near and far, and the search for the most promising of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ma2ml_agents.building_blocks.gaussian_process.kernel import Floats, Joint
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.neighborhood import crossovers, mutants, neighbors

Score = Callable[[Joint], Floats]
ROUNDS = 2


def covering_design(rows: int, layout: Layout, rng: np.random.Generator) -> Joint:
    """First pipelines in which every decision has all its choices equally often, as far as that is possible.

    Choices are counted among the pipelines in which the decision is active, so those of a conditional decision share
    the pipelines that its condition allows.

    Args:
        rows: number of pipelines.
        layout: the decisions.
        rng: source of randomness.

    Returns:
        Canonical, shape (rows, D).

    Source: Latin hypercube sampling (McKay, Beckman and Conover).
    """
    design = np.zeros((rows, len(layout)), dtype=np.int64)
    for d, size in enumerate(layout.nvec.tolist()):
        active = np.flatnonzero(layout.active(design)[:, d])
        cycles = [rng.permutation(size) for _ in range(-(-len(active) // size))]
        design[active, d] = rng.permutation(np.concatenate(cycles)[: len(active)]) if cycles else 0
    return layout.canonical(design)


def candidate_pool(best: Joint, size: int, layout: Layout, rng: np.random.Generator, *, distant: bool = True) -> Joint:
    """Different candidates: neighbors of the best pipeline, mutants and crossovers of good ones, and uniform pipelines.

    There is a quarter of each, so that no region is out of reach; without distant ones there are no uniform ones.

    Args:
        best: good pipelines, the best first, shape (k, D).
        size: number of candidates, about.
        layout: the decisions.
        rng: source of randomness.
        distant: whether uniform pipelines are among them.

    Returns:
        Canonical, shape (n, D).
    """
    quarter = max(1, size // 4)
    near = neighbors(best[0], layout, rng)
    mothers, fathers = (best[rng.integers(len(best), size=quarter)] for _ in range(2))
    kinds = [
        near[rng.permutation(len(near))[:quarter]],
        _mutated(best, quarter, layout, rng),
        crossovers(mothers, fathers, layout, rng),
        layout.uniform(quarter if distant else 0, rng),
    ]
    found: Joint = np.unique(np.concatenate(kinds), axis=0)
    return found


def climb(pool: Joint, score: Score, size: int, layout: Layout, rng: np.random.Generator) -> tuple[Joint, Floats]:
    """The pool with its scores, and two generations of mutants of its most promising ten, `size` each."""
    scores = score(pool)
    for _ in range(ROUNDS):
        more = _mutated(pool[np.argsort(-scores, kind="stable")[:10]], size, layout, rng)
        pool, scores = np.concatenate([pool, more]), np.concatenate([scores, score(more)])
    return pool, scores


def _mutated(parents: Joint, count: int, layout: Layout, rng: np.random.Generator) -> Joint:
    """Mutants with one change in half of them, two in a quarter, and so on up to four, shape (count, D)."""
    chosen = parents[rng.integers(len(parents), size=count)]
    return mutants(chosen, np.minimum(rng.geometric(0.5, size=count), 4), layout, rng)
