"""Exact Gaussian process over joint actions, with a kernel over decisions learned by marginal likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.special import expit

from ma2ml_agents.building_blocks.gaussian_process.kernel import (
    DecisionKernel,
    Floats,
    Joint,
    KernelWeights,
    mixture,
    with_absence,
)
from ma2ml_agents.building_blocks.joint_action import Layout

SMALLEST = 1e-10
KernelName = Literal["mixed", "product", "additive"]


@dataclass(frozen=True)
class Prior:
    """Log-normal priors of the weights; medians and standard deviations of the logarithms.

    Attributes:
        total: median of the sum of all `different` and `distance` weights.
        spread: standard deviation of each weight.
        noise: median noise variance, relative to the signal's.
        noise_spread: standard deviation of the noise.
        ratio: median of a / (1 - a), the additive part's variance relative to the product's.
        ratio_spread: standard deviation of the ratio.
    """

    total: float = 1.0
    spread: float = 1.0
    noise: float = 0.05
    noise_spread: float = 1.0
    ratio: float = 1.0
    ratio_spread: float = 1.0


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
    kernel: DecisionKernel
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


class GaussianProcess:
    """Posterior of a process whose kernel's weights follow the data by a few gradient steps at a time.

    The weights are warm-started: `learn` takes Adam steps on the log marginal likelihood plus the log prior, with the
    variance of the signal in closed form. All state is `state_dict`, a few vectors of length D.

    An inactive decision counts as a choice of its own: two pipelines without it agree on it.

    Args:
        layout: the decisions; ordered ones have a weight for distance as well.
        prior: prior of the weights.
        kernel: `mixed`, or one of its parts alone, `product` or `additive`.
        ordered: whether near choices of an ordered decision are more alike than far ones.
        learning_rate: learning rate of Adam, on the logarithms.
    """

    def __init__(
        self,
        layout: Layout,
        prior: Prior | None = None,
        kernel: KernelName = "mixed",
        ordered: bool = True,
        learning_rate: float = 0.1,
    ) -> None:
        self.layout, self.prior, self.learning_rate = layout, prior or Prior(), learning_rate
        self.kernel = DecisionKernel(layout.nvec + int(layout.conditional), layout.ordered if ordered else None)
        self._share = {"mixed": None, "product": 0.0, "additive": 1.0}[kernel]
        terms = len(layout) + int(self.kernel.ordered.sum())
        medians = [*[self.prior.total / terms] * terms, self.prior.noise, self.prior.ratio]
        self._center: Floats = np.log(medians)
        self._spread = np.append(np.full(terms, self.prior.spread), [self.prior.noise_spread, self.prior.ratio_spread])
        self.logs: Floats = self._center.copy()
        self._moments: Floats = np.zeros((2, terms + 2))
        self._steps = 0

    @property
    def weights(self) -> KernelWeights:
        """Present weights of the kernel."""
        values, decisions = np.exp(self.logs), len(self.kernel.nvec)
        distance = np.zeros(decisions)
        distance[self.kernel.ordered] = values[decisions:-2]
        share = self._share if self._share is not None else float(expit(self.logs[-1]))
        return KernelWeights(values[:decisions], distance, float(values[-2]), share)

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
        exponent = self.kernel.exponent(features, features, weights)
        product = np.exp(-exponent)
        factor, alpha = _solve(mixture(product, exponent, weights), centered, weights.noise)
        scale = max(float(centered @ alpha) / size, SMALLEST)
        surprise = (self.logs - self._center) / self._spread
        value = (
            -0.5 * size * math.log(scale) - float(np.log(factor.diagonal()).sum()) - 0.5 * float(surprise @ surprise)
        )
        sensitivity = 0.5 * (np.outer(alpha, alpha) / scale - _inverse(factor))
        by_weight = self._by_weight(features, sensitivity, product, exponent)
        return value, by_weight - surprise / self._spread

    def _by_weight(self, features: Floats, sensitivity: Floats, product: Floats, exponent: Floats) -> Floats:
        """Derivatives with respect to the logarithms of the weights, from those with respect to each covariance."""
        weights = self.weights
        share, total = weights.additive, weights.total
        by_exponent = -sensitivity * ((1.0 - share) * product + share / total)
        by_total = share / total**2 * float((sensitivity * exponent).sum())
        different, distance = self.kernel.gradient(features, by_exponent)
        by_cost = np.concatenate([different, distance[self.kernel.ordered]]) + by_total
        by_share = float((sensitivity * (1.0 - exponent / total - product)).sum())
        by_log = [float(sensitivity.trace()) * weights.noise, share * (1.0 - share) * by_share]
        return np.append(by_cost * np.exp(self.logs[:-2]), by_log)

    def state_dict(self) -> dict[str, Any]:
        """Logarithms of the weights and Adam's moments."""
        return {"logs": self.logs.tolist(), "moments": self._moments.tolist(), "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the weights."""
        self.logs, self._moments = np.array(state["logs"]), np.array(state["moments"])
        self._steps = state["steps"]


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
