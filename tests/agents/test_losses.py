"""The equations, against exact enumeration of random three-agent games."""

from __future__ import annotations

import pytest
import torch
from tabular_games import SIZES, Game, random_game
from torch import Tensor

from ma2ml_agents.building_blocks.losses import (
    clipped_surrogate_loss,
    counterfactual_advantage,
    critic_loss,
    kl_penalty,
    moving_average,
    policy_gradient_loss,
    polyak_average,
    shared_advantage,
)

SEEDS = range(5)
KL_COEF = 0.3


def exact_counterfactual(game: Game, agent: int) -> Tensor:
    """The counterfactual advantage of an agent at every joint action, its expectation by enumeration.

    The expectation over A_i' ~ pi_i is a mean over M samples in which each choice is as frequent as it is probable:
    the values are scaled by M * pi_i(A_i'), which makes the mean exact.
    """
    size = SIZES[agent]
    replaced = game.joint[:, None].repeat(1, size, 1)
    replaced[:, :, agent] = torch.arange(size)
    values = game.value_of(replaced.flatten(0, 1)).view(-1, size)
    weights = game.logits[agent].softmax(0).detach() * size
    return counterfactual_advantage(game.value_of(game.joint), values * weights)


def full_advantage(game: Game) -> Tensor:
    """MA2ML's advantage of every agent at every joint action, shape (60, 3)."""
    credit = torch.stack([exact_counterfactual(game, agent) for agent in range(3)], dim=1)
    return credit - KL_COEF * kl_penalty(game.log_pi, game.log_rho, game.kl)


def exact_gradients(game: Game, advantage: Tensor) -> tuple[Tensor, ...]:
    """The gradient that the loss follows when every joint action comes as often as it is probable."""
    weights = (game.probs * len(game.joint)).detach()[:, None]
    loss = policy_gradient_loss(game.log_pi, advantage * weights)
    return tuple(-gradient for gradient in torch.autograd.grad(loss, game.logits))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_full_gradient_is_that_of_the_objective(seed: int) -> None:
    game = random_game(seed)
    objective = (game.probs * game.value_of(game.joint)).sum() - KL_COEF * game.kl.sum()
    expected = torch.autograd.grad(objective, game.logits)
    for got, wanted in zip(exact_gradients(game, full_advantage(game)), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_credit_assignment_the_gradient_of_the_mean_value_is_the_same(seed: int) -> None:
    game = random_game(seed)
    value = game.value_of(game.joint)
    expected = torch.autograd.grad((game.probs * value).sum(), game.logits)
    shared = shared_advantage(value, torch.randn(7, dtype=torch.float64))
    for got, wanted in zip(exact_gradients(game, shared[:, None].expand(-1, 3)), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_counterfactual_advantage_has_mean_zero_whatever_the_others_do(seed: int) -> None:
    game = random_game(seed)
    for agent in range(3):
        advantage = exact_counterfactual(game, agent).view(SIZES)
        own = game.logits[agent].softmax(0).detach()
        torch.testing.assert_close(
            torch.tensordot(advantage, own, dims=([agent], [0])),
            torch.zeros([size for i, size in enumerate(SIZES) if i != agent], dtype=torch.float64),
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kl_penalty_has_mean_zero_and_no_gradient(seed: int) -> None:
    game = random_game(seed)
    penalty = kl_penalty(game.log_pi, game.log_rho, game.kl)
    assert not penalty.requires_grad
    torch.testing.assert_close(game.probs.detach() @ penalty, torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("seed", SEEDS)
def test_lite_is_unbiased_for_any_baseline(seed: int) -> None:
    game = random_game(seed)
    value = game.value_of(game.joint)
    expected = torch.autograd.grad((game.probs * value).sum(), game.logits)
    for baseline in (-3.0, 0.0, 10.0):
        advantage = (value - baseline)[:, None].expand(-1, 3)
        for got, wanted in zip(exact_gradients(game, advantage), expected, strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(20))
def test_the_closed_form_maximizer_never_lowers_the_reward(seed: int) -> None:
    """E_{k+1}[R] >= E_k[R] + lambda * KL(pi_{k+1} || pi_k), one agent at a time, rho being the policy before."""
    game = random_game(seed)
    logits = [row.detach() for row in game.logits]
    for step in range(6):
        agent = step % 3
        log_pi = game.log_of(logits)
        before = log_pi.sum(dim=1).exp() @ game.value_of(game.joint)
        others = (log_pi.sum(dim=1) - log_pi[:, agent]).exp() * game.value_of(game.joint)
        mean_value = torch.zeros(SIZES[agent], dtype=torch.float64).index_add(0, game.joint[:, agent], others)
        previous = logits[agent].log_softmax(0)
        logits[agent] = (previous + mean_value / KL_COEF).log_softmax(0)
        kl = (logits[agent].exp() * (logits[agent] - previous)).sum()
        after = game.log_of(logits).sum(dim=1).exp() @ game.value_of(game.joint)
        assert after >= before + KL_COEF * kl - 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_step_of_ppo_is_a_policy_gradient_step(seed: int) -> None:
    game = random_game(seed)
    advantage = torch.randn(len(game.joint), 3, dtype=torch.float64)
    plain = torch.autograd.grad(policy_gradient_loss(game.log_pi, advantage), game.logits)
    clipped = clipped_surrogate_loss(game.log_pi, game.log_pi.detach(), advantage, clip=0.2)
    for got, wanted in zip(torch.autograd.grad(clipped, game.logits), plain, strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(("ratio", "advantage", "moves"), [(1.5, 1.0, False), (1.5, -1.0, True), (0.5, -1.0, False)])
def test_ppo_does_not_move_a_ratio_further_out(ratio: float, advantage: float, moves: bool) -> None:
    log_prob = torch.zeros(1, 1, requires_grad=True)
    old = log_prob.detach() - torch.tensor(ratio).log()
    clipped_surrogate_loss(log_prob, old, torch.full((1, 1), advantage), clip=0.2).backward()
    assert (log_prob.grad != 0).item() is moves


def test_the_critic_loss_is_lowest_at_the_mean_reward_of_an_action() -> None:
    rewards = torch.tensor([[1.0, 3.0], [2.0, 6.0]])
    values = rewards.mean(dim=1, keepdim=True).expand(2, 2).clone().requires_grad_()
    shared = torch.zeros(2, 1, requires_grad=True)
    critic_loss(shared + values.detach(), rewards).backward()
    torch.testing.assert_close(shared.grad, torch.zeros(2, 1))
    assert critic_loss(values, rewards).item() == pytest.approx(1.0 + 4.0)


def test_a_moving_average_forgets_geometrically() -> None:
    average = None
    rewards = [0.3, 0.9, 0.1, 0.5]
    for reward in rewards:
        average = moving_average(average, reward, 0.8)
    weights = [0.8**3, *(0.2 * 0.8**age for age in (2, 1, 0))]
    assert average == pytest.approx(sum(w * r for w, r in zip(weights, rewards, strict=True)))
    assert sum(weights) == pytest.approx(1.0)


def test_a_target_closes_the_same_share_of_the_gap_at_every_step() -> None:
    source, target = torch.tensor([1.0, -2.0]), torch.zeros(2)
    for _ in range(10):
        target = polyak_average(target, source, 0.1)
    torch.testing.assert_close(target, source * (1 - 0.9**10))
    torch.testing.assert_close(polyak_average(target, source, 1.0), source)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: policy_gradient_loss(torch.zeros(2, 3), torch.zeros(2, 2)), "advantage_BN"),
        (lambda: policy_gradient_loss(torch.zeros(2), torch.zeros(2)), "log_prob_BN"),
        (lambda: counterfactual_advantage(torch.zeros(2), torch.zeros(3, 4)), "q_BM"),
        (lambda: shared_advantage(torch.zeros(2), torch.zeros(3, 4)), "q_M"),
        (lambda: kl_penalty(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2)), "kl_N"),
        (lambda: critic_loss(torch.zeros(2, 3), torch.zeros(3)), "reward_EB"),
        (lambda: clipped_surrogate_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2), 0.2), "advantage_BN"),
        (lambda: polyak_average(torch.zeros(2), torch.zeros(3), 0.5), "source"),
        (lambda: polyak_average(torch.zeros(2), torch.zeros(2), 1.5), "rate"),
        (lambda: moving_average(0.0, 1.0, -0.1), "decay"),
    ],
)
def test_wrong_shapes_and_rates_are_named(call, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        call()
