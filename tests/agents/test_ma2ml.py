"""MA2ML, its parts, its ablations and its two simpler relatives."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import torch

from ma2ml_agents.building_blocks.critic import Critic
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.policy import independent
from ma2ml_agents.building_blocks.replay import Replay
from ma2ml_agents.building_blocks.standardize import standardize
from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.ma2ml import MA2ML
from ma2ml_agents.learners.ma2ml_lite import MA2MLLite
from ma2ml_agents.learners.ma2ml_on_policy import MA2MLOnPolicy
from ma2ml_agents.testing import batch_of, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 3), 3), AgentSpec("hpo", (6,), 3))
SMALL = {"batch_size": 10, "critics": 2, "critic_hidden_size": 16, "critic_steps": 10, "critic_batch_size": 16}
SMALL |= {"critic_learning_rate": 2e-3, "critic_weight_decay": 0.1, "actor_steps": 3, "critic": "ensemble"}


def random_actions(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(Layout(SPECS).uniform(rows, np.random.default_rng(seed)))


def new_critic(members: int = 2) -> Critic:
    return Critic(Layout(SPECS), 32, members, torch.Generator().manual_seed(0))


def test_replaced_values_are_those_of_the_joint_actions_put_together() -> None:
    critic, actions, samples = new_critic(), random_actions(4), random_actions(3, seed=1)
    layout = Layout(SPECS)
    values = critic.replaced(actions, samples)
    assert values.shape == (3, 4, 3)
    for agent, row, sample in np.ndindex(3, 4, 3):
        joint = torch.where(torch.from_numpy(layout.owner == agent), samples[sample], actions[row])
        expected = critic(critic.one_hot(joint[None])).mean()
        torch.testing.assert_close(values[agent, row, sample], expected)


def test_a_critic_learns_a_reward_and_its_members_differ() -> None:
    critic, actions = new_critic(), random_actions(300)
    rewards = standardize(actions.double().sum(dim=1) + 2.0 * (actions[:, 0] == actions[:, 3])).float()
    optimizer = torch.optim.AdamW(critic.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    fitted = [critic.fit(optimizer, actions, rewards, steps=n, batch_size=64, generator=generator) for n in (1, 300)]
    assert fitted[1] < 0.1 * fitted[0]
    values = critic(critic.one_hot(actions))
    assert (values - rewards).square().mean() < 0.1
    assert not torch.allclose(values[0], values[1])


def test_standardized_rewards_know_no_unit() -> None:
    rewards = torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scaled = standardize(rewards)
    torch.testing.assert_close(standardize(rewards * 0.01 + 0.9), scaled)
    assert scaled.median().abs() < 0.1


def test_failed_pipelines_do_not_blur_the_others() -> None:
    rewards = 0.9 + 0.01 * torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with_failures = standardize(torch.cat([rewards, torch.zeros(6, dtype=torch.float64)]))
    assert with_failures[:60].std() > 0.7
    assert (with_failures[60:] == -5).all()


@pytest.mark.parametrize(("kind", "quantiles"), [("quartiles", (0.25, 0.75)), ("top", (0.5, 0.9))])
def test_standardized_rewards_have_the_quantiles_of_a_standard_normal(kind, quantiles) -> None:
    rewards = torch.rand(101, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 3
    low, high = np.quantile(standardize(rewards, kind).numpy(), quantiles)
    normal = NormalDist()
    assert high - low == pytest.approx(normal.inv_cdf(quantiles[1]) - normal.inv_cdf(quantiles[0]), rel=1e-4)


def test_equal_rewards_become_zero_and_mostly_equal_ones_finite() -> None:
    for kind in ("quartiles", "top", "ranks"):
        assert (standardize(torch.full((5,), 0.7, dtype=torch.float64), kind).abs() < 1e-12).all()
    assert torch.isfinite(standardize(torch.tensor([0.5] * 9 + [0.9]))).all()


def test_a_replay_keeps_everything_in_order() -> None:
    replay = Replay(6)
    for seed in range(3):
        replay.add(random_actions(4, seed), torch.full((4,), float(seed)))
    assert len(replay) == 12
    assert torch.equal(replay.actions[4:8], random_actions(4, 1))
    assert replay.rewards.tolist() == [0.0] * 4 + [1.0] * 4 + [2.0] * 4
    with pytest.raises(ValueError, match=r"\(2, 6\)"):
        replay.add(random_actions(3), torch.zeros(2))


@pytest.mark.parametrize("policy", ["independent", "lstm"])
@pytest.mark.parametrize("learner_class", [MA2ML, MA2MLLite, MA2MLOnPolicy])
def test_every_form_learns_a_small_game(learner_class, policy: str) -> None:
    rate = {"independent": 0.1, "lstm": 0.01}[policy]
    small = {} if learner_class is MA2MLLite else {"critics": 2, "critic_hidden_size": 16, "critic_steps": 20}
    small["distinct"] = False  # else it goes on next to what it has learned
    if learner_class is MA2ML:
        small |= {"critic": "ensemble", "batch_size": 5}
    learner = learner_class(SPECS, learner_class.Config(policy=policy, learning_rate=rate, **small), seed=0)
    rounds = play(learner, SPECS, updates=25)
    means = [batch_of(SPECS, joint).rewards.mean() for joint in rounds]
    assert np.mean(means[-5:]) > np.mean(means[:5]) + 0.1


def test_policies_rest_until_the_warm_up_is_over() -> None:
    learner = MA2ML(SPECS, MA2ML.Config(warmup=30, **SMALL), seed=0)
    before = learner.policy.state_dict()["logits"].clone()
    play(learner, SPECS, updates=2)
    assert torch.equal(learner.policy.state_dict()["logits"], before)
    play(learner, SPECS, updates=1)
    assert not torch.equal(learner.policy.state_dict()["logits"], before)


def proposals(learner_class, seed: int = 0, **settings) -> np.ndarray:
    return np.concatenate(play(learner_class(SPECS, learner_class.Config(**settings), seed=seed), SPECS, updates=8))


def test_without_off_policy_learning_and_divergence_it_is_the_on_policy_form() -> None:
    shared = {k: v for k, v in SMALL.items() if k not in ("actor_steps", "critic")} | {"learning_rate": 0.1}
    on_policy = proposals(MA2MLOnPolicy, distinct=False, **shared)
    assert np.array_equal(proposals(MA2ML, off_policy=False, kl_coef=0.0, warmup=0, **shared), on_policy)
    assert not np.array_equal(proposals(MA2ML, kl_coef=0.0, warmup=0, **shared), on_policy)
    assert MA2ML(SPECS, MA2ML.Config(off_policy=False)).on_policy
    assert not MA2ML(SPECS).on_policy


def test_without_divergence_the_target_policies_do_not_matter() -> None:
    settings = {**SMALL, "warmup": 10, "learning_rate": 0.3}
    free = [proposals(MA2ML, kl_coef=0.0, target=target, **settings) for target in ("polyak", "previous")]
    held = [proposals(MA2ML, kl_coef=6.0, target=target, **settings) for target in ("polyak", "previous")]
    assert np.array_equal(*free)
    assert not np.array_equal(*held)


def test_a_strong_divergence_keeps_policies_near_their_targets() -> None:
    settings = {**SMALL, "warmup": 10, "actor_steps": 20, "target": "previous", "learning_rate": 0.05}
    kl = {}
    for coefficient in (0.0, 60.0):
        learner = MA2ML(SPECS, MA2ML.Config(kl_coef=coefficient, **settings), seed=0)
        play(learner, SPECS, updates=5)
        actions = learner.layout.uniform(10, np.random.default_rng(0))
        kl[coefficient] = learner.update(batch_of(SPECS, actions))["kl"]
    assert kl[60.0] < 0.5 * kl[0.0]


def test_agents_share_one_advantage_without_credit_assignment_and_with_a_single_agent() -> None:
    actions, samples = random_actions(5), random_actions(4, seed=1)
    shared = MA2ML(SPECS, MA2ML.Config(credit_assignment=False)).advantages(actions, samples)
    assert shared.shape == (5, 3)
    assert (shared == shared[:, :1]).all()
    credited = MA2ML(SPECS).advantages(actions, samples)
    assert not torch.allclose(credited[:, 0], credited[:, 1])
    single = MA2ML(SPECS, MA2ML.Config(single_agent=True)).advantages(actions, samples)
    torch.testing.assert_close(single, shared[:, :1])


def test_the_baseline_of_a_decision_that_is_an_agent_varies_that_decision_alone() -> None:
    learner = MA2ML(SPECS, MA2ML.Config(decision_agents=True))
    actions, samples = random_actions(5), random_actions(4, seed=1)
    values = learner.critic(learner.critic.one_hot(actions)).mean(dim=0)
    advantages = learner.advantages(actions, samples)
    assert advantages.shape == (5, 6)
    for d in range(6):
        varied = actions.repeat_interleave(4, dim=0)
        varied[:, d] = samples[:, d].repeat(5)
        others = learner.critic(learner.critic.one_hot(varied)).mean(dim=0).view(5, 4)
        torch.testing.assert_close(advantages[:, d], values - others.mean(dim=1))
    with pytest.raises(ValueError, match="single agent and agents of their own"):
        MA2ML(SPECS, MA2ML.Config(decision_agents=True, single_agent=True))


@pytest.mark.parametrize("settings", [{"critic": "ensemble", **SMALL, "actor_steps": 0}, {"policy_step": 1e-9}])
def test_an_agent_starts_again_when_the_best_has_not_moved(settings: dict) -> None:
    learner = MA2ML(SPECS, MA2ML.Config(**{**settings, "batch_size": 10, "restart_after": 8}), seed=0)
    learner.policy.logits.data[:, 0] = 2.0
    joint = learner.layout.uniform(10, np.random.default_rng(0))
    best = np.argmax(batch_of(SPECS, joint).rewards)
    learner.update(batch_of(SPECS, joint[[best] * 10]))
    probabilities = independent(learner.policy).probabilities().numpy()
    for row, size in zip(probabilities[:2], (4, 3), strict=True):
        np.testing.assert_allclose(row[:size], 1 / size, rtol=1e-6)
    assert (probabilities[2:, 0] > 0.5).all()


def test_lite_prefers_what_was_better_than_its_baseline() -> None:
    learner = MA2MLLite(SPECS, MA2MLLite.Config(baseline_decay=0.95), seed=0)
    good, bad = [3, 2, 1, 4, 2, 5], [0, 0, 0, 0, 0, 0]
    learner.update(batch_of(SPECS, np.array([good, bad] * 5)))
    better, worse = learner.policy.log_prob(torch.tensor([good, bad])).detach()
    assert (better > worse).all()
    assert learner.baseline == pytest.approx(1.0 * 0.95**9 + 0.05 * sum(r * 0.95**k for k, r in _after_first()))


def _after_first() -> list[tuple[int, float]]:
    """Age and reward of the nine pipelines after the first of the test above."""
    return [(9 - n, 1.0 if n % 2 == 0 else 0.0) for n in range(1, 10)]


@pytest.mark.parametrize(
    ("learner_class", "settings", "named"),
    [
        (MA2ML, {"batch_size": 0}, "batch_size"),
        (MA2ML, {"policy": "ltsm"}, "did you mean 'lstm'"),
        (MA2ML, {"target": "polyakk"}, "did you mean 'polyak'"),
        (MA2ML, {"target_rate": 2.0}, "target_rate"),
        (MA2ML, {"kl_coef": -1.0}, "kl_coef"),
        (MA2ML, {"restart_after": 20, "policy": "lstm"}, "restart_after"),
        (MA2ML, {"policy_step": -0.1}, "policy_step"),
        (MA2ML, {"critics": 0}, "critics"),
        (MA2ML, {"learning_rate": "fast"}, "learning_rate"),
        (MA2MLLite, {"baseline_decay": float("nan")}, "baseline_decay"),
        (MA2MLOnPolicy, {"critic_steps": -1}, "critic_steps"),
    ],
)
def test_settings_out_of_range_are_named(learner_class, settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        learner_class.Config(**settings)
