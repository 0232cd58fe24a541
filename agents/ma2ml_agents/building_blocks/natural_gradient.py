"""Product of categorical distributions, its natural gradient, and utilities of ranks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
SMALLEST = 1e-12


class Categoricals:
    """Independent categorical distributions, one per decision, uniform at first.

    Args:
        nvec: choices per decision, shape (D,).

    Attributes:
        theta: probabilities, padded with 0, shape (D, n) with n the most choices of any decision.
        parameters: number of free ones, the sum of n_d - 1.

    Source: Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search".
    """

    def __init__(self, nvec: NDArray[np.int64]) -> None:
        self.nvec = nvec
        self._exists = np.arange(int(nvec.max())) < nvec[:, None]
        self.theta: Floats = self._exists / nvec[:, None]
        self.parameters = int((nvec - 1).sum())
        free = nvec > 1
        self.floor: Floats = np.where(free, 1.0 / (max(int(free.sum()), 1) * np.maximum(nvec - 1, 1)), 1.0)
        self.floor = np.minimum(self.floor, 1.0 / nvec)

    def sample(self, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draws joint actions, shape (rows, D)."""
        cumulative = self.theta.cumsum(axis=1)
        drawn = (rng.random((rows, len(self.nvec), 1)) * cumulative[:, -1:] >= cumulative).sum(axis=2)
        return np.asarray(np.minimum(drawn, self.nvec - 1))

    def gradient(self, joint: NDArray[np.int64], utilities: Floats, active: NDArray[np.bool_]) -> Floats:
        """Natural gradient of the expected utility, 1/L sum_k w_k (onehot(x_k) - theta); rows sum to 0.

        Args:
            joint: samples, shape (L, D).
            utilities: w, shape (L,).
            active: mask of the active decisions of each sample, shape (L, D).

        Returns:
            Shape (D, n).
        """
        hits = joint[:, :, None] == np.arange(self.theta.shape[1])
        weights = utilities[:, None] * active
        gradient: Floats = np.einsum("kd,kdc->dc", weights, (hits - self.theta) * self._exists) / len(joint)
        return gradient

    def whitened(self, gradient: Floats) -> Floats:
        """Square root of the Fisher information times a gradient: its norm is the gradient's Fisher length.

            s_d = g_d[:-1] / sqrt(theta_d[:-1]) + sqrt(theta_d[:-1]) sum(g_d[:-1]) / (theta_dK + sqrt(theta_dK))

        Args:
            gradient: rows sum to 0, shape (D, n).

        Returns:
            Shape (parameters,).
        """
        parts = [np.empty(0)]
        for size, theta, change in zip(self.nvec.tolist(), self.theta, gradient, strict=True):
            first, last = theta[: size - 1], float(theta[size - 1])
            root, total = np.sqrt(first), change[: size - 1].sum()
            parts.append(change[: size - 1] / root + root * total / (last + math.sqrt(last)))
        return np.concatenate(parts)

    def move(self, step: Floats) -> None:
        """Adds a step, then lifts probabilities to the floor 1 / (D (n_d - 1)) and renormalizes above it."""
        floor = self.floor[:, None] * self._exists
        theta = np.where(self._exists, np.maximum(self.theta + step, floor), 0.0)
        total = theta.sum(axis=1, keepdims=True)
        room = np.maximum(total - floor.sum(axis=1, keepdims=True), 1e-12)
        self.theta = theta - (total - 1.0) * (theta - floor) / room

    def entropy(self) -> float:
        """Entropy of the joint distribution, in nats."""
        positive = self.theta[self.theta > 0]
        return float(-(positive * np.log(positive)).sum())


class StepAdaptation:
    """Slowdown of the steps: above 1 when successive directions disagree, below 1 when they agree.

        b = delta / sqrt(parameters),    s <- (1 - b) s + sqrt(b (2 - b)) s_hat,    c <- (1 - b)^2 c + b (2 - b)
        slowdown <- slowdown exp(b (c - |s|^2 / alpha))

    Args:
        parameters: length of a direction.
        target: alpha.

    Attributes:
        path: s, shape (parameters,).
        weight: c, the expectation of |s|^2 under random directions.
        slowdown: divisor of the step, 1 at first.

    Source: Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search".
    """

    def __init__(self, parameters: int, target: float) -> None:
        self._target = target
        self.path: Floats = np.zeros(parameters)
        self.weight, self.slowdown = 0.0, 1.0

    def update(self, direction: Floats, length: float) -> None:
        """Adds the direction s_hat of a step, of norm 1, and its Fisher length delta."""
        rate = min(length / math.sqrt(max(len(self.path), 1)), 1.0)
        self.path = (1.0 - rate) * self.path + math.sqrt(rate * (2.0 - rate)) * direction
        self.weight = (1.0 - rate) ** 2 * self.weight + rate * (2.0 - rate)
        agreement = float(self.path @ self.path) / self._target
        self.slowdown *= math.exp(rate * (self.weight - agreement))


def limited_step(old: Floats, new: Floats, length: float, groups: NDArray[np.int64]) -> Floats:
    """Distributions on the way from old to new ones, along which logits change in proportion.

        log pi_d = log old_d + t_g (log new_d - log old_d) + const,    t_g = min(1, length sqrt(D_g) / F_g)

    with F_g the Fisher length, at the old ones, of the whole way of the D_g decisions in group g. Where the new ones
    are proportional to old_d exp(u_d), this is the natural gradient step on the expectation of u, of limited length.

    Args:
        old: probabilities, padded with 0, shape (D, n).
        new: likewise.
        length: Fisher length per square root of a group's size, above 0.
        groups: group of each decision, numbered from 0, shape (D,).

    Returns:
        Shape (D, n).
    """
    exists = old + new > 0
    way = np.where(exists, np.log(np.maximum(new, SMALLEST)) - np.log(np.maximum(old, SMALLEST)), 0.0)
    way = way - (old * way).sum(axis=1, keepdims=True)
    whole = np.sqrt(np.bincount(groups, (old * way**2).sum(axis=1)))
    allowed = length * np.sqrt(np.bincount(groups))
    share = np.minimum(1.0, allowed / np.maximum(whole, SMALLEST))
    logits = np.where(exists, np.log(np.maximum(old, SMALLEST)) + share[groups][:, None] * way, -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    moved: Floats = weights / weights.sum(axis=1, keepdims=True)
    return moved


def log_utility(rewards: Floats, scale: float) -> Floats:
    """Log-odds of relative ranks, clipped to [-1, 1]; equal rewards share a rank.

        t = 1.5 (r - (L + 1) / 2) / L,    w = clip(f log((1 + t) / (1 - t)), -1, 1),    r = 1 for the worst

    Args:
        rewards: shape (L,).
        scale: f.

    Source: Zheng et al., "MIGO-NAS: Towards Fast and Generalizable Neural Architecture Search".
    """
    size = len(rewards)
    relative = 1.5 * (rankdata(rewards) - (size + 1) / 2) / size
    utility: Floats = np.clip(scale * np.log((1.0 + relative) / (1.0 - relative)), -1.0, 1.0)
    return utility


def piecewise_utility(rewards: Floats) -> Floats:
    """1/m for the best m = ceil(L/4), -1/m for the worst m, 0 between; equal rewards share their mean.

    Args:
        rewards: shape (L,).

    Source: Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search".
    """
    size, most = len(rewards), math.ceil(len(rewards) / 4)
    by_rank = np.zeros(size)
    by_rank[:most] -= 1.0 / most
    by_rank[size - most :] += 1.0 / most
    _, inverse, counts = np.unique(rewards, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    means = np.array([by_rank[end - count : end].mean() for end, count in zip(ends, counts, strict=True)])
    utility: Floats = means[inverse]
    return utility
