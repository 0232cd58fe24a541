"""The Gaussian process as a critic: what it is conditioned on, and that it can be rebuilt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ma2ml_agents.building_blocks.gaussian_process.critic import ProcessCritic, most_informative
from ma2ml_agents.building_blocks.gaussian_process.settings import ProcessConfig
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.standardize import normal_scores, standardize
from ma2ml_agents.learner import AgentSpec

LAYOUT = Layout([AgentSpec("a", (4, 3), 1), AgentSpec("b", (5,), 1)])


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    joint = LAYOUT.uniform(rows, np.random.default_rng(0))
    return joint, joint @ np.array([0.1, 0.3, 0.2])


def critic(limit: int = 100) -> ProcessCritic:
    return ProcessCritic(LAYOUT, ProcessConfig(fit_steps=3, gp_limit=limit))


def test_fitted_values_are_the_posterior_mean_at_the_data() -> None:
    made = critic()
    made.fit(*data(30))
    np.testing.assert_allclose(made.fitted, made.posterior.predict(made.posterior.joint)[0], atol=1e-6)


def test_it_learns_an_order_from_a_third_of_the_pipelines() -> None:
    made = critic()
    for rows in range(5, 25):
        made.fit(*data(rows))
    joint, rewards = data(300)
    assert np.corrcoef(made.posterior.predict(joint)[0], rewards)[0, 1] > 0.9


def test_of_too_many_results_the_best_and_the_newest_are_kept() -> None:
    rewards = np.array([9.0, 1.0, 8.0, 2.0, 3.0, 7.0, 4.0])
    assert most_informative(rewards, 4).tolist() == [0, 2, 5, 6]
    assert most_informative(rewards, 7).tolist() == list(range(7))
    made = critic(limit=10)
    made.fit(*data(40))
    assert len(made.posterior.joint) == 10


def test_a_restored_critic_is_the_same_and_goes_on_the_same() -> None:
    whole, restored = critic(), critic()
    for rows in range(10, 20):
        whole.fit(*data(rows))
    restored.load_state_dict(whole.state_dict())
    restored.condition(*data(19))
    assert np.array_equal(restored.fitted, whole.fitted)
    for made in (whole, restored):
        made.fit(*data(25))
    assert np.array_equal(restored.fitted, whole.fitted)


def test_proposals_without_a_result_lower_the_uncertainty_and_not_the_mean() -> None:
    made, pending = critic(), np.array([[3, 2, 4], [0, 0, 0]])
    made.fit(*data(12))
    believing = made.believing(pending)
    assert (believing.predict(pending)[1] < made.posterior.predict(pending)[1]).all()
    np.testing.assert_allclose(believing.predict(pending)[0], made.posterior.predict(pending)[0], atol=0.05)
    assert made.believing(pending[:0]) is made.posterior


def test_without_data_there_is_no_posterior() -> None:
    with pytest.raises(ValueError, match="no data"):
        _ = critic().posterior


def test_it_learns_from_the_standardization_that_is_asked_for() -> None:
    joint, rewards = data(40)
    expected = {"ranks": normal_scores(rewards), "auto": normal_scores(rewards)}
    expected |= {kind: standardize(torch.from_numpy(rewards), kind).numpy() for kind in ("quartiles", "top")}
    for kind, targets in expected.items():
        made = ProcessCritic(LAYOUT, ProcessConfig(standardization=kind))
        made.fit(joint, rewards)
        residual = made.process.weights.noise * made.posterior.alpha
        np.testing.assert_allclose(made.fitted + residual, targets, atol=1e-12)
