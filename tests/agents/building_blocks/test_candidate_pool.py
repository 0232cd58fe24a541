"""The first pipelines, and the candidates for later ones."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.building_blocks.gaussian_process.candidates import candidate_pool, climb, covering_design
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.learner import AgentSpec

PLAIN = Layout([AgentSpec("a", (4, 3), 1), AgentSpec("b", (5, 1), 1)])
CONDITIONAL = Layout([AgentSpec("a", (2, 3, 2), 1, active=((), ((0, (1,)),), ((1, (0, 2)),)))])


@pytest.mark.parametrize("rows", [1, 7, 12])
def test_a_design_has_every_choice_of_a_decision_equally_often_up_to_one(rows: int) -> None:
    design = covering_design(rows, PLAIN, np.random.default_rng(0))
    for d, size in enumerate(PLAIN.nvec):
        counts = np.bincount(design[:, d], minlength=size)
        assert counts.max() - counts.min() <= 1


def test_a_design_covers_conditional_decisions_where_they_are_active() -> None:
    design = covering_design(12, CONDITIONAL, np.random.default_rng(0))
    active = CONDITIONAL.active(design)
    assert np.bincount(design[:, 0]).tolist() == [6, 6]
    assert np.bincount(design[active[:, 1], 1]).tolist() == [2, 2, 2]
    assert np.bincount(design[active[:, 2], 2]).tolist() == [2, 2]
    assert np.array_equal(design, CONDITIONAL.canonical(design))


@pytest.mark.parametrize("layout", [PLAIN, CONDITIONAL])
def test_a_pool_holds_different_canonical_candidates_near_and_far(layout: Layout) -> None:
    rng = np.random.default_rng(0)
    best = layout.uniform(3, rng)
    pool = candidate_pool(best, 80, layout, rng)
    assert len(np.unique(pool, axis=0)) == len(pool)
    assert np.array_equal(pool, layout.canonical(pool))
    changes = (pool != best[0]).sum(axis=1)
    assert {1, 2} <= set(changes.tolist())


def test_climbing_finds_better_than_the_pool() -> None:
    layout, rng = Layout([AgentSpec("a", (10,) * 6, 1)]), np.random.default_rng(0)
    pool = layout.uniform(20, rng)
    found, scores = climb(pool, lambda joint: joint.sum(axis=1).astype(float), 50, layout, rng)
    assert np.array_equal(scores, found.sum(axis=1))
    assert np.array_equal(found[:20], pool)
    assert scores.max() > scores[:20].max() + 3


def test_without_distant_candidates_all_are_near_good_ones() -> None:
    layout, rng = Layout([AgentSpec("a", (9,) * 20, 1)]), np.random.default_rng(0)
    best = layout.uniform(1, rng)
    near, far = (candidate_pool(best, 80, layout, rng, distant=distant) for distant in (False, True))
    assert (near != best).sum(axis=1).max() <= 4
    assert ((far != best).sum(axis=1) > 4).sum() >= 15
