"""Natural-gradient ascent on categorical distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ma2ml_agents.building_blocks.natural_gradient import (
    Categoricals,
    StepAdaptation,
    log_utility,
    piecewise_utility,
)
from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.migo import MIGO
from ma2ml_agents.testing import batch_of, check_learner, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
NVEC = np.array([4, 3, 2, 1])
SNG = {"batch_size": 2, "utility": "piecewise", "momentum": 0.0}


def moved(seed: int = 0) -> Categoricals:
    """A distribution away from uniform."""
    found, rng = Categoricals(NVEC), np.random.default_rng(seed)
    for d, size in enumerate(NVEC):
        found.theta[d, :size] = 0.5 / size + 0.5 * rng.dirichlet(np.ones(size))
    return found


def gradient_of(distribution: Categoricals, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    joint = distribution.sample(6, rng)
    return distribution.gradient(joint, rng.normal(size=6), np.ones(joint.shape, dtype=bool))


@pytest.mark.parametrize("settings", [{"batch_size": 6}, SNG, {"batch_size": 6, "adaptive": True}])
def test_it_conforms(settings: dict) -> None:
    check_learner(MIGO, **settings)


def test_the_gradient_of_each_decision_sums_to_zero() -> None:
    np.testing.assert_allclose(gradient_of(moved()).sum(axis=1), 0.0, atol=1e-12)


def test_the_norm_of_the_whitened_gradient_is_its_fisher_length() -> None:
    """The Fisher information of probabilities that sum to one: g' F g = sum_c g_c^2 / theta_c."""
    distribution = moved()
    gradient = gradient_of(distribution)
    theta = np.where(distribution.theta > 0, distribution.theta, 1.0)
    exact = math.sqrt((gradient**2 / theta).sum())
    assert np.linalg.norm(distribution.whitened(gradient)) == pytest.approx(exact)


def test_a_step_has_the_fisher_length_that_is_set() -> None:
    learner = MIGO(SPECS, MIGO.Config(momentum=0.0, step=0.3), seed=0)
    joint = learner.layout.uniform(10, np.random.default_rng(0))
    theta = np.where(learner.distribution.theta > 0, learner.distribution.theta, 1.0)
    learner.update(batch_of(SPECS, joint))
    assert math.sqrt((learner.velocity**2 / theta).sum()) == pytest.approx(0.3 * math.sqrt(6)), "six free decisions"


def test_probabilities_stay_in_the_simplex_above_the_floor() -> None:
    distribution, rng = moved(), np.random.default_rng(1)
    floor = np.array([1 / 9, 1 / 6, 1 / 3, 1.0])
    for _ in range(200):
        distribution.move(gradient_of(distribution, int(rng.integers(1000))))
        np.testing.assert_allclose(distribution.theta.sum(axis=1), 1.0)
        for theta, size, least in zip(distribution.theta, NVEC, floor, strict=True):
            assert (theta[:size] >= least - 1e-9).all()
            assert not theta[size:].any()


def test_it_moves_to_the_choice_that_is_rewarded() -> None:
    learner = MIGO(SPECS, MIGO.Config(distinct=False), seed=0)
    for _ in range(60):
        joint = learner.layout.join(learner.act({s.name: np.zeros((10, 3), np.float32) for s in SPECS}))
        batch = batch_of(SPECS, joint)
        batch.rewards[:] = joint[:, 0] == 1
        learner.update(batch)
    assert learner.distribution.theta[0].argmax() == 1
    assert learner.distribution.theta[0, 1] > 0.8


def test_the_utilities_are_those_of_their_formulas() -> None:
    rewards = np.array([0.3, 0.1, 0.2, 0.4])
    np.testing.assert_allclose(piecewise_utility(rewards), [0, -1, 0, 1])
    np.testing.assert_allclose(piecewise_utility(np.array([1.0, 1.0, 0.5, 0.5])), [0.5, 0.5, -0.5, -0.5])
    t = 1.5 * np.array([0.5, -1.5, -0.5, 1.5]) / 4
    np.testing.assert_allclose(log_utility(rewards, 0.4), 0.4 * np.log((1 + t) / (1 - t)))
    np.testing.assert_allclose(log_utility(np.ones(5), 0.4), 0.0, atol=1e-12)
    assert np.abs(log_utility(np.arange(1000.0), 2.0)).max() == 1.0


def test_equal_rewards_move_nothing() -> None:
    learner = MIGO(SPECS, seed=0)
    batch = batch_of(SPECS, learner.layout.uniform(10, np.random.default_rng(0)))
    batch.rewards[:] = 0.5
    before = learner.distribution.theta.copy()
    learner.update(batch)
    assert np.array_equal(learner.distribution.theta, before)


def test_the_adaptation_shortens_steps_whose_directions_disagree() -> None:
    agree, disagree = (StepAdaptation(parameters=17, target=1.5) for _ in range(2))
    rng = np.random.default_rng(0)
    same = rng.normal(size=17)
    for _ in range(50):
        agree.update(same / np.linalg.norm(same), 1.0)
        other = rng.normal(size=17)
        disagree.update(other / np.linalg.norm(other), 1.0)
    assert agree.slowdown < 1.0 < disagree.slowdown


def test_samples_follow_the_probabilities() -> None:
    distribution = moved()
    joint = distribution.sample(20_000, np.random.default_rng(0))
    for d, size in enumerate(NVEC):
        shares = np.bincount(joint[:, d], minlength=size) / 20_000
        np.testing.assert_allclose(shares, distribution.theta[d, :size], atol=0.02)


def test_it_learns_a_small_game() -> None:
    learner = MIGO(SPECS, MIGO.Config(step=0.3, distinct=False), seed=0)
    rewards = batch_of(SPECS, np.concatenate(play(learner, SPECS, updates=20))).rewards
    assert rewards[-50:].mean() > rewards[:50].mean() + 0.1
