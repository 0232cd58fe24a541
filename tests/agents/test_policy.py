"""Policies, against enumeration of every joint action of a small game."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.policy import JointPolicy, make_policy, sample_categorical
from ma2ml_agents.learner import AgentSpec

SPECS = (AgentSpec("aug", (2, 3), 2), AgentSpec("nas", (1, 2, 2), 2), AgentSpec("hpo", (4,), 2))
NVEC = (2, 3, 1, 2, 2, 4)
ALL = torch.tensor(list(itertools.product(*map(range, NVEC))))
KINDS = ("independent", "lstm")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_policy(kind: str, seed: int = 0, *, single_agent: bool = False) -> JointPolicy:
    """A policy far from uniform, in float64."""
    policy = make_policy(kind, Layout(SPECS, single_agent=single_agent), generator(seed)).double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator(seed), dtype=torch.float64) * 0.5)
    return policy


def probabilities(policy: JointPolicy) -> Tensor:
    return policy.log_prob(ALL).sum(dim=1).exp()


@pytest.mark.parametrize("single_agent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_probabilities_of_all_joint_actions_sum_to_one(kind: str, single_agent: bool) -> None:
    policy = random_policy(kind, single_agent=single_agent)
    assert policy.log_prob(ALL).shape == (len(ALL), 1 if single_agent else 3)
    assert probabilities(policy).sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_come_as_often_as_their_probability_says(kind: str) -> None:
    policy = random_policy(kind)
    samples = policy.sample(20_000, generator())
    index = (samples[:, None] == ALL).all(dim=2).float().argmax(dim=1)
    frequency = torch.bincount(index, minlength=len(ALL)) / len(samples)
    probs = probabilities(policy).detach()
    error = (probs * (1 - probs) / len(samples)).sqrt()
    assert ((frequency - probs).abs() <= 5 * error + 1e-4).all()


@pytest.mark.parametrize("kind", KINDS)
def test_samples_depend_on_the_generator_alone(kind: str) -> None:
    policy = random_policy(kind)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = policy.sample(5, generator(3))
    make_policy(kind, Layout(SPECS), generator())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(policy.sample(5, generator(3)), first)
    assert not torch.equal(policy.sample(5, generator(4)), first)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_has_mean_zero(kind: str) -> None:
    policy = random_policy(kind)
    weights = probabilities(policy).detach()
    torch.autograd.backward((weights[:, None] * policy.log_prob(ALL)).sum())
    for parameter in policy.parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, torch.zeros_like(parameter), atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_divergence_averages_to_the_exact_one(kind: str) -> None:
    policy, other = random_policy(kind, 0), random_policy(kind, 1)
    weights = probabilities(policy).detach()
    log_ratio = policy.log_prob(ALL) - other.log_prob(ALL)
    along = torch.stack([policy.kl(other, row[None]) for row in ALL])
    torch.testing.assert_close(weights @ along, weights @ log_ratio)
    assert (policy.kl(policy.frozen_copy(), ALL) == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_entropy_averages_to_the_exact_one(kind: str) -> None:
    policy = random_policy(kind)
    weights = probabilities(policy).detach()
    along = torch.stack([policy.entropy(row[None]) for row in ALL])
    torch.testing.assert_close(weights @ along, -weights @ policy.log_prob(ALL).detach())


def test_an_agent_does_not_see_the_others_choices_but_a_single_agent_does() -> None:
    one, other = ALL[:1], ALL[:1].clone()
    other[0, 0] = 1
    many, single = random_policy("lstm"), random_policy("lstm", single_agent=True)
    torch.testing.assert_close(many.log_prob(one)[:, 1:], many.log_prob(other)[:, 1:], atol=0, rtol=0)
    assert not torch.allclose(single.log_probs(one)[0, -1], single.log_probs(other)[0, -1])


def test_a_new_policy_is_close_to_uniform() -> None:
    uniform = -torch.tensor(NVEC).double().log().sum()
    independent = make_policy("independent", Layout(SPECS), generator())
    torch.testing.assert_close(independent.log_prob(ALL).sum(dim=1).double(), uniform.expand(len(ALL)))
    lstm = make_policy("lstm", Layout(SPECS), generator())
    assert (lstm.log_prob(ALL).sum(dim=1) - uniform).abs().max() < 1.0


def test_a_target_follows_and_a_frozen_copy_does_not() -> None:
    policy, copy = random_policy("independent", 0), random_policy("independent", 1).frozen_copy()
    frozen = policy.frozen_copy()
    copy.follow(policy, rate=1.0)
    torch.testing.assert_close(copy.log_prob(ALL), policy.log_prob(ALL).detach())
    with torch.no_grad():
        next(policy.parameters()).mul_(2)
    torch.testing.assert_close(copy.log_prob(ALL), frozen.log_prob(ALL))
    assert not any(parameter.requires_grad for parameter in copy.parameters())


def test_choices_of_no_probability_are_never_drawn() -> None:
    probs = torch.tensor([[0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]])
    drawn = sample_categorical(probs, 1_000, generator())
    assert set(drawn[:, 0].tolist()) == {1, 2}
    assert set(drawn[:, 1].tolist()) == {0}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="lstm"):
        make_policy("transformer", Layout(SPECS), generator())
