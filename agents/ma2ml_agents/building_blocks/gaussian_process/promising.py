"""The proposal of a Gaussian process: the highest expected improvement in a pool, near and far."""

from __future__ import annotations

import numpy as np

from ma2ml_agents.building_blocks.gaussian_process.acquisition import expected_improvement
from ma2ml_agents.building_blocks.gaussian_process.candidates import candidate_pool, climb
from ma2ml_agents.building_blocks.gaussian_process.critic import ProcessCritic
from ma2ml_agents.building_blocks.gaussian_process.kernel import Floats, Joint
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.new_proposals import NewProposals

PARENTS = 10
"""Best pipelines around which candidates lie."""


def most_promising(
    critic: ProcessCritic,
    proposals: NewProposals,
    size: int,
    layout: Layout,
    rng: np.random.Generator,
    *,
    distant: bool = True,
) -> Joint:
    """New joint action of highest expected improvement in a pool, shape (1, D), or (0, D) if there is no new one.

    Args:
        critic: fitted to the data.
        proposals: what is known; open ones count as observed at their mean.
        size: candidates in the pool, about.
        layout: the decisions.
        rng: source of randomness.
        distant: whether the pool has uniform pipelines.
    """
    posterior, fitted = critic.believing(proposals.open), critic.fitted
    good = critic.posterior.joint[np.argsort(-fitted, kind="stable")[:PARENTS]]

    def score(joint: Joint) -> Floats:
        return expected_improvement(*posterior.predict(joint), float(fitted.max()))

    pool = candidate_pool(good, size, layout, rng, distant=distant)
    pool, scores = climb(pool, score, size // 4, layout, rng)
    return proposals.first(pool[np.argsort(-scores, kind="stable")])
