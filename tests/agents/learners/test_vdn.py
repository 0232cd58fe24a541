"""The additive model and its exploration."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.vdn import VDN, posterior_samples, ridge_values
from ma2ml_agents.testing import batch_of, check_learner, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
LAYOUT = Layout(SPECS)


def data(rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    joint = LAYOUT.uniform(rows, rng)
    return one_hot(joint, LAYOUT), rng.normal(size=rows)


@pytest.mark.parametrize("exploration", ["epsilon", "thompson"])
def test_it_conforms(exploration: str) -> None:
    check_learner(VDN, exploration=exploration)


def test_the_values_are_those_of_scikit_learns_ridge_regression() -> None:
    features, rewards = data()
    targets = (rewards - rewards.mean()) / rewards.std()
    theirs = Ridge(alpha=3.0, fit_intercept=False).fit(features, targets)
    np.testing.assert_allclose(ridge_values(features, rewards, 3.0), theirs.coef_, atol=1e-10)


def test_posterior_samples_have_the_mean_and_covariance_of_bayesian_regression() -> None:
    features, rewards = data()
    drawn = posterior_samples(features, rewards, 3.0, 20_000, np.random.default_rng(1))
    values = ridge_values(features, rewards, 3.0)
    targets = (rewards - rewards.mean()) / rewards.std()
    noise = ((targets - features @ values) ** 2).mean()
    covariance = noise * np.linalg.inv(features.T @ features + 3.0 * np.eye(features.shape[1]))
    np.testing.assert_allclose(drawn.mean(axis=0), values, atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.02)


def test_equal_rewards_have_no_values() -> None:
    features, _ = data()
    np.testing.assert_allclose(ridge_values(features, np.ones(40), 3.0), 0.0)


def test_the_greedy_choice_is_the_best_of_each_decision() -> None:
    learner = VDN(SPECS, VDN.Config(exploration="epsilon", epsilon_end=0.0, epsilon_steps=1, distinct=False), seed=0)
    joint = LAYOUT.uniform(200, np.random.default_rng(2))
    for row in joint:
        learner.update(batch_of(SPECS, row[None]))
    assert learner.propose(1)[0].tolist() == [3, 2, 1, 4, 0, 2, 5]


def test_it_finds_the_best_of_an_additive_game_and_repeats_nothing() -> None:
    proposals = np.concatenate(play(VDN(SPECS, seed=0), SPECS, updates=60))
    assert (proposals == np.array([3, 2, 1, 4, 0, 2, 5])).all(axis=1).any()
    assert len({tuple(row) for row in proposals.tolist()}) == 60


def test_an_inactive_decision_is_encoded_as_zeros() -> None:
    layout = Layout([AgentSpec("a", (2, 3), 1, active=((), ((0, (1,)),)))])
    assert one_hot(np.array([[0, 0], [1, 0]]), layout).tolist() == [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0]]


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="thompson"):
        VDN.Config(exploration="tompson")
    with pytest.raises(ValueError, match="penalty"):
        VDN.Config(penalty=0.0)
