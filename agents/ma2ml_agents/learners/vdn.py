"""VDN: a joint value that is the sum of one value per decision, and its greedy action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import AgentSpec

Exploration = Literal["epsilon", "thompson"]


class VDN(HistoryLearner):
    """Proposes the greedy choice per decision of an additive model, with exploration.

        Q_tot(x) = sum_d q_d(x_d)

    The model is a ridge regression of the standardized rewards on the one-hot joint actions. QMIX adds nothing here:
    with a constant state its mixing is a monotone function of the same sum.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Sunehag et al., "Value-Decomposition Networks for Cooperative Multi-Agent Learning".
    """

    @dataclass
    class Config:
        """Settings of VDN."""

        exploration: Exploration = "epsilon"
        """Exploration: uniform choices with probability epsilon per decision, or values from their posterior."""
        epsilon_end: float = 0.1
        """Final epsilon, annealed from 1. Source: tuned; EPyMARL's VDN has 0.05."""
        epsilon_steps: int = 25
        """Pipelines over which epsilon is annealed linearly. Source: tuned; EPyMARL's 50,000 suit larger budgets."""
        penalty: float = 3.0
        """L2 penalty of the regression. Source: tuned."""
        refit_every: int = 1
        """Results between two refits."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 0.0, 1.0, names=["epsilon_end"])
            check_range(self, 1, names=["epsilon_steps", "refit_every"])
            check_range(self, 1e-6, names=["penalty"])
            check_choice(self, "exploration", get_args(Exploration))

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)

    def propose(self, rows: int) -> Joint:
        """Joint actions, shape (rows, D)."""
        fitted_to = len(self.history) // self.config.refit_every * self.config.refit_every
        joint, rewards = self.history.training_data(fitted_to)
        if not len(joint):
            return self.random_new(rows)
        if self.config.exploration == "thompson":
            values = posterior_samples(one_hot(joint, self.layout), rewards, self.config.penalty, rows, self.rng)
            greedy = np.concatenate([self._greedy(row) for row in values])
            return self.proposals.draw(lambda count: greedy[:count], rows, self.rng.random)
        values = ridge_values(one_hot(joint, self.layout), rewards, self.config.penalty)
        return self.proposals.draw(lambda count: self._explore(values, count), rows, self.rng.random)

    def _explore(self, values: NDArray[np.float64], rows: int) -> Joint:
        """Greedy joint actions, each decision uniform with probability epsilon, shape (rows, D)."""
        progress = min(1.0, len(self.history) / self.config.epsilon_steps)
        epsilon = 1.0 + (self.config.epsilon_end - 1.0) * progress
        explores = self.rng.random((rows, len(self.layout))) < epsilon
        uniform = self.rng.integers(self.layout.nvec, size=explores.shape)
        return np.where(explores, uniform, np.repeat(self._greedy(values), rows, axis=0))

    def _greedy(self, values: NDArray[np.float64]) -> Joint:
        """Choice of highest value per decision, ties broken at random, shape (1, D)."""
        ties = values + 1e-9 * self.rng.random(len(values))
        blocks = np.split(ties, self.layout.offsets[1:])
        return np.array([[int(block.argmax()) for block in blocks]])


def ridge_values(features: NDArray[np.float64], rewards: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Minimizer of |Z q - z(R)|^2 + penalty |q|^2, with z(R) the standardized rewards.

    Args:
        features: Z, shape (n, F).
        rewards: R, shape (n,).
        penalty: above 0.

    Returns:
        Shape (F,), solved in the n dimensions of the data.
    """
    targets = (rewards - rewards.mean()) / max(float(rewards.std()), 1e-12)
    gram = features @ features.T
    gram[np.diag_indices_from(gram)] += penalty
    values: NDArray[np.float64] = features.T @ cho_solve(cho_factor(gram, lower=True), targets)
    return values


def posterior_samples(
    features: NDArray[np.float64], rewards: NDArray[np.float64], penalty: float, rows: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draws of the values from N(q, s^2 (Z'Z + penalty I)^-1), s^2 the mean squared residual, shape (rows, F)."""
    values = ridge_values(features, rewards, penalty)
    targets = (rewards - rewards.mean()) / max(float(rewards.std()), 1e-12)
    noise = float(((targets - features @ values) ** 2).mean())
    precision = features.T @ features
    precision[np.diag_indices_from(precision)] += penalty
    factor = np.linalg.cholesky(precision)
    normal = rng.standard_normal((features.shape[1], rows))
    drawn: NDArray[np.float64] = values + np.sqrt(noise) * solve_triangular(factor.T, normal, lower=False).T
    return drawn
