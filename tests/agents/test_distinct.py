"""Proposals that are never made twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ma2ml_agents import MA2ML, AgentSpec
from ma2ml_agents.building_blocks.distinct import DistinctProposals
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.policy import IndependentPolicy

NVEC = (3, 2, 2)


def certain(layout: Layout) -> IndependentPolicy:
    """A policy that always chooses the first."""
    policy = IndependentPolicy(layout)
    with torch.no_grad():
        policy.logits[:, 0] = 100.0
    return policy


def test_a_certain_policy_goes_through_everything_next_to_it_before_it_repeats() -> None:
    layout = Layout([AgentSpec("a", NVEC, 1)])
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        proposals = DistinctProposals(torch.tensor(NVEC))
        drawn = [tuple(row) for row in proposals.draw(certain(layout), 12, generator).tolist()]
        assert drawn[0] == (0, 0, 0)
        assert len(set(drawn)) >= 10, "few are repeated even when nearly all twelve are known"
    everything = set(itertools.product(*map(range, NVEC)))
    many = proposals.draw(certain(layout), 100, generator).tolist()
    assert {tuple(row) for row in many} <= everything, "it ends although everything is known"


def test_the_nearest_come_first() -> None:
    layout = Layout([AgentSpec("a", (4,) * 8, 1)])
    near = 0
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        second = DistinctProposals(torch.full((8,), 4)).draw(certain(layout), 2, generator)[1]
        near += int((second != 0).sum() <= 2)
    assert near > 40, "one or two decisions of eight differ"


def test_the_most_promising_of_the_new_neighbors_is_proposed() -> None:
    layout = Layout([AgentSpec("a", (4,) * 8, 1)])
    asked: list[torch.Tensor] = []

    def sum_of_choices(actions: torch.Tensor) -> torch.Tensor:
        asked.append(actions.clone())
        return actions.sum(dim=1).double()

    proposals = DistinctProposals(torch.full((8,), 4), candidates=16)
    drawn = proposals.draw(certain(layout), 5, torch.Generator().manual_seed(0), sum_of_choices)
    assert len(asked) == 4, "the first draw was new, and is the policy's own"
    for number, neighbors in enumerate(asked, start=1):
        assert len(neighbors) == 16
        assert drawn[number].sum() == neighbors.sum(dim=1).max()
        earlier = {tuple(row) for row in drawn[:number].tolist()}
        assert not earlier & {tuple(row) for row in neighbors.tolist()}


def test_a_single_decision_is_gone_through_choice_by_choice() -> None:
    layout = Layout([AgentSpec("a", (5,), 1)])
    drawn = DistinctProposals(torch.tensor([5]), candidates=64).draw(
        certain(layout), 5, torch.Generator().manual_seed(0)
    )
    assert sorted(drawn[:, 0].tolist()) == [0, 1, 2, 3, 4]


def test_an_optimist_likes_what_the_critics_disagree_about() -> None:
    specs = [AgentSpec("a", NVEC, 1)]
    actions = torch.tensor(list(itertools.product(*map(range, NVEC))))
    values = {}
    for optimism in (0.0, 1.0, 3.0):
        learner = MA2ML(specs, MA2ML.Config(optimism=optimism), seed=0)
        values[optimism] = learner._promise(actions)
    each = torch.stack([learner.critic(learner.critic.one_hot(action[None]))[:, 0] for action in actions], dim=1)
    spread = ((each - each.mean(dim=0)) ** 2).mean(dim=0).sqrt()
    for optimism, value in values.items():
        torch.testing.assert_close(value, each.mean(dim=0) + optimism * spread)


def test_the_learner_proposes_what_its_critics_promise_most_once_its_policy_repeats_itself() -> None:
    for seed in range(5):
        learner = MA2ML([AgentSpec("a", (6,), 1)], MA2ML.Config(candidates=100), seed=seed)
        learner.policy = certain(learner.layout)
        promise = learner._promise(torch.arange(6)[:, None])
        first, second = learner.act({"a": np.zeros((2, 1))})["a"][:, 0]
        assert first == 0
        assert second == 1 + int(promise[1:].argmax())


def test_what_others_evaluated_is_not_proposed() -> None:
    layout = Layout([AgentSpec("a", NVEC, 1)])
    proposals = DistinctProposals(torch.tensor(NVEC))
    proposals.learn(torch.tensor([[0, 0, 0], [1, 0, 0]]))
    drawn = proposals.draw(certain(layout), 3, torch.Generator().manual_seed(0)).tolist()
    assert [0, 0, 0] not in drawn
    assert [1, 0, 0] not in drawn


def test_a_saved_state_remembers_open_proposals() -> None:
    layout = Layout([AgentSpec("a", NVEC, 1)])
    first = DistinctProposals(torch.tensor(NVEC))
    drawn = first.draw(certain(layout), 4, torch.Generator().manual_seed(0))
    first.learn(drawn[:2])
    second = DistinctProposals(torch.tensor(NVEC))
    second.load_state_dict(first.state_dict(), drawn[:2])
    again = [p.draw(certain(layout), 4, torch.Generator().manual_seed(1)).tolist() for p in (first, second)]
    assert again[0] == again[1]
    assert not {tuple(row) for row in drawn.tolist()} & {tuple(row) for row in again[0]}


@pytest.mark.parametrize(
    ("settings", "made"), [({}, True), ({"distinct": False}, False), ({"off_policy": False}, False)]
)
def test_only_an_off_policy_learner_may_leave_its_policies(settings: dict, made: bool) -> None:
    learner = MA2ML([AgentSpec("a", NVEC, 1)], MA2ML.Config(**settings))
    assert (learner.proposals is not None) == made
