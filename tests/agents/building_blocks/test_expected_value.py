"""Closed forms of policies' values under a Gaussian process, against enumeration and finite differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ma2ml_agents.building_blocks.gaussian_process.expected_value import ExpectedValue
from ma2ml_agents.building_blocks.gaussian_process.process import GaussianProcess, KernelName
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.learner import AgentSpec

PLAIN = (AgentSpec("a", (3, 2), 1, ordered=(True, False)), AgentSpec("b", (4,), 1), AgentSpec("c", (2, 3), 1))
CONDITIONAL = (
    AgentSpec("a", (3, 4, 2, 2), 1, active=((), ((0, (1, 2)),), ((1, (2, 3)),), ((0, (0,)),))),
    AgentSpec("b", (3,), 1),
)
GAMES = pytest.mark.parametrize("specs", [PLAIN, CONDITIONAL], ids=["plain", "conditional"])
KERNELS = pytest.mark.parametrize("kernel", ["mixed", "product", "additive"])


class Game:
    """A posterior from random data, and everything that can be enumerated of it."""

    def __init__(self, specs, kernel: KernelName = "mixed", seed: int = 0):
        self.layout, rng = Layout(specs), np.random.default_rng(seed)
        joint = self.layout.uniform(12, rng)
        self.posterior = GaussianProcess(self.layout, kernel=kernel).condition(joint, rng.normal(size=12))
        self.expected = ExpectedValue(self.layout, self.posterior)
        self.policies, self.targets = self.random_policies(rng), self.random_policies(rng)
        self.every = np.array(list(itertools.product(*map(range, self.layout.nvec.tolist()))))
        self.q = self.posterior.predict(self.layout.canonical(self.every))[0]

    def random_policies(self, rng) -> np.ndarray:
        tables = np.zeros((len(self.layout), int(self.layout.nvec.max())))
        for row, size in zip(tables, self.layout.nvec, strict=True):
            row[:size] = rng.dirichlet(np.ones(size))
        return tables

    def mean(self, policies, values=None) -> float:
        weights = policies[np.arange(len(self.layout)), self.every].prod(axis=1)
        return float(weights @ (self.q if values is None else values))

    def objective(self, policies, kl_coef: float) -> float:
        pi, rho = (
            np.maximum(table, 1e-12)[np.arange(len(self.layout)), self.every] for table in (policies, self.targets)
        )
        divergence = ((np.log(pi) - np.log(rho)) * self.layout.active(self.every)).sum(axis=1)
        return self.mean(policies) - kl_coef * self.mean(policies, divergence)


@KERNELS
@GAMES
def test_the_expectation_is_that_over_all_joint_actions(specs, kernel) -> None:
    game = Game(specs, kernel)
    assert game.expected.value(game.policies) == pytest.approx(game.mean(game.policies), abs=1e-12)


@KERNELS
@GAMES
def test_choice_values_are_the_derivatives_of_the_expectation(specs, kernel) -> None:
    game = Game(specs, kernel)
    values = game.expected.choice_values(game.policies)
    for d, size in enumerate(game.layout.nvec):
        for c in range(size):
            moved = game.policies.copy()
            moved[d, c] += 1e-4
            slope = (game.expected.value(moved) - game.expected.value(game.policies)) / 1e-4
            assert values[d, c] == pytest.approx(slope, abs=1e-8)
        assert not values[d, size:].any()


@KERNELS
@GAMES
def test_a_baseline_is_the_mean_over_one_agents_actions(specs, kernel) -> None:
    game = Game(specs, kernel)
    actions = game.layout.canonical(game.every[[3, 17, -1]])
    baselines = game.expected.baselines(game.policies, actions)
    assert baselines.shape == (3, len(specs))
    for row, agent in np.ndindex(baselines.shape):
        own = game.layout.owner == agent
        joint = game.layout.canonical(np.where(own, game.every, actions[row]))
        values = game.posterior.predict(joint)[0]
        assert baselines[row, agent] == pytest.approx(game.mean(game.policies, values), abs=1e-12)


@KERNELS
@GAMES
@pytest.mark.parametrize("kl_coef", [0.02, 0.5])
def test_no_sweep_lowers_the_objective_and_at_the_end_no_small_step_raises_it(specs, kernel, kl_coef: float) -> None:
    game = Game(specs, kernel)
    policies = [game.policies]
    for _ in range(30):
        policies.append(game.expected.ascend(policies[-1], game.targets, kl_coef, sweeps=1))
    values = [game.objective(table, kl_coef) for table in policies]
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0]
    rng = np.random.default_rng(1)
    for _ in range(20):
        nearby = 0.999 * policies[-1] + 0.001 * game.random_policies(rng)
        assert game.objective(nearby, kl_coef) < values[-1] + 1e-9


@KERNELS
def test_the_ascent_ends_where_policies_are_their_targets_times_the_exponential_of_values(kernel) -> None:
    game, kl_coef = Game(PLAIN, kernel), 0.2
    policies = game.expected.ascend(game.policies, game.targets, kl_coef, sweeps=200)
    for d, size in enumerate(game.layout.nvec):
        values = np.zeros(size)
        for c in range(size):
            certain = policies.copy()
            certain[d] = np.eye(len(policies[d]))[c]
            values[c] = game.mean(certain)
        expected = game.targets[d, :size] * np.exp((values - values.max()) / kl_coef)
        np.testing.assert_allclose(policies[d, :size], expected / expected.sum(), atol=1e-6)


def test_under_a_large_weight_policies_are_their_targets() -> None:
    game = Game(PLAIN)
    np.testing.assert_allclose(game.expected.ascend(game.policies, game.targets, 1e6, 1), game.targets, atol=1e-5)
