"""Exact Gaussian process over joint actions, with a product kernel learned by marginal likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.special import ndtri

from ma2ml_agents.building_blocks.gaussian_process.kernel import (
    Floats,
    Joint,
    KernelWeights,
    ProductKernel,
    with_absence,
)
from ma2ml_agents.building_blocks.joint_action import Layout

SMALLEST = 1e-10


@dataclass(frozen=True)
class Prior:
    """Log-normal priors of the weights; medians and standard deviations of the logarithms.

    Attributes:
        total: median of the sum of all `different` and `distance` weights.
        spread: standard deviation of each weight.
        noise: median noise variance, relative to the signal's.
        noise_spread: standard deviation of the noise.
    """

    total: float = 1.0
    spread: float = 1.0
    noise: float = 0.05
    noise_spread: float = 1.0


@dataclass(frozen=True)
class Posterior:
    """Gaussian process conditioned on data.

        E[Q(x)] = mean + sum_j alpha_j k(x, x_j)

    Attributes:
        encode: function from joint actions, shape (m, D), to features, shape (m, F).
        kernel: covariance of features.
        weights: weights of the kernel.
        joint: the data's joint actions x_j, shape (n, D).
        features: theirs, shape (n, F).
        factor: lower Cholesky factor of K + noise I, shape (n, n).
        alpha: (K + noise I)^-1 (y - mean), shape (n,).
        mean: prior mean.
        scale: variance of the signal.
    """

    encode: Callable[[Joint], Floats]
    kernel: ProductKernel
    weights: KernelWeights
    joint: Joint
    features: Floats
    factor: Floats
    alpha: Floats
    mean: float
    scale: float

    def predict(self, joint: Joint) -> tuple[Floats, Floats]:
        """Mean and standard deviation, without the noise, of joint actions of shape (m, D); each of shape (m,)."""
        cross = self.kernel.matrix(self.features, self.encode(joint), self.weights)
        explained = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        variance = np.maximum(1.0 - np.einsum("nm,nm->m", explained, explained), SMALLEST)
        return self.mean + self.alpha @ cross, np.sqrt(self.scale * variance)

    def fitted(self) -> Floats:
        """Mean at the data's joint actions, shape (n,)."""
        values: Floats = self.mean + self.alpha @ self.kernel.matrix(self.features, self.features, self.weights)
        return values

    def expectation(self, probabilities: Floats) -> float:
        """Mean over independent decisions without conditions, in closed form.

            E_pi[Q] = mean + sum_j alpha_j prod_d sum_c pi_d(c) k_d(c, x_jd)

        Args:
            probabilities: pi_d(c), padded with 0, shape (D, n) with n the most choices of any decision.
        """
        per_choice = np.einsum("dc,dcx->dx", probabilities, self.kernel.tables(self.weights))
        factors = per_choice[np.arange(len(per_choice)), self.joint]
        return float(self.mean + self.alpha @ factors.prod(axis=1))


class GaussianProcess:
    """Posterior of a product-kernel process whose weights follow the data by a few gradient steps at a time.

    The weights are warm-started: `learn` takes Adam steps on the log marginal likelihood plus the log prior, with the
    variance of the signal in closed form. All state is `state_dict`, a few vectors of length D.

    An inactive decision counts as a choice of its own: two pipelines without it agree on it.

    Args:
        layout: the decisions; ordered ones have a weight for distance as well.
        prior: prior of the weights.
        learning_rate: learning rate of Adam, on the logarithms.
    """

    def __init__(self, layout: Layout, prior: Prior | None = None, learning_rate: float = 0.1) -> None:
        self.layout = layout
        self.kernel = ProductKernel(layout.nvec + int(layout.conditional), layout.ordered)
        nvec = layout.nvec
        self.prior = prior or Prior()
        self.learning_rate = learning_rate
        terms = len(nvec) + int(self.kernel.ordered.sum())
        center = np.full(terms + 1, math.log(self.prior.total / terms))
        center[-1] = math.log(self.prior.noise)
        self._center = center
        self._spread = np.append(np.full(terms, self.prior.spread), self.prior.noise_spread)
        self.logs: Floats = center.copy()
        self._moments: Floats = np.zeros((2, terms + 1))
        self._steps = 0

    @property
    def weights(self) -> KernelWeights:
        """Present weights of the kernel."""
        values, decisions = np.exp(self.logs), len(self.kernel.nvec)
        distance = np.zeros(decisions)
        distance[self.kernel.ordered] = values[decisions:-1]
        return KernelWeights(values[:decisions], distance, float(values[-1]))

    def learn(self, joint: Joint, targets: Floats, steps: int) -> float:
        """Takes gradient steps of the weights.

        Args:
            joint: shape (n, D).
            targets: standardized, shape (n,).
            steps: number of gradient steps.

        Returns:
            Log posterior density of the weights before the last step, up to a constant; 0 without steps.
        """
        value, features = 0.0, self.features(joint)
        for _ in range(steps):
            value, gradient = self.log_density(features, targets)
            self._steps += 1
            self._moments[0] += 0.1 * (gradient - self._moments[0])
            self._moments[1] += 0.01 * (gradient**2 - self._moments[1])
            first = self._moments[0] / (1.0 - 0.9**self._steps)
            second = self._moments[1] / (1.0 - 0.99**self._steps)
            self.logs = self.logs + self.learning_rate * first / (np.sqrt(second) + 1e-8)
        return value

    def condition(self, joint: Joint, targets: Floats) -> Posterior:
        """Posterior given joint actions, shape (n, D) with n at least 1, and targets, shape (n,)."""
        weights, features = self.weights, self.features(joint)
        covariance = self.kernel.matrix(features, features, weights)
        mean = float(targets.mean())
        factor, alpha = _solve(covariance, targets - mean, weights.noise)
        scale = max(float((targets - mean) @ alpha) / len(targets), SMALLEST)
        return Posterior(self.features, self.kernel, weights, joint, features, factor, alpha, mean, scale)

    def features(self, joint: Joint) -> Floats:
        """Features of canonical joint actions, shape (n, D) to (n, F)."""
        return self.kernel.features(with_absence(joint, self.layout))

    def log_density(self, features: Floats, targets: Floats) -> tuple[float, Floats]:
        """Log marginal likelihood plus log prior, and its gradient with respect to the logarithms of the weights.

        Args:
            features: features of n joint actions, shape (n, F).
            targets: shape (n,).
        """
        weights, size, centered = self.weights, len(targets), targets - targets.mean()
        covariance = self.kernel.matrix(features, features, weights)
        factor, alpha = _solve(covariance, centered, weights.noise)
        scale = max(float(centered @ alpha) / size, SMALLEST)
        surprise = (self.logs - self._center) / self._spread
        value = (
            -0.5 * size * math.log(scale) - float(np.log(factor.diagonal()).sum()) - 0.5 * float(surprise @ surprise)
        )
        sensitivity = 0.5 * (np.outer(alpha, alpha) / scale - _inverse(factor))
        noise = float(sensitivity.trace())
        different, distance = self.kernel.gradient(features, sensitivity * covariance)
        by_weight = np.concatenate([different, distance[self.kernel.ordered], [noise]])
        return value, by_weight * np.exp(self.logs) - surprise / self._spread

    def state_dict(self) -> dict[str, Any]:
        """Logarithms of the weights and Adam's moments."""
        return {"logs": self.logs.tolist(), "moments": self._moments.tolist(), "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the weights."""
        self.logs, self._moments = np.array(state["logs"]), np.array(state["moments"])
        self._steps = state["steps"]


def normal_scores(rewards: Floats) -> Floats:
    """Ranks of rewards as quantiles of the standard normal distribution; equal rewards share their mean.

    Args:
        rewards: shape (n,).

    Returns:
        Shape (n,), without the influence of outliers.
    """
    _, inverse, counts = np.unique(rewards, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * (counts + 1)
    scores: Floats = ndtri((middle[inverse] + 0.5) / len(rewards))
    return scores


def _solve(covariance: Floats, targets: Floats, noise: float) -> tuple[Floats, Floats]:
    """Cholesky factor of the covariance with noise, and the solution for the targets."""
    noisy = covariance.copy()
    noisy[np.diag_indices_from(noisy)] += noise + 1e-8
    factor: Floats = cholesky(noisy, lower=True, overwrite_a=True, check_finite=False)
    solution: Floats = cho_solve((factor, True), targets, check_finite=False)
    return factor, solution


def _inverse(factor: Floats) -> Floats:
    """Inverse of the symmetric matrix with this lower Cholesky factor."""
    lower, _ = lapack.dpotri(factor, lower=1)
    inverse: Floats = np.tril(lower) + np.tril(lower, -1).T
    return inverse
