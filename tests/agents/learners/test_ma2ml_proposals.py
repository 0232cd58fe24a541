"""MA2ML proposes new pipelines only."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ma2ml_agents import MA2ML, AgentSpec
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.policy import IndependentPolicy

NVEC = (3, 2, 2)


def certain(layout: Layout) -> IndependentPolicy:
    """A policy that always chooses the first."""
    policy = IndependentPolicy(layout)
    with torch.no_grad():
        policy.logits[:, 0] = 100.0
    return policy


def test_an_optimist_likes_what_the_critics_disagree_about() -> None:
    specs = [AgentSpec("a", NVEC, 1)]
    actions = torch.tensor(list(itertools.product(*map(range, NVEC))))
    values = {}
    for optimism in (0.0, 1.0, 3.0):
        learner = MA2ML(specs, MA2ML.Config(optimism=optimism), seed=0)
        values[optimism] = torch.from_numpy(learner._promise(actions.numpy()))
    each = torch.stack([learner.critic(learner.critic.one_hot(action[None]))[:, 0] for action in actions], dim=1)
    spread = ((each - each.mean(dim=0)) ** 2).mean(dim=0).sqrt()
    for optimism, value in values.items():
        torch.testing.assert_close(value, each.mean(dim=0) + optimism * spread)


def test_the_learner_proposes_what_its_critics_promise_most_once_its_policy_repeats_itself() -> None:
    for seed in range(5):
        learner = MA2ML([AgentSpec("a", (6,), 1)], MA2ML.Config(critic="ensemble", candidates=100), seed=seed)
        learner.policy = certain(learner.layout)
        promise = learner._promise(np.arange(6)[:, None])
        first, second = learner.act({"a": np.zeros((2, 1))})["a"][:, 0]
        assert first == 0
        assert second == 1 + int(promise[1:].argmax())


@pytest.mark.parametrize(
    ("settings", "made"), [({}, True), ({"distinct": False}, False), ({"off_policy": False}, False)]
)
def test_only_an_off_policy_learner_may_leave_its_policies(settings: dict, made: bool) -> None:
    learner = MA2ML([AgentSpec("a", NVEC, 1)], MA2ML.Config(**settings))
    assert learner.proposals.enabled == made
