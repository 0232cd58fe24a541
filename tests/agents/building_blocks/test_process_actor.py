"""Policies under a Gaussian process: limits of their entropy and of their steps."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.building_blocks.gaussian_process.actor import LEAST, ProcessActor, entropy
from ma2ml_agents.building_blocks.gaussian_process.expected_value import ExpectedValue
from ma2ml_agents.building_blocks.gaussian_process.process import GaussianProcess, Posterior
from ma2ml_agents.building_blocks.gaussian_process.settings import ProcessConfig
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.natural_gradient import Categoricals, limited_step
from ma2ml_agents.learner import AgentSpec

LAYOUT = Layout((AgentSpec("a", (3, 2), 1), AgentSpec("b", (4,), 1), AgentSpec("c", (2, 3), 1)))
UNIFORM = Categoricals(LAYOUT.nvec).theta


def posterior(seed: int = 0) -> Posterior:
    rng = np.random.default_rng(seed)
    return GaussianProcess(LAYOUT).condition(LAYOUT.uniform(12, rng), rng.normal(size=12))


def random_policies(seed: int = 0) -> np.ndarray:
    rng, tables = np.random.default_rng(seed), np.zeros_like(UNIFORM)
    for row, size in zip(tables, LAYOUT.nvec, strict=True):
        row[:size] = rng.dirichlet(np.ones(size))
    return tables


def fisher_length(old: np.ndarray, new: np.ndarray) -> float:
    """Length of a small change: the root of sum_dc (new - old)^2 / old."""
    return float(np.sqrt(((new - old) ** 2 / np.where(old > 0, old, 1.0)).sum()))


def test_the_entropy_of_uniform_policies_is_the_logarithm_of_the_number_of_pipelines() -> None:
    assert entropy(UNIFORM) == pytest.approx(np.log(LAYOUT.nvec.prod()))


def test_without_limits_it_is_the_exact_ascent() -> None:
    actor, given = ProcessActor(LAYOUT, ProcessConfig(entropy_halving=0)), random_policies()
    expected = ExpectedValue(LAYOUT, posterior())
    policies, value = actor.improve(given, UNIFORM, posterior(), results=500)
    np.testing.assert_array_equal(policies, expected.ascend(given, UNIFORM, 1.5 / len(LAYOUT), sweeps=2))
    assert value == pytest.approx(expected.value(policies))


@pytest.mark.parametrize("results", [50, 200, 600])
def test_the_entropy_falls_to_its_limit(results: int) -> None:
    """Under a weight so large that the policies would stay nearly uniform."""
    actor, policies = ProcessActor(LAYOUT, ProcessConfig(gp_kl_coef=20.0, entropy_halving=200)), UNIFORM
    for _ in range(300):
        policies, _ = actor.improve(policies, UNIFORM, posterior(), results)
    assert entropy(policies) / entropy(UNIFORM) == pytest.approx(200 / (200 + results), abs=0.01)


def test_the_weight_stays_in_its_range() -> None:
    actor, narrow = ProcessActor(LAYOUT, ProcessConfig()), np.eye(4)[np.zeros(len(LAYOUT), dtype=int)]
    most = actor.kl_weight
    actor.improve(narrow, UNIFORM, posterior(), results=1)
    assert actor.kl_weight == most
    for _ in range(20):
        actor.improve(UNIFORM, UNIFORM, posterior(), results=10_000)
    assert actor.kl_weight == pytest.approx(LEAST * most)


def test_a_short_limited_step_is_the_natural_gradient_of_that_fisher_length() -> None:
    """The natural gradient of E[u_d(x_d)] is theta_d (u_d - E[u_d])."""
    distribution, scores = Categoricals(LAYOUT.nvec), np.random.default_rng(1).normal(size=UNIFORM.shape)
    distribution.theta = old = random_policies()
    new = old * np.exp(scores)
    new /= new.sum(axis=1, keepdims=True)
    natural = old * (scores - (old * scores).sum(axis=1, keepdims=True))
    change = limited_step(old, new, 1e-5, np.zeros(len(LAYOUT), dtype=int)) - old
    length = np.linalg.norm(distribution.whitened(natural))
    np.testing.assert_allclose(change, natural * 1e-5 * np.sqrt(len(LAYOUT)) / length, atol=1e-9)
    assert fisher_length(old, old + change) == pytest.approx(1e-5 * np.sqrt(len(LAYOUT)), rel=1e-3)


def test_each_agent_steps_as_far_as_its_number_of_decisions_allows() -> None:
    old, new = random_policies(), random_policies(1)
    moved = limited_step(old, new, 1e-5, LAYOUT.owner)
    for agent, decisions in enumerate((2, 1, 2)):
        own = LAYOUT.owner == agent
        assert fisher_length(old[own], moved[own]) == pytest.approx(1e-5 * np.sqrt(decisions), rel=1e-3)


def test_a_step_within_the_limit_arrives() -> None:
    np.testing.assert_allclose(
        limited_step(random_policies(), random_policies(1), 1e3, LAYOUT.owner), random_policies(1)
    )


def test_a_limited_step_approaches_the_exact_one() -> None:
    given, exact = random_policies(), ProcessActor(LAYOUT, ProcessConfig(entropy_halving=0))
    aim, _ = exact.improve(given, UNIFORM, posterior(), results=5)
    for by_agent in (False, True):
        short = ProcessActor(LAYOUT, ProcessConfig(entropy_halving=0, policy_step=1e-3, step_by_agent=by_agent))
        moved, _ = short.improve(given, UNIFORM, posterior(), results=5)
        assert 0.0 < fisher_length(given, moved) < 1.01e-3 * np.sqrt(len(LAYOUT))
        assert np.abs(aim - moved).sum() < np.abs(aim - given).sum()
