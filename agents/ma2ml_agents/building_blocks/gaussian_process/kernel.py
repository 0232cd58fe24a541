"""Kernel over decisions, a product and a sum; each term decreases with difference and with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout

Joint = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KernelWeights:
    """Weights of a kernel over decisions, all at least 0.

    Attributes:
        different: w, the cost of differing in each decision, shape (D,).
        distance: v, the cost of the whole range of each ordered decision, shape (D,); 0 for unordered ones.
        noise: variance of the noise relative to the signal's.
        additive: a, the sum's share of the signal's variance, in [0, 1].
    """

    different: Floats
    distance: Floats
    noise: float
    additive: float = 0.0

    @property
    def total(self) -> float:
        """W, the cost of differing in everything."""
        return float(self.different.sum() + self.distance.sum())


def with_absence(joint: Joint, layout: Layout) -> Joint:
    """Joint actions in which an inactive decision has a choice of its own, n_d, shape (n, D) to (n, D)."""
    encoded: Joint = np.where(layout.active(joint), joint, layout.nvec) if layout.conditional else joint
    return encoded


class DecisionKernel:
    """Kernel of main effects and interactions.

        k(x, y) = (1 - a) prod_d exp(-e_d(x_d, y_d)) + a sum_d (w_d + v_d - e_d(x_d, y_d)) / W
        e_d(c, c') = w_d [c != c'] + v_d |c - c'| / (n_d - 1),    W = sum_d w_d + v_d

    Functions of the sum are sums of one function per decision, which few results determine however many decisions
    there are. The exponent is linear in the weights and, through indicator features, bilinear in the joint actions:
    matrices of it are one product of matrices, from which both parts follow.

    Args:
        nvec: choices per decision, shape (D,).
        ordered: whether the choices of each decision are ordered, shape (D,); None for none.

    Source: sums of kernels of single inputs are those of Duvenaud, Nickisch and Rasmussen, "Additive Gaussian
    Processes"; that sum and product share their weights is ours.
    """

    def __init__(self, nvec: NDArray[np.int64], ordered: NDArray[np.bool_] | None = None) -> None:
        self.nvec = nvec
        self.ordered = (np.zeros(len(nvec), dtype=bool) if ordered is None else ordered) & (nvec > 2)
        self._offsets = np.cumsum(nvec) - nvec
        self._choices = int(nvec.sum())
        steps = np.where(self.ordered, nvec - 1, 0)
        self._step_of = np.repeat(np.arange(len(nvec)), steps)
        self._threshold = np.concatenate([np.arange(count) for count in steps.tolist()]).astype(np.int64)
        self._choice_of = np.repeat(np.arange(len(nvec)), nvec)

    def features(self, joint: Joint) -> Floats:
        """Indicators of each choice, then of each step that an ordered decision has climbed, shape (n, F).

        Args:
            joint: shape (n, D).
        """
        found = np.zeros((len(joint), self._choices + len(self._step_of)))
        found[np.arange(len(joint))[:, None], joint + self._offsets] = 1.0
        found[:, self._choices :] = joint[:, self._step_of] > self._threshold
        return found

    def matrix(self, left: Floats, right: Floats, weights: KernelWeights) -> Floats:
        """Covariances between features of shapes (n, F) and (m, F), shape (n, m)."""
        exponent = self.exponent(left, right, weights)
        return mixture(np.exp(-exponent), exponent, weights)

    def exponent(self, left: Floats, right: Floats, weights: KernelWeights) -> Floats:
        """Sums of e_d over decisions, between features of shapes (n, F) and (m, F), shape (n, m)."""
        steps = weights.distance[self._step_of] / (self.nvec[self._step_of] - 1)
        scale = np.concatenate([weights.different[self._choice_of], 2.0 * steps])
        alike = (left * scale) @ right.T
        alike -= (left[:, self._choices :] @ steps)[:, None] + right[:, self._choices :] @ steps
        exponent: Floats = np.maximum(weights.different.sum() - alike, 0.0)
        return exponent

    def gradient(self, features: Floats, sensitivity: Floats) -> tuple[Floats, Floats]:
        """Derivatives of a function of the exponents with respect to the weights.

        Args:
            features: features of the n joint actions, shape (n, F).
            sensitivity: derivative with respect to each exponent, symmetric, shape (n, n).

        Returns:
            Derivatives with respect to `different` and `distance`, each of shape (D,).
        """
        total = sensitivity.sum()
        overlap = ((sensitivity @ features) * features).sum(axis=0)
        same = np.bincount(self._choice_of, overlap[: self._choices], minlength=len(self.nvec))
        single = features[:, self._choices :].T @ sensitivity.sum(axis=1)
        apart = 2.0 * (single - overlap[self._choices :]) / (self.nvec[self._step_of] - 1)
        far = np.bincount(self._step_of, apart, minlength=len(self.nvec))
        return total - same, far.astype(np.float64)

    def factors(self, weights: KernelWeights) -> Floats:
        """exp(-e_d(c, c')) of all decisions, padded with 0 where a choice does not exist, shape (D, n, n)."""
        return np.exp(-self._costs(weights)) * self._exist()

    def terms(self, weights: KernelWeights) -> Floats:
        """(w_d + v_d - e_d(c, c')) / W, padded likewise, shape (D, n, n)."""
        whole = (weights.different + weights.distance)[:, None, None]
        return (whole - self._costs(weights)) / weights.total * self._exist()

    def _costs(self, weights: KernelWeights) -> Floats:
        choices = np.arange(int(self.nvec.max()))
        apart = np.abs(choices[:, None] - choices)
        slope = weights.distance / np.maximum(self.nvec - 1, 1)
        costs: Floats = weights.different[:, None, None] * (apart > 0) + slope[:, None, None] * apart
        return costs

    def _exist(self) -> NDArray[np.bool_]:
        exists = np.arange(int(self.nvec.max())) < self.nvec[:, None]
        return exists[:, :, None] & exists[:, None, :]


def mixture(product: Floats, exponent: Floats, weights: KernelWeights) -> Floats:
    """Kernel from its product and the exponent, of any equal shapes: (1 - a) product + a (1 - exponent / W)."""
    mixed: Floats = (1.0 - weights.additive) * product + weights.additive * (1.0 - exponent / weights.total)
    return mixed
